/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  How long finished jobs are kept: the ring of history segments.
 *
 * History is a ring of segments (tables), one of which is current and written
 * to.  After a while the next one, which is the oldest, becomes current.  It
 * is emptied first:
 *
 *	1. Rows that must be kept longer (dead letters mostly) move to the segment
 *	   that is written to, some blocks per transaction, so that every snapshot
 *	   sees them once.  Those that somebody has locked are left for later.
 *	2. When no snapshot is left that sees them in the old place, the segment is
 *	   truncated and becomes the one that is written to, in one transaction.
 *	   TRUNCATE wants a lock that keeps readers out, so it is only done when
 *	   nobody else uses the segment at the moment; else a minute later.
 *
 * The views hide expired rows at once; retention only reclaims disk space.
 *
 * A backend that finishes a job looks up the current segment right before it
 * writes (queue.c).  If that is just out of date, it writes to the previous
 * segment, which is emptied seven turns later.  Nobody writes to the segment
 * that is being emptied, since it has not been current for seven turns of at
 * least an hour.
 *
 * Limits by number and leftover attempts are handled in files of their own,
 * also in small parts.  All progress is remembered only in this process: after
 * a restart or an error, everything begins again.
 *
 * IDENTIFICATION
 *	  src/job/retention.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/retention.h"

#include "base/extension.h"
#include "base/rights.h"
#include "base/statement.h"
#include "base/walk.h"
#include "job/history.h"
#include "job/retention_attempt.h"
#include "job/retention_count.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/late.h"
#include "shared/queue_change.h"
#include "shared/xact_end.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define TURN_MIN USECS_PER_HOUR
#define TURN_MAX (30 * USECS_PER_DAY)
#define TURNS_PER_KEEP 6		/* turns during which a completed job is kept;
								 * less than there are segments */
#define RETRY_AFTER USECS_PER_MINUTE

/* Progress of emptying a segment. */
typedef struct Sweep
{
	int			segment;		/* -1: none is being emptied */
	BlockNumber next_block;		/* InvalidBlockNumber: the end was reached */
	BlockNumber nblocks;		/* when it was */
	BlockNumber left_block;		/* the first one with rows that were locked */
	TimestampTz left_since;		/* when such rows were first found */
	FullTransactionId moved_by; /* the last transaction that moved rows, if a
								 * snapshot may be in use that does not see
								 * that */
} Sweep;

/* A visit to rows of the segment. */
typedef struct Visit
{
	JobqTable  *current;		/* the segment that is written to */
	int			segment;		/* its number */
	TupleTableSlot *locked;
	TimestampTz now;
	bool		moved;
} Visit;

/* The parts of the work, each with its own time. */
typedef struct Part
{
	TimestampTz (*run) (TimestampTz now);
	TimestampTz next;
} Part;

static TimestampTz turn_ring(TimestampTz now);

enum
{
	PART_RING,
	PART_COUNTS,
	PART_ATTEMPTS,
	NPARTS
};

static Part parts[NPARTS] = {
	[PART_RING] = {turn_ring, DT_NOBEGIN},
	[PART_COUNTS] = {jobq_retention_limit_counts, DT_NOBEGIN},
	[PART_ATTEMPTS] = {jobq_retention_clean_attempts, DT_NOBEGIN},
};

static Sweep sweep = {.segment = -1};
static bool running = false;

static BlockNumber
segment_blocks(int segment)
{
	Relation	rel = table_open(jobq_relation_oid(JOBQ_REL_HISTORY_0 + segment),
								 AccessShareLock);
	BlockNumber result = RelationGetNumberOfBlocks(rel);

	table_close(rel, AccessShareLock);
	return result;
}

static bool
history_is_empty(void)
{
	for (int i = 0; i < JOBQ_HISTORY_SEGMENTS; i++)
	{
		if (segment_blocks(i) > 0)
			return false;
	}
	return true;
}

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

/* Since when the current segment is written to. */
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

/* Moves a row to the current segment, if it is to be kept. */
static void
visit_row(JobqTable *table, TupleTableSlot *row, Snapshot snapshot, void *arg)
{
	Visit	   *visit = arg;
	Datum		values[Natts_history];
	bool		nulls[Natts_history];

	slot_getallattrs(row);
	if (!jobq_history_row_is_kept(row))
		return;
	switch (jobq_table_lock(table, &row->tts_tid, snapshot, visit->locked))
	{
		case JOBQ_FOUND:
			break;
		case JOBQ_BUSY:
			if (sweep.left_block == InvalidBlockNumber)
				sweep.left_block = ItemPointerGetBlockNumber(&row->tts_tid);
			if (sweep.left_since == JOBQ_NEVER)
				sweep.left_since = visit->now;
			jobq_late_note(sweep.left_since,
						   jobq_late_retry(sweep.left_since, visit->now),
						   jobq_row_holder(visit->locked));
			return;
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			return;
	}
	memcpy(values, row->tts_values, sizeof(values));
	memcpy(nulls, row->tts_isnull, sizeof(nulls));
	values[Anum_history_segment - 1] = Int16GetDatum((int16) visit->segment);
	jobq_table_insert(visit->current, values, nulls);
	jobq_table_delete(table, visit->locked);
	visit->moved = true;
}

static void
begin_sweep(int segment)
{
	sweep.segment = segment;
	sweep.next_block = 0;
	sweep.left_block = InvalidBlockNumber;
	sweep.left_since = JOBQ_NEVER;
	sweep.moved_by = InvalidFullTransactionId;
}

/*
 * Moves rows to be kept out of some blocks of a segment.  Returns when to
 * continue, or JOBQ_NEVER if no such row is left.
 */
static TimestampTz
sweep_blocks(int segment, int current, TimestampTz now)
{
	JobqTable  *table;
	Visit		visit = {.segment = current,.now = now};

	if (sweep.segment != segment)
		begin_sweep(segment);
	if (sweep.next_block == InvalidBlockNumber)
		return JOBQ_NEVER;

	table = jobq_table_open(JOBQ_REL_HISTORY_0 + segment);
	visit.current = jobq_table_open(JOBQ_REL_HISTORY_0 + current);
	visit.locked = jobq_table_slot(table);
	sweep.nblocks = RelationGetNumberOfBlocks(table->rel);
	sweep.next_block = jobq_walk(table, sweep.next_block, JOBQ_RETENTION_BLOCKS,
								 visit_row, &visit);
	jobq_table_close(visit.current);
	jobq_table_close(table);
	if (visit.moved)
		sweep.moved_by = GetTopFullTransactionId();
	if (sweep.next_block != InvalidBlockNumber)
		return now;
	if (sweep.left_block == InvalidBlockNumber)
		return visit.moved ? now : JOBQ_NEVER;

	/* the rest of it when those rows are free */
	sweep.next_block = sweep.left_block;
	sweep.left_block = InvalidBlockNumber;
	return jobq_late_retry(sweep.left_since, now);
}

/*
 * Whether a snapshot in use still sees rows in their old place.  Snapshots
 * taken from now on do not.
 */
static bool
moved_rows_are_in_use(void)
{
	int			nvxids = 0;

	if (!FullTransactionIdIsValid(sweep.moved_by))
		return false;
	/* after half of all XIDs there is none, and comparing them is meaningless */
	if (U64FromFullTransactionId(ReadNextFullTransactionId()) -
		U64FromFullTransactionId(sweep.moved_by) < PG_INT32_MAX)
		pfree(GetCurrentVirtualXIDs(XidFromFullTransactionId(sweep.moved_by),
									true, false, 0, &nvxids));
	if (nvxids == 0)
		sweep.moved_by = InvalidFullTransactionId;
	return nvxids > 0;
}

/* Makes a segment without rows to keep the current one. */
static bool
take_over(int segment, TimestampTz now)
{
	Oid			types[] = {INT2OID, TIMESTAMPTZOID};
	Datum		values[2];

	/* start() and stop() lock the row, and are not waited for */
	if (moved_rows_are_in_use() ||
		jobq_statement_run("SELECT FROM jobq_store.service FOR UPDATE SKIP LOCKED", 0,
						   NULL, NULL) != 1 ||
		!ConditionalLockRelationOid(jobq_relation_oid(JOBQ_REL_HISTORY_0 +
													  segment),
									AccessExclusiveLock))
		return false;
	if (segment_blocks(segment) > sweep.nblocks)
	{
		/* has grown: go through the rest first */
		sweep.next_block = sweep.nblocks;
		return false;
	}

	jobq_statement_run(psprintf("TRUNCATE ONLY jobq_store.history_%d", segment), 0, NULL,
					   NULL);
	values[0] = Int16GetDatum(segment);
	values[1] = TimestampTzGetDatum(now);
	jobq_statement_run("UPDATE jobq_store.service"
					   " SET history_segment = $1, history_since = $2",
					   2, types, values);
	jobq_at_commit_service_changed();
	sweep.segment = -1;
	return true;
}

/* See history.h. */
int
jobq_history_overdue_segment(TimestampTz now)
{
	int64		turn = (int64) pg_atomic_read_u64(&jobq_database()->history_turn);
	JobqElevation elevation;
	TimestampTz since;

	jobq_elevate(&elevation);
	since = current_since();
	jobq_restore(&elevation);
	if (now < since + (turn > 0 ? turn : TURN_MAX) || history_is_empty())
		return -1;
	return (jobq_history_segment() + 1) % JOBQ_HISTORY_SEGMENTS;
}

/* Jobs were removed from history: their attempts are removed next. */
static void
clean_attempts(void)
{
	jobq_retention_attempts_are_due();
	parts[PART_ATTEMPTS].next = DT_NOBEGIN;
}

/* Does part of the work on the ring; returns when to continue. */
static TimestampTz
turn_ring(TimestampTz now)
{
	int			current = jobq_history_segment();
	int			next = (current + 1) % JOBQ_HISTORY_SEGMENTS;
	int64		turn = update_turn();
	TimestampTz turn_ends = current_since() + turn;
	TimestampTz swept;

	if (now < turn_ends)
		return turn_ends;
	if (history_is_empty())
	{
		clean_attempts();
		return now + turn;
	}
	swept = sweep_blocks(next, current, now);
	if (swept != JOBQ_NEVER)
		return swept;
	if (!take_over(next, now))
		return now + RETRY_AFTER;
	clean_attempts();
	return now;
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
		sweep.segment = -1;
		jobq_retention_forget_counts();
		jobq_retention_attempts_are_due();
		for (int i = 0; i < NPARTS; i++)
			parts[i].next = DT_NOBEGIN;
	}
	running = false;
}

/* Runs the parts that are due; returns when the next one is. */
static TimestampTz
run(TimestampTz now, bool all)
{
	TimestampTz next = JOBQ_NEVER;

	for (int i = 0; i < NPARTS; i++)
	{
		if (all || parts[i].next <= now)
			parts[i].next = parts[i].run(now);
		next = Min(next, parts[i].next);
	}
	return next;
}

/*
 * Does what is due: the ring, limits by number, old attempts.  Returns when to
 * call it again.  Called by the coordinator in a transaction of its own.
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

	/* called whenever any task is due: must be cheap */
	if (now < next && now >= last && changes == new_changes)
		return next;

	jobq_xact_end_follow(JOBQ_XACT_RETENTION, at_transaction_end, NULL);
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
