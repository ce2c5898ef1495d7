/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  Expiring jobs whose time to live passes before they start.
 *
 * The low end of the index on expires_at contains jobs whose time has passed
 * but that cannot be expired: they were started in time, came with a copy of
 * another database, or have lost their queue.  Any number of them may stay
 * there for any length of time.  So each scan continues where the previous one
 * ended, by time and TID, and skips no entry twice.  A transaction that writes
 * an expires_at reports it after its commit (expires_low), and the next scan
 * begins there if that is lower.
 *
 * Locked jobs are looked at again after growing delays, those of each owner by
 * themselves.  The whole index is
 * also scanned now and then, since some changes are not reported: start()
 * takes over a queue, or rows are restored from a dump.
 *
 * IDENTIFICATION
 *	  src/dispatch/expire.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/expire.h"

#include "base/extension.h"
#include "base/index_place.h"
#include "base/row_holder.h"
#include "base/subtransaction.h"
#include "compat.h"
#include "job/large_row.h"
#include "job/transition.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/late.h"
#include "shared/xact_end.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Number of jobs skipped for each job that might be expired. */
#define PASSED_PER_JOB 20

/*
 * Interval between scans of the whole index, and the maximum share of the time
 * that they take.
 */
#define FULL_INTERVAL (60 * USECS_PER_SEC)
#define FULL_SHARE 50

/*
 * The same for scans that begin at the first locked job.  An owner's next one waits for
 * what trying his jobs has taken, and passing over those of others, not for what trying
 * theirs has taken.
 */
#define BUSY_SHARE 10

/*
 * Locked jobs of an owner.  They are left alone until the time of the next look at
 * them, so that no owner's jobs are looked at more often because of another owner.
 */
typedef struct Busy
{
	TimestampTz first;			/* expires_at of the earliest, JOBQ_NEVER:
								 * there is none, */
	TimestampTz last;			/* and of the latest */
	TimestampTz known;			/* the same, at the end of the last look */
	TimestampTz retry_at;		/* when to look again at those */
	int64		tried;			/* time that the current look has taken to try
								 * to expire this owner's jobs */
} Busy;

/* What is known of the index, between looks. */
typedef struct Progress
{
	JobqIndexPlace done;		/* everything up to here has been looked at */
	TimestampTz low;			/* lowest expires_at written since this look
								 * began */
	Busy		busy[JOBQ_LATE_OWNERS];
	TimestampTz began;			/* start of the current look, or DT_NOBEGIN if
								 * there is none */
	int64		cost;			/* the time that it has taken so far */
	bool		full;			/* the look covers the whole index */
	TimestampTz full_at;		/* when to begin the next such look */
	TimestampTz full_after;		/* and not before */
	uint64		changes;		/* of queues, at the last one */
} Progress;

/* A look at part of the index. */
typedef struct Look
{
	JobqTable  *jobs;
	Relation	index;
	Snapshot	snapshot;
	TupleTableSlot *seen;
	TupleTableSlot *locked;
	TimestampTz now;
	int64		bytes;			/* of jobs that were moved */
	Progress	progress;		/* is kept if the transaction commits */
} Look;

/* A job whose time is over, and its row, locked. */
typedef struct Expiring
{
	JobqJob    *job;
	const JobqQueue *queue;
} Expiring;

/* The first look goes through the whole index, and initializes the rest. */
#define BEFORE_ALL {.at = DT_NOBEGIN}
#define NOT_BUSY \
	{.first = JOBQ_NEVER,.last = DT_NOBEGIN,.known = DT_NOBEGIN,\
	 .retry_at = JOBQ_NEVER}

static Progress progress = {
	.done = BEFORE_ALL,.low = JOBQ_NEVER,
	.began = DT_NOBEGIN,.full_at = DT_NOBEGIN,.full_after = DT_NOBEGIN
};
static Progress claimed;
static bool claims = false;

/*
 * A look is in progress.  After an error, perhaps because of one job, each job
 * has a subtransaction, as long as there are such jobs.
 */
static bool looking = false;
static bool any_failed = false;
static bool careful = false;

/* See schedule_fire.c. */
static void
at_transaction_end(XactEvent event)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (claims && event == XACT_EVENT_COMMIT)
		progress = claimed;
	claims = false;
	if (looking)
		careful = event == XACT_EVENT_ABORT || any_failed;
	looking = false;
}

/* Begins an index scan at, or right after, the given time. */
static IndexScanDesc
begin_scan(const Look *look, TimestampTz from, bool after)
{
	IndexScanDesc scan;
	ScanKeyData key;

	ScanKeyInit(&key, 1,
				after ? BTGreaterStrategyNumber : BTGreaterEqualStrategyNumber,
				after ? F_TIMESTAMPTZ_GT : F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(from));
	scan = jobq_index_beginscan(look->jobs->rel, look->index, look->snapshot,
								1);
	scan->xs_want_itup = true;
	index_rescan(scan, &key, 1, NULL, 0);
	return scan;
}

/* The first expires_at that lies ahead. */
static TimestampTz
next_expiry(const Look *look)
{
	IndexScanDesc scan = begin_scan(look, look->now, true);
	TimestampTz next = JOBQ_NEVER;

	if (index_getnext_slot(scan, ForwardScanDirection, look->seen))
	{
		JobqJob		job;

		jobq_job_read(&job, look->seen);
		next = job.expires_at;
	}
	index_endscan(scan);
	return next;
}

/* A job of an owner is to be looked at again, at a time. */
static void
look_again(Look *look, Oid owner, TimestampTz expires_at, TimestampTz at)
{
	Busy	   *busy = &look->progress.busy[jobq_late_owner(owner)];

	busy->first = Min(busy->first, expires_at);
	busy->last = Max(busy->last, expires_at);
	busy->retry_at = Min(busy->retry_at, at);
}

/* Notes that another transaction has locked the job or has just changed it. */
static void
put_off(Look *look, const JobqJob *job, Oid owner, TupleTableSlot *slot)
{
	TimestampTz until = jobq_late_retry(owner, job->expires_at, look->now);

	look_again(look, owner, job->expires_at, until);
	jobq_late_note_job(job->expires_at, until, jobq_row_holder(slot), job->id,
					   job->queue);
}

/* Whether an owner's jobs of that time are not to be looked at again yet. */
static bool
is_put_off(const Look *look, Oid owner, TimestampTz expires_at)
{
	const Busy *busy = &look->progress.busy[jobq_late_owner(owner)];

	return busy->retry_at > look->now && busy->first <= expires_at &&
		expires_at <= busy->known;
}

/* For jobq_subtransaction(). */
static void
expire_alone(void *arg)
{
	const Expiring *expiring = arg;
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);

	jobq_job_expire(jobs, expiring->job, expiring->queue);
	jobq_table_close(jobs);
}

/* Ends a job whose row is locked; puts it off if that is not possible. */
static void
expire_locked(Look *look, JobqJob *job, const JobqQueue *queue)
{
	TimestampTz expires_at = job->expires_at;
	Expiring	expiring = {job, queue};

	if (!careful)
	{
		jobq_job_expire(look->jobs, job, queue);
		return;
	}
	if (jobq_subtransaction_for_job(expire_alone, &expiring, "expire", job->id))
		return;
	any_failed = true;
	look_again(look, queue->owner, expires_at, look->now + FULL_INTERVAL);
}

/*
 * Expires the job in the slot if it has not been started.  Returns whether it
 * tried.
 */
static bool
expire_one(Look *look)
{
	int64		began = jobq_stopwatch();
	const JobqQueue *queue;
	JobqJob		job;
	Size		length;
	TimestampTz again;

	jobq_job_read(&job, look->seen);
	queue = jobq_queue_by_id(job.queue);
	if (job.state != JOBQ_STATE_PENDING || job.attempt > 0 || queue == NULL ||
		!queue->at_home || is_put_off(look, queue->owner, job.expires_at))
		return false;
	length = jobq_row_bytes(look->seen);
	if (jobq_large_row_waits(length, look->now, &again))
	{
		look_again(look, queue->owner, job.expires_at, again);
		return false;
	}
	switch (jobq_job_lock_row(look->jobs, look->seen, look->snapshot,
							  look->locked, &job))
	{
		case JOBQ_FOUND:
			look->bytes += length;
			jobq_large_row_begin(length);
			expire_locked(look, &job, queue);
			jobq_large_row_end();
			break;
		case JOBQ_BUSY:
		case JOBQ_MISSING:
			put_off(look, &job, queue->owner, look->locked);
			break;
		case JOBQ_UNWANTED:
			break;
	}
	look->progress.busy[jobq_late_owner(queue->owner)].tried +=
		jobq_stopwatch() - began;
	return true;
}

/* Makes the next look begin no later than the given time. */
static void
go_back(Progress *mine, TimestampTz expires_at)
{
	JobqIndexPlace place;

	jobq_index_place_before(&place, expires_at);
	if (jobq_index_place_compare(&place, &mine->done) < 0)
		mine->done = place;
}

/* Goes back to locked jobs whose time has come; JOBQ_NEVER: to all of them. */
static void
go_back_to_busy(Progress *mine, TimestampTz now)
{
	static const Busy not_busy = NOT_BUSY;

	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
	{
		Busy	   *busy = &mine->busy[i];

		if (busy->retry_at > now)
			continue;
		go_back(mine, busy->first);
		*busy = not_busy;
	}
}

/* Discards what was learned before the clock was set back. */
static void
follow_clock(TimestampTz now)
{
	static TimestampTz last = DT_NOBEGIN;

	if (now < last)
	{
		progress.began = DT_NOBEGIN;
		progress.low = DT_NOBEGIN;
		go_back_to_busy(&progress, JOBQ_NEVER);
		progress.full_at = DT_NOBEGIN;
		progress.full_after = DT_NOBEGIN;
	}
	last = now;
}

/*
 * Determines where to begin, before the snapshot is taken.  A look in progress
 * is finished first, so that entries further up are not starved.
 */
static void
begin_look(Progress *mine, TimestampTz now)
{
	JobqDatabase *database = jobq_database();
	uint64		changes = pg_atomic_read_u64(&database->nchanges);
	uint64		low = pg_atomic_exchange_u64(&database->expires_low,
											 (uint64) JOBQ_NEVER);

	/* told once: it must survive a rollback */
	progress.low = Min(progress.low, (TimestampTz) low);
	follow_clock(now);
	*mine = progress;
	if (mine->began != DT_NOBEGIN)
		return;

	mine->began = now;
	mine->cost = 0;
	go_back(mine, mine->low);
	mine->low = JOBQ_NEVER;
	go_back_to_busy(mine, now);
	if (mine->full_after <= now &&
		(mine->full_at <= now || mine->changes != changes))
	{
		go_back(mine, DT_NOBEGIN);
		go_back_to_busy(mine, JOBQ_NEVER);
		mine->changes = changes;
		mine->full = true;
	}
}

/*
 * Puts off the next look at each owner's locked jobs.  Owners whose jobs have been tried
 * have one share of the time together.
 */
static void
leave_busy(Progress *mine, TimestampTz now)
{
	int64		passing = mine->cost;
	int			ntried = 0;

	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
	{
		passing -= mine->busy[i].tried;
		if (mine->busy[i].tried > 0)
			ntried++;
	}
	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
	{
		Busy	   *busy = &mine->busy[i];
		int64		cost = busy->tried * ntried + Max(passing, 0);

		busy->known = busy->last;
		if (busy->first != JOBQ_NEVER)
			busy->retry_at = Max(busy->retry_at, now + cost * BUSY_SHARE);
		busy->tried = 0;
	}
}

/* Notes that all entries up to the current time have been looked at. */
static void
end_look(Progress *mine, TimestampTz now)
{
	mine->done.at = now;
	ItemPointerSet(&mine->done.tid, InvalidBlockNumber, PG_UINT16_MAX);
	if (mine->full)
	{
		mine->full_at = now + FULL_INTERVAL;
		mine->full_after = now + mine->cost * FULL_SHARE;
	}
	leave_busy(mine, now);
	mine->full = false;
	mine->began = DT_NOBEGIN;
}

/* Returns when to begin the next look after one has finished. */
static TimestampTz
next_look(const Look *look)
{
	const Progress *mine = &look->progress;
	TimestampTz next = next_expiry(look);

	if (mine->low != JOBQ_NEVER)
		next = look->now;
	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
		next = Min(next, mine->busy[i].retry_at);
	if (mine->changes != pg_atomic_read_u64(&jobq_database()->nchanges))
		next = Min(next, Max(mine->full_after, look->now));
	return next;
}

/*
 * Scans the index from where the previous look ended.  Returns false if it
 * reached its limit before the end.
 */
static bool
look_at_index(Look *look, int limit)
{
	JobqIndexPlace *done = &look->progress.done;
	IndexScanDesc scan = begin_scan(look, done->at, false);
	bool		finished = true;

	limit *= PASSED_PER_JOB;
	while (index_getnext_tid(scan, ForwardScanDirection) != NULL)
	{
		JobqIndexPlace place;

		CHECK_FOR_INTERRUPTS();
		jobq_index_place_read(&place, scan, 1);
		if (place.at > look->now)
			break;
		if (jobq_index_place_compare(&place, done) <= 0)
			continue;
		if (limit <= 0 || look->bytes >= JOBQ_MOVE_BYTES)
		{
			finished = false;
			break;
		}
		*done = place;
		if (index_fetch_heap(scan, look->seen) && expire_one(look))
			limit -= PASSED_PER_JOB;
		else
			limit--;
	}
	index_endscan(scan);
	return finished;
}

/*
 * Expires up to `limit` jobs.  Returns when to call it again; sets *more if
 * that should be at once.  Called by the coordinator in a transaction of its
 * own.
 */
TimestampTz
jobq_expire_jobs(int limit, bool *more)
{
	int64		began = jobq_stopwatch();
	bool		finished;
	TimestampTz next;
	Progress   *mine;
	Look		look;

	jobq_xact_end_follow(JOBQ_XACT_EXPIRE,
						 JOBQ_XACT_AT_END, at_transaction_end, NULL);
	next = look.now = jobq_now();
	look.bytes = 0;
	any_failed = false;
	looking = true;
	mine = &look.progress;
	begin_look(mine, look.now);
	look.jobs = jobq_table_open(JOBQ_REL_JOB);
	look.index = index_open(jobq_relation_oid(JOBQ_IDX_JOB_EXPIRES_AT),
							AccessShareLock);
	look.seen = jobq_table_slot(look.jobs);
	look.locked = jobq_table_slot(look.jobs);
	look.snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(look.snapshot);

	finished = look_at_index(&look, limit);
	mine->cost += jobq_stopwatch() - began;
	if (finished)
	{
		end_look(mine, look.now);
		next = next_look(&look);
	}
	*more = next <= look.now;
	claimed = *mine;
	claims = true;
	PopActiveSnapshot();
	UnregisterSnapshot(look.snapshot);
	index_close(look.index, AccessShareLock);
	jobq_table_close(look.jobs);
	return next;
}
