/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  Jobs whose time to live has passed before they were started.
 *
 * The index on expires_at has, at its low end, jobs that are past their time
 * and cannot be ended: they were started in time, came with a copy of another
 * database, or have lost their queue.  There may be any number of them, for any
 * time.  So a look goes on where the one before has ended, by time and place,
 * and passes nothing over twice.  A transaction that writes an expires_at says
 * so after its commit (expires_low), and the next look begins there, if that is
 * further down.
 *
 * Jobs that somebody has locked are another matter: they are looked at again
 * after a while, longer and longer.  Everything is, now and then, since things
 * change without a word: a queue comes home by start(), rows are restored from
 * a dump.
 *
 * IDENTIFICATION
 *	  src/dispatch/expire.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/expire.h"

#include "base/catalog.h"
#include "base/subtransaction.h"
#include "compat.h"
#include "job/transition.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/late.h"
#include "shared/xact_end.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/*
 * Ending a job moves its payload to history.  After this many bytes, other
 * tasks have their turn.
 */
#define MAX_BYTES (8 * 1024 * 1024)

/* So many jobs are passed over for each that might be ended. */
#define PASSED_PER_JOB 20

/*
 * How often everything is looked at, and that this takes such a part of the
 * time at most.
 */
#define FULL_INTERVAL (60 * USECS_PER_SEC)
#define FULL_SHARE 50

/* The same of looking again from the first one on that was locked. */
#define BUSY_SHARE 10

/* A place in the index, the way its entries are ordered. */
typedef struct Place
{
	TimestampTz expires_at;
	ItemPointerData tid;
} Place;

/* What is known of the index, between looks. */
typedef struct Progress
{
	Place		done;			/* all up to here was looked at */
	TimestampTz low;			/* what was written since the look began */
	TimestampTz busy;			/* the earliest one that was locked */
	TimestampTz busy_at;		/* when to look again at those */
	TimestampTz began;			/* the look under way; DT_NOBEGIN: none is */
	bool		full;			/* it is one at everything */
	TimestampTz full_at;		/* when to have the next one of those */
	TimestampTz full_after;		/* and not before */
	uint64		changes;		/* of queues, at the last one */
} Progress;

/* A look at a part of the index. */
typedef struct Look
{
	JobqTable  *jobs;
	Relation	index;
	Snapshot	snapshot;
	TupleTableSlot *seen;
	TupleTableSlot *locked;
	TimestampTz now;
	int64		bytes;			/* of payloads that were moved */
	Progress	progress;		/* is kept if the transaction commits */
} Look;

/* A job whose time is over, and its row, locked. */
typedef struct Expiring
{
	JobqJob    *job;
	const JobqQueue *queue;
} Expiring;

#define BEFORE_ALL {.expires_at = DT_NOBEGIN}

static Progress progress = {
	.done = BEFORE_ALL,.low = JOBQ_NEVER,.busy = JOBQ_NEVER,
	.began = DT_NOBEGIN,.full_at = DT_NOBEGIN,.full_after = DT_NOBEGIN
};
static Progress claimed;
static bool claims = false;

/*
 * A look is under way.  After one that has raised an error, perhaps on account
 * of one job, each has a subtransaction, as long as there are such jobs.
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

/* Begins a scan of the index at that time, or right after it. */
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

/* Somebody has the job in his hands, or has just changed it. */
static void
put_off(Look *look, const JobqJob *job, TupleTableSlot *slot)
{
	Progress   *mine = &look->progress;
	TimestampTz until = jobq_late_retry(job->expires_at, look->now);

	if (mine->busy == JOBQ_NEVER || until < mine->busy_at)
		mine->busy_at = until;
	mine->busy = Min(mine->busy, job->expires_at);
	jobq_late_note(job->expires_at, until, jobq_row_holder(slot));
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
	Progress   *mine = &look->progress;
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
	if (mine->busy == JOBQ_NEVER)
		mine->busy_at = look->now + FULL_INTERVAL;
	mine->busy = Min(mine->busy, expires_at);
}

/* Expires the job in the slot if it has not been started; whether it tried. */
static bool
expire_one(Look *look)
{
	const JobqQueue *queue;
	JobqJob		job;

	jobq_job_read(&job, look->seen);
	queue = jobq_queue_by_id(job.queue);
	if (job.state != JOBQ_STATE_PENDING || job.attempt > 0 || queue == NULL ||
		!queue->at_home)
		return false;
	switch (jobq_job_lock_row(look->jobs, look->seen, look->snapshot,
							  look->locked, &job))
	{
		case JOBQ_FOUND:
			look->bytes += toast_datum_size(job.values[Anum_job_payload - 1]);
			expire_locked(look, &job, queue);
			break;
		case JOBQ_BUSY:
		case JOBQ_MISSING:
			put_off(look, &job, look->locked);
			break;
		case JOBQ_UNWANTED:
			break;
	}
	return true;
}

static int
compare_places(const Place *a, const Place *b)
{
	if (a->expires_at != b->expires_at)
		return a->expires_at < b->expires_at ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &a->tid, (ItemPointer) &b->tid);
}

/* Begins again at a time at the latest. */
static void
go_back(Progress *mine, TimestampTz expires_at)
{
	Place		place = {.expires_at = expires_at};

	/* no entry has this place, and all of that time come after it */
	ItemPointerSet(&place.tid, 0, 0);
	if (compare_places(&place, &mine->done) < 0)
		mine->done = place;
}

/* What was found out by a clock that has been set back since is void. */
static void
follow_clock(TimestampTz now)
{
	static TimestampTz last = DT_NOBEGIN;

	if (now < last)
	{
		progress.began = DT_NOBEGIN;
		progress.low = DT_NOBEGIN;
		progress.busy = JOBQ_NEVER;
		progress.full_at = DT_NOBEGIN;
		progress.full_after = DT_NOBEGIN;
	}
	last = now;
}

/*
 * Finds out where to begin, before the snapshot is taken.  A look that is under
 * way is brought to its end first, lest what lies further up never has its
 * turn.
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
	go_back(mine, mine->low);
	mine->low = JOBQ_NEVER;
	if (mine->busy != JOBQ_NEVER && mine->busy_at <= now)
	{
		go_back(mine, mine->busy);
		mine->busy = JOBQ_NEVER;
	}
	if (mine->full_after <= now &&
		(mine->full_at <= now || mine->changes != changes))
	{
		go_back(mine, DT_NOBEGIN);
		mine->busy = JOBQ_NEVER;
		mine->changes = changes;
		mine->full = true;
	}
}

/* All that is past its time has been looked at. */
static void
end_look(Progress *mine, TimestampTz now)
{
	int64		cost = jobq_now() - mine->began;

	mine->done.expires_at = now;
	ItemPointerSet(&mine->done.tid, InvalidBlockNumber, PG_UINT16_MAX);
	if (mine->full)
	{
		mine->full_at = now + FULL_INTERVAL;
		mine->full_after = now + cost * FULL_SHARE;
	}
	if (mine->busy != JOBQ_NEVER)
		mine->busy_at = Max(mine->busy_at, now + cost * BUSY_SHARE);
	mine->full = false;
	mine->began = DT_NOBEGIN;
}

/* When to have the next look, after one that has come to its end. */
static TimestampTz
next_look(const Look *look)
{
	const Progress *mine = &look->progress;
	TimestampTz next = next_expiry(look);

	if (mine->low != JOBQ_NEVER)
		next = look->now;
	if (mine->busy != JOBQ_NEVER)
		next = Min(next, mine->busy_at);
	if (mine->changes != pg_atomic_read_u64(&jobq_database()->nchanges))
		next = Min(next, Max(mine->full_after, look->now));
	return next;
}

/*
 * Goes through the index from where the look before has ended.  False if it
 * has come to its limit before the end.
 */
static bool
look_at_index(Look *look, int limit)
{
	Place	   *done = &look->progress.done;
	IndexScanDesc scan = begin_scan(look, done->expires_at, false);
	bool		finished = true;
	ItemPointer tid;

	limit *= PASSED_PER_JOB;
	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		Place		place = {.tid = *tid};
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		place.expires_at =
			DatumGetTimestampTz(index_getattr(scan->xs_itup, 1,
											  scan->xs_itupdesc, &isnull));
		if (place.expires_at > look->now)
			break;
		if (compare_places(&place, done) <= 0)
			continue;
		if (limit <= 0 || look->bytes >= MAX_BYTES)
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
 * Ends up to `limit` jobs whose time to live is over.  Returns when to be
 * called next; with *more, at once.  For the coordinator, in a transaction of
 * its own.
 */
TimestampTz
jobq_expire_jobs(int limit, bool *more)
{
	TimestampTz next;
	Progress   *mine;
	Look		look;

	jobq_xact_end_follow(JOBQ_XACT_EXPIRE, at_transaction_end, NULL);
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

	if (look_at_index(&look, limit))
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
