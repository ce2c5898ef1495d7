/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  Removing finished jobs that need not be kept any longer.
 *
 * The views hide expired rows at once; retention only reclaims disk space.
 * History is a ring of tables (segment.c).  Each segment is written to for a
 * fraction of the time for which completed jobs are kept; jobs that are kept
 * longer, mostly dead letters, are moved when it is emptied.
 *
 * Limits by number, dropped queues and leftover attempts are handled in files of
 * their own, also in small steps.  Progress is remembered only in this process: after a
 * restart or an error, the work starts over.
 *
 * After an error, which a single row may have caused, the work is done
 * carefully for a while: each part, and each block, gets a subtransaction, so
 * that a failure does not stop the rest.
 *
 * IDENTIFICATION
 *	  src/job/retention.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/retention.h"

#include "base/rights.h"
#include "base/statement.h"
#include "base/subtransaction.h"
#include "job/history.h"
#include "job/retention_attempt.h"
#include "job/retention_count.h"
#include "job/retention_gone.h"
#include "job/segment.h"
#include "queue/queue_list.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/late.h"
#include "shared/queue_change.h"
#include "shared/xact_end.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* When to try again what has failed. */
#define RETRY_AFTER USECS_PER_MINUTE

/* How long to be careful after an error: longer than a round takes. */
#define CAREFUL_TIME USECS_PER_DAY

#define TURN_MIN USECS_PER_HOUR
#define TURN_MAX (30 * USECS_PER_DAY)
#define TURNS_PER_KEEP 6		/* turns during which a completed job is kept;
								 * less than there are segments */

/* The parts of the work, each due at a time of its own. */
typedef struct Part
{
	TimestampTz (*run) (TimestampTz now, bool careful);
	void		(*forget) (void);	/* starts over */
	TimestampTz next;
} Part;

static TimestampTz turn_ring(TimestampTz now, bool careful);
static void forget_turn(void);

enum
{
	PART_RING,
	PART_COUNTS,
	PART_GONE,
	PART_ATTEMPTS,
	NPARTS
};

static Part parts[NPARTS] = {
	[PART_RING] = {turn_ring, forget_turn, DT_NOBEGIN},
	[PART_COUNTS] = {jobq_retention_limit_counts,
	jobq_retention_forget_counts, DT_NOBEGIN},
	[PART_GONE] = {jobq_retention_clean_gone,
	jobq_retention_forget_gone, DT_NOBEGIN},
	[PART_ATTEMPTS] = {jobq_retention_clean_attempts,
	jobq_retention_attempts_are_due, DT_NOBEGIN},
};

static bool running = false;
static TimestampTz careful_until = DT_NOBEGIN;

/* How long a segment is written to. */
static int64
turn_length(void)
{
	int64		keep = 0;
	int			n;
	const JobqQueueBrief *queues = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		if (queues[i].keep_completed < 0)
			return TURN_MAX;
		keep = Max(keep, queues[i].keep_completed);
	}
	return Min(Max(keep / TURNS_PER_KEEP, TURN_MIN), TURN_MAX);
}

/* The same, for callers that do not know all queues. */
static int64
update_turn(void)
{
	int64		turn = turn_length();

	pg_atomic_write_u64(&jobq_database()->history_turn, (uint64) turn);
	return turn;
}

/*
 * Whether a dump may be being restored, one table after another: there is no queue yet,
 * or one waits for start().  Rows of history would then be lost with the segment that is
 * emptied, whose queues are not there yet, or which COPY has not committed yet.
 */
static bool
may_be_restoring(void)
{
	int			n;
	const JobqQueueBrief *queues = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		if (!queues[i].at_home)
			return true;
	}
	return n == 0;
}

/* The time since which the current segment has been written to. */
static TimestampTz
current_since(void)
{
	bool		isnull;
	Datum		since;

	if (jobq_statement_run("SELECT history_since FROM jobq_store.service", 0, NULL,
						   NULL) != 1)
		elog(ERROR, "table \"%s\" must have one row", "jobq_store.service");
	since = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						  &isnull);
	return DatumGetTimestampTz(since);
}

/* Locks the row that says which segment is current; does not wait. */
static bool
lock_current(void)
{
	/* start() and stop() lock this row, too */
	return jobq_statement_run("SELECT FROM jobq_store.service"
							  " FOR UPDATE SKIP LOCKED",
							  0, NULL, NULL) == 1;
}

/* Makes a segment the current one. */
static void
set_current(int segment, TimestampTz now)
{
	Oid			types[] = {INT2OID, TIMESTAMPTZOID};
	Datum		values[] = {Int16GetDatum(segment), TimestampTzGetDatum(now)};

	(void) jobq_statement_run("UPDATE jobq_store.service"
							  " SET history_segment = $1, history_since = $2",
							  2, types, values);
	jobq_at_commit_service_changed();
}

/* Inserts a finished job into another segment. */
static void
copy_job(TupleTableSlot *row, JobqTable *table, int segment)
{
	Datum		values[Natts_history];
	bool		nulls[Natts_history];

	memcpy(values, row->tts_values, sizeof(values));
	memcpy(nulls, row->tts_isnull, sizeof(nulls));
	values[Anum_history_segment - 1] = Int16GetDatum((int16) segment);
	jobq_table_insert(table, values, nulls);
}

static const JobqSegmentKind history_kind = {
	.first = JOBQ_REL_HISTORY_0,
	.count = JOBQ_HISTORY_SEGMENTS,
	.is_kept = jobq_history_row_is_kept,
	.copy = copy_job,
	.lock_current = lock_current,
	.set_current = set_current,
};

static JobqSegmentRing history = {
	.kind = &history_kind,.sweep = {.segment = -1}
};

/* See retention.h. */
int
jobq_history_overdue_segment(TimestampTz now)
{
	int64		turn = (int64) pg_atomic_read_u64(&jobq_database()->history_turn);
	JobqElevation elevation;
	TimestampTz since;

	jobq_elevate(&elevation);
	since = current_since();
	jobq_restore(&elevation);
	if (now < since + (turn > 0 ? turn : TURN_MAX) || jobq_segments_are_empty(&history))
		return -1;
	return jobq_segment_next(&history, jobq_history_segment());
}

/* Jobs were removed from history: now remove their attempts. */
static void
clean_attempts(void)
{
	jobq_retention_attempts_are_due();
	parts[PART_ATTEMPTS].next = DT_NOBEGIN;
}

/* Does some of the work on the ring; returns when to continue. */
static TimestampTz
turn_ring(TimestampTz now, bool careful)
{
	int64		turn = update_turn();
	TimestampTz turn_ends = current_since() + turn;
	TimestampTz again;

	if (now < turn_ends)
		return turn_ends;
	if (jobq_segments_are_empty(&history))
	{
		clean_attempts();
		return now + turn;
	}
	if (may_be_restoring())
		return now + TURN_MIN;
	again = jobq_segment_turn(&history, jobq_history_segment(), now, careful);
	if (again != JOBQ_NEVER)
		return again;
	clean_attempts();
	return now;
}

static void
forget_turn(void)
{
	jobq_segment_forget(&history);
}

/*
 * Discards what was remembered in a transaction that is rolled back.  The XIDs
 * cannot be looked up instead, since pg_xact may have been truncated.
 */
static void
at_transaction_end(XactEvent event)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (running && event == XACT_EVENT_ABORT)
	{
		careful_until = jobq_now() + CAREFUL_TIME;
		for (int i = 0; i < NPARTS; i++)
		{
			parts[i].forget();
			parts[i].next = DT_NOBEGIN;
		}
	}
	running = false;
}

/* A part to be run. */
typedef struct PartRun
{
	Part	   *part;
	TimestampTz now;
} PartRun;

/* For jobq_subtransaction(). */
static void
run_part_alone(void *arg)
{
	PartRun    *mine = arg;

	mine->part->next = mine->part->run(mine->now, true);
}

/* Runs a part, so that an error in it does not stop the others. */
static void
run_part_carefully(Part *part, TimestampTz now)
{
	PartRun		mine = {part, now};
	ErrorData  *error = jobq_subtransaction(run_part_alone, &mine);

	if (error == NULL)
		return;
	if (jobq_error_is_of_server(error))
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not remove old jobs from history: %s",
					error->message),
			 errdetail("jobq will try again in a minute.")));
	part->forget();
	part->next = now + RETRY_AFTER;
	jobq_late_note(now, part->next, JOBQ_TASK_FAILS);
}

/* Runs the parts that are due; returns when the next one is. */
static TimestampTz
run(TimestampTz now, bool all)
{
	bool		careful = now < careful_until;
	TimestampTz next = JOBQ_NEVER;

	for (int i = 0; i < NPARTS; i++)
	{
		if (!all && parts[i].next > now)
			;
		else if (careful)
			run_part_carefully(&parts[i], now);
		else
			parts[i].next = parts[i].run(now, false);
		next = Min(next, parts[i].next);
	}
	return next;
}

/*
 * Does the work that is due: the ring, limits by number, old attempts.  Returns
 * when to call it again.  Called by the coordinator in a transaction of its own.
 */
TimestampTz
jobq_retention_run(void)
{
	static TimestampTz next = DT_NOBEGIN;
	static uint64 changes = 0;
	uint64		new_changes = pg_atomic_read_u64(&jobq_database()->nchanges);
	static TimestampTz last = DT_NOBEGIN;
	TimestampTz now = jobq_now();
	JobqElevation elevation;

	/* called whenever any task is due, so this must be cheap */
	if (now < next && now >= last && changes == new_changes)
		return next;

	jobq_xact_end_follow(JOBQ_XACT_RETENTION,
						 JOBQ_XACT_AT_END, at_transaction_end, NULL);
	running = true;
	PushActiveSnapshot(GetTransactionSnapshot());
	jobq_elevate(&elevation);
	SPI_connect();
	/* the clock may have been set back */
	next = run(now, changes != new_changes || now < last);
	SPI_finish();
	jobq_restore(&elevation);
	PopActiveSnapshot();
	changes = new_changes;
	last = now;
	return next;
}
