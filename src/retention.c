/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  How long finished jobs are kept: history's ring, limits by number, and
 *	  what is left of attempts.
 *
 * History is a ring of segments (tables).  One is written to.  After a while
 * the next one, which is the oldest, takes over.  It is emptied first:
 *
 *	1. Rows that must be kept longer (dead letters mostly) move to the segment
 *	   that is written to, some blocks per transaction, by DELETE and INSERT,
 *	   so that every snapshot sees them once.
 *	2. When no snapshot is left that sees them in the old place, the segment is
 *	   truncated and becomes the one that is written to, in one transaction.
 *	   TRUNCATE wants a lock that keeps readers out, so it is only done when
 *	   nobody else uses the segment at the moment; else a minute later.
 *
 * The views hide what is past its time from the first moment on; this here is
 * about disk space.
 *
 * Those who finish a job look up the current segment right before they write
 * (queue.c).  One whose knowledge is out of date by a moment writes to the
 * segment that was current before: this one is emptied seven turns later.
 * Nobody writes to the segment that is being emptied, since it has not been
 * the current one for seven turns of an hour at least.
 *
 * Progress within a segment is remembered in this process only: after a
 * restart it is gone through again.
 *
 * IDENTIFICATION
 *	  src/retention.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "history.h"
#include "maintenance.h"
#include "queue.h"
#include "table.h"
#include "xact.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define TURN_MIN USECS_PER_HOUR
#define TURN_MAX (30 * USECS_PER_DAY)
#define TURNS_PER_KEEP 6		/* turns during which a completed job is kept;
								 * less than there are segments */
#define RETRY_AFTER USECS_PER_MINUTE
#define COUNTS_EVERY (10 * USECS_PER_MINUTE)
#define BLOCKS_PER_BATCH 256

/* What must stay though its segment is emptied. */
#define KEPT \
	"jobq_store.is_kept(h.queue, h.state, h.finished_at, h.unique_for)"

#define COLUMNS_BEFORE_SEGMENT \
	"id, run_at, finished_at, queue, attempt, priority, state"
#define COLUMNS_AFTER_SEGMENT \
	"max_attempts, lease, started_at, enqueued_at, timeout, unique_for," \
	" worker, unique_key, group_key, tags, headers, progress, command," \
	" error, sqlstate, result, payload"

/* How far the emptying of a segment has come. */
typedef struct Sweep
{
	int			segment;		/* -1: none is being emptied */
	BlockNumber next_block;		/* blocks before it have no row to keep */
	TransactionId moved_by;		/* last transaction that moved rows */
} Sweep;

static Sweep sweep = {-1, 0, InvalidTransactionId};
static bool attempts_are_due = true;
static TimestampTz counts_are_due = DT_NOBEGIN;
static int64 counted_inserts = -1;

/* Runs a statement on the latest snapshot; returns the number of rows. */
static uint64
execute(const char *sql, int nargs, Oid *types, Datum *values)
{
	if (SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	return SPI_processed;
}

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

/* The same, told to those who do not know all queues. */
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

	if (execute("SELECT history_since FROM jobq_store.service", 0, NULL,
				NULL) != 1)
		elog(ERROR, "table \"%s\" must have one row", "jobq_store.service");
	since = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						  &isnull);
	return DatumGetTimestampTz(since);
}

/*
 * Moves rows to be kept out of some blocks of a segment.  True if the segment
 * has been gone through and what was moved is committed.
 */
static bool
sweep_blocks(int segment, int current, TimestampTz now)
{
	BlockNumber nblocks = segment_blocks(segment);
	Oid			types[] = {TIMESTAMPTZOID, TIDOID, TIDOID, INT2OID};
	ItemPointerData from;
	ItemPointerData to;
	Datum		values[4];
	uint64		moved;
	char	   *sql;

	/* the move that came last may have been rolled back */
	if (sweep.segment != segment ||
		(TransactionIdIsValid(sweep.moved_by) &&
		 !TransactionIdDidCommit(sweep.moved_by)))
	{
		sweep.segment = segment;
		sweep.next_block = 0;
		sweep.moved_by = InvalidTransactionId;
	}
	if (sweep.next_block >= nblocks)
		return true;

	ItemPointerSet(&from, sweep.next_block, 0);
	ItemPointerSet(&to, sweep.next_block + BLOCKS_PER_BATCH, 0);
	values[0] = TimestampTzGetDatum(now);
	values[1] = PointerGetDatum(&from);
	values[2] = PointerGetDatum(&to);
	values[3] = Int16GetDatum(current);
	sql = psprintf("WITH moved AS (DELETE FROM jobq_store.history_%d AS h"
				   " WHERE h.ctid OPERATOR(pg_catalog.>=) $2"
				   " AND h.ctid OPERATOR(pg_catalog.<) $3"
				   " AND " KEPT " RETURNING h.*)"
				   " INSERT INTO jobq_store.history_%d"
				   " (" COLUMNS_BEFORE_SEGMENT ", segment, "
				   COLUMNS_AFTER_SEGMENT ")"
				   " SELECT " COLUMNS_BEFORE_SEGMENT ", $4, "
				   COLUMNS_AFTER_SEGMENT " FROM moved", segment, current);
	moved = execute(sql, lengthof(values), types, values);
	/* not before: an error must not make these blocks count as done */
	sweep.next_block += BLOCKS_PER_BATCH;
	if (moved > 0)
	{
		sweep.moved_by = GetTopTransactionId();
		return false;
	}
	return sweep.next_block >= nblocks;
}

/*
 * Whether a snapshot is in use that sees rows where they were before they
 * were moved.
 */
static bool
moved_rows_are_in_use(void)
{
	int			nvxids = 0;

	if (!TransactionIdIsValid(sweep.moved_by))
		return false;
	pfree(GetCurrentVirtualXIDs(sweep.moved_by, true, false, 0, &nvxids));
	return nvxids > 0;
}

/* Makes a segment without rows to keep the current one. */
static bool
take_over(int segment, TimestampTz now)
{
	Oid			types[] = {INT2OID, TIMESTAMPTZOID};
	Datum		values[2];

	if (moved_rows_are_in_use() ||
		!ConditionalLockRelationOid(jobq_relation_oid(JOBQ_REL_HISTORY_0 +
													  segment),
									AccessExclusiveLock))
		return false;
	if (segment_blocks(segment) > sweep.next_block)
		return false;			/* has grown: go through the rest first */

	execute(psprintf("TRUNCATE ONLY jobq_store.history_%d", segment), 0, NULL,
			NULL);
	values[0] = Int16GetDatum(segment);
	values[1] = TimestampTzGetDatum(now);
	execute("UPDATE jobq_store.service"
			" SET history_segment = $1, history_since = $2",
			2, types, values);
	jobq_at_commit_service_changed();
	sweep.segment = -1;
	return true;
}

/*
 * Deletes the attempts of jobs that are gone.  Not those of queues that came
 * here with a copy: a dump may just be being restored, table after table.
 */
static void
delete_attempts(void)
{
	Oid			types[] = {INT8OID, OIDOID};
	Datum		values[2];

	values[0] = Int64GetDatum(jobq_system_identifier());
	values[1] = ObjectIdGetDatum(MyDatabaseId);
	execute("DELETE FROM jobq_store.attempt AS a"
			" USING jobq_store.queue AS q"
			" WHERE q.id OPERATOR(pg_catalog.=) a.queue"
			" AND q.system_identifier OPERATOR(pg_catalog.=) $1"
			" AND q.database OPERATOR(pg_catalog.=) $2"
			" AND NOT EXISTS (SELECT FROM jobq_store.job AS j"
			" WHERE j.id OPERATOR(pg_catalog.=) a.job_id)"
			" AND NOT EXISTS (SELECT FROM jobq_store.history AS h"
			" WHERE h.id OPERATOR(pg_catalog.=) a.job_id)",
			lengthof(values), types, values);
}

/* Deletes all but the newest finished jobs of a queue. */
static void
limit_count(int32 queue, bool completed, int count, TimestampTz now)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID, INT4OID, BOOLOID};
	Datum		values[4];

	if (count < 0)
		return;
	values[0] = TimestampTzGetDatum(now);
	values[1] = Int32GetDatum(queue);
	values[2] = Int32GetDatum(count);
	values[3] = BoolGetDatum(completed);
	execute("DELETE FROM jobq_store.history AS d USING ("
			"SELECT h.id, h.segment FROM jobq_store.history AS h"
			" WHERE h.queue OPERATOR(pg_catalog.=) $2"
			" AND (h.state OPERATOR(pg_catalog.=) 3::smallint)"
			" OPERATOR(pg_catalog.=) $4"
			" AND (h.unique_key IS NULL OR h.unique_for IS NULL"
			" OR h.unique_for OPERATOR(pg_catalog.<=)"
			" ($1 OPERATOR(pg_catalog.-) h.finished_at))"
			" ORDER BY h.finished_at DESC, h.id DESC OFFSET $3) AS old"
			" WHERE d.id OPERATOR(pg_catalog.=) old.id"
			" AND d.segment OPERATOR(pg_catalog.=) old.segment",
			lengthof(values), types, values);
}

/* A number that grows with the rows written to history. */
static int64
history_inserts(void)
{
	int64		result = 0;

	for (int i = 0; i < JOBQ_HISTORY_SEGMENTS; i++)
	{
		PgStat_StatTabEntry *entry =
		pgstat_fetch_stat_tabentry(jobq_relation_oid(JOBQ_REL_HISTORY_0 + i));

		if (entry != NULL)
			result += entry->tuples_inserted;
	}
	return result;
}

/*
 * Applies keep_completed_count and keep_dead_count, if jobs have finished
 * since the last time.  Returns when to be called again.
 */
static TimestampTz
limit_counts(TimestampTz now)
{
	bool		limited = false;
	int64		inserts;
	int			n;
	const JobqQueueBrief *queues = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
		limited |= queues[i].keep_completed_count >= 0 ||
			queues[i].keep_dead_count >= 0;
	if (!limited)
		return JOBQ_NEVER;
	if (now < counts_are_due)
		return counts_are_due;

	counts_are_due = now + COUNTS_EVERY;
	inserts = history_inserts();
	if (inserts != counted_inserts)
	{
		for (int i = 0; i < n; i++)
		{
			limit_count(queues[i].id, true, queues[i].keep_completed_count,
						now);
			limit_count(queues[i].id, false, queues[i].keep_dead_count, now);
		}
		counted_inserts = inserts;
	}
	return counts_are_due;
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

/* Does a part of what is to be done; returns when to go on. */
static TimestampTz
run(TimestampTz now)
{
	TimestampTz counts_next = limit_counts(now);
	int			current = jobq_history_segment();
	int			next = (current + 1) % JOBQ_HISTORY_SEGMENTS;
	int64		turn = update_turn();
	TimestampTz turn_ends = current_since() + turn;

	if (attempts_are_due)
	{
		delete_attempts();
		attempts_are_due = false;
	}
	if (now < turn_ends)
		return Min(turn_ends, counts_next);
	if (history_is_empty())
	{
		attempts_are_due = true;
		return Min(now + turn, counts_next);
	}
	if (!sweep_blocks(next, current, now))
		return now;
	if (!take_over(next, now))
		return now + RETRY_AFTER;
	attempts_are_due = true;
	return now;
}

/* See maintenance.h. */
TimestampTz
jobq_retention_run(void)
{
	static TimestampTz next = DT_NOBEGIN;
	static uint64 changes = 0;
	uint64		new_changes = pg_atomic_read_u64(&jobq_database()->nchanges);
	TimestampTz now = jobq_now();
	JobqElevation elevation;

	/* called whenever anything is due: that must cost nothing */
	if (now < next && changes == new_changes)
		return next;

	PushActiveSnapshot(GetTransactionSnapshot());
	jobq_elevate(&elevation);
	SPI_connect();
	next = run(now);
	SPI_finish();
	jobq_restore(&elevation);
	PopActiveSnapshot();
	changes = new_changes;
	return next;
}
