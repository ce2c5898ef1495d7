/*-------------------------------------------------------------------------
 *
 * segment.c
 *	  Rings of tables from which old rows are removed a table at a time.
 *
 * A ring consists of segments (tables), one of which is current: it is the one
 * that is written to.  After a time that the owner of the ring decides, the next
 * one, which is the oldest, becomes current.  It is emptied first:
 *
 *	1. Rows that must be kept longer are moved to the current segment, some
 *	   blocks or bytes per transaction, so that every snapshot sees them exactly
 *	   once.  Rows that are locked are left for later.
 *	2. When no snapshot is left that sees them in the old place, the segment is
 *	   truncated and becomes current, in one transaction.  TRUNCATE takes a lock
 *	   that blocks readers, so this is done only while nobody else uses the
 *	   segment; otherwise it is tried again a minute later.
 *
 * A backend looks up the current segment just before it writes.  If the result
 * is already out of date, it writes to the previous segment, which is emptied a
 * whole round later.  Nobody writes to the segment that is being emptied: it was
 * last current a round ago, and the owner keeps turns long.
 *
 * Progress is remembered only in the ring: if it is forgotten, the scan of the
 * segment starts over.
 *
 * IDENTIFICATION
 *	  src/job/segment.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/segment.h"

#include "base/extension.h"
#include "base/row_holder.h"
#include "base/statement.h"
#include "base/table_find.h"
#include "base/walk.h"
#include "job/large_row.h"
#include "jobq.h"
#include "shared/late.h"

#include "access/table.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define RETRY_AFTER USECS_PER_MINUTE

/* For visits to the rows of the segment that is being emptied. */
typedef struct Visit
{
	JobqSegmentRing *ring;
	int			old;			/* its number */
	JobqTable  *current;		/* the current segment */
	int			segment;		/* its number */
	TupleTableSlot *locked;
	TimestampTz now;
	bool		moved;
	int64		bytes;			/* of moved rows */
	TimestampTz again;			/* when to continue, if it has stopped */
} Visit;

void
jobq_segment_forget(JobqSegmentRing *ring)
{
	ring->sweep.segment = -1;
}

int
jobq_segment_next(const JobqSegmentRing *ring, int current)
{
	return (current + 1) % ring->kind->count;
}

static BlockNumber
segment_blocks(const JobqSegmentRing *ring, int segment)
{
	Relation	rel = table_open(jobq_relation_oid(ring->kind->first + segment),
								 AccessShareLock);
	BlockNumber result = RelationGetNumberOfBlocks(rel);

	table_close(rel, AccessShareLock);
	return result;
}

bool
jobq_segments_are_empty(const JobqSegmentRing *ring)
{
	for (int i = 0; i < ring->kind->count; i++)
	{
		if (segment_blocks(ring, i) > 0)
			return false;
	}
	return true;
}

/* Leaves a row that another transaction has locked for later. */
static void
leave_row(Visit *visit, TupleTableSlot *row)
{
	JobqSegmentSweep *sweep = &visit->ring->sweep;

	if (sweep->left_block == InvalidBlockNumber)
		sweep->left_block = ItemPointerGetBlockNumber(&row->tts_tid);
	if (sweep->left_since == JOBQ_NEVER)
		sweep->left_since = visit->now;
	jobq_late_note(sweep->left_since,
				   jobq_late_retry(InvalidOid, sweep->left_since, visit->now),
				   jobq_row_holder(visit->locked));
}

/*
 * Moves a row to the current segment if it must be kept.  Stops after many
 * bytes, or before a large row that has to wait.
 */
static bool
visit_row(JobqTable *table, TupleTableSlot *row, Snapshot snapshot, void *arg)
{
	Visit	   *visit = arg;
	Size		length;

	slot_getallattrs(row);
	if (!visit->ring->kind->is_kept(row))
		return true;
	length = jobq_row_bytes(row);
	if (jobq_large_row_waits(length, visit->now, &visit->again))
		return false;
	switch (jobq_table_lock(table, &row->tts_tid, snapshot, visit->locked))
	{
		case JOBQ_FOUND:
			break;
		case JOBQ_BUSY:
			leave_row(visit, row);
			return true;
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			return true;
	}
	jobq_large_row_begin(length);
	visit->ring->kind->copy(row, visit->current, visit->segment);
	jobq_table_delete(table, visit->locked);
	jobq_large_row_end();
	visit->moved = true;
	visit->bytes += length;
	visit->again = visit->now;
	return visit->bytes < JOBQ_MOVE_BYTES;
}

/* For jobq_walk(). */
static BlockNumber
visit_rows(ItemPointer from, ItemPointer to, void *arg)
{
	Visit	   *visit = arg;
	JobqRelation first = visit->ring->kind->first;
	JobqTable  *table = jobq_table_open(first + visit->old);
	BlockNumber stopped;

	visit->current = jobq_table_open(first + visit->segment);
	visit->locked = jobq_table_slot(table);
	stopped = jobq_walk_rows(table, from, to, visit_row, visit);
	jobq_table_close(visit->current);
	jobq_table_close(table);
	return stopped;
}

/* Notes that rows of this block could not be moved. */
static void
note_failed(JobqSegmentSweep *sweep, BlockNumber block, TimestampTz now)
{
	sweep->failed = true;
	sweep->left_block = Min(sweep->left_block, block);
	if (sweep->left_since == JOBQ_NEVER)
		sweep->left_since = now;
	jobq_late_note(sweep->left_since, now + RETRY_AFTER, JOBQ_TASK_FAILS);
}

static void
begin_sweep(JobqSegmentSweep *sweep, int segment)
{
	sweep->segment = segment;
	sweep->next_block = 0;
	sweep->left_block = InvalidBlockNumber;
	sweep->left_since = JOBQ_NEVER;
	sweep->failed = false;
	sweep->moved_by = InvalidFullTransactionId;
}

/*
 * Moves rows to be kept out of some blocks of a segment.  Returns when to
 * continue, or JOBQ_NEVER if no such row is left.
 */
static TimestampTz
sweep_blocks(JobqSegmentRing *ring, int segment, int current, TimestampTz now,
			 bool careful)
{
	JobqSegmentSweep *sweep = &ring->sweep;
	Visit		visit = {.ring = ring,.old = segment,.segment = current,
	.now = now};
	JobqWalk	walk = {.relation = ring->kind->first + segment,
		.visit = visit_rows,.arg = &visit,.careful = careful,
	.repeatable = true};
	TimestampTz next;

	if (sweep->segment != segment)
		begin_sweep(sweep, segment);
	if (sweep->next_block == InvalidBlockNumber)
		return JOBQ_NEVER;

	sweep->nblocks = segment_blocks(ring, segment);
	sweep->next_block = jobq_walk(&walk, sweep->next_block, JOBQ_WALK_BLOCKS);
	if (walk.failed != InvalidBlockNumber)
		note_failed(sweep, walk.failed, now);
	if (visit.moved)
		sweep->moved_by = GetTopFullTransactionId();
	if (walk.stopped != InvalidBlockNumber)
		return visit.again;
	if (sweep->next_block != InvalidBlockNumber)
		return now;
	if (sweep->left_block == InvalidBlockNumber)
		return visit.moved ? now : JOBQ_NEVER;

	/* the rest of it when those rows are free, or perhaps can be moved */
	next = sweep->failed ? now + RETRY_AFTER :
		jobq_late_retry(InvalidOid, sweep->left_since, now);
	sweep->next_block = sweep->left_block;
	sweep->left_block = InvalidBlockNumber;
	sweep->failed = false;
	return next;
}

/*
 * Whether a snapshot in use still sees rows in their old place.  Snapshots
 * taken from now on do not.
 */
static bool
moved_rows_are_in_use(JobqSegmentSweep *sweep)
{
	int			nvxids = 0;

	if (!FullTransactionIdIsValid(sweep->moved_by))
		return false;
	/* after half of all XIDs there is none, and comparing them is meaningless */
	if (U64FromFullTransactionId(ReadNextFullTransactionId()) -
		U64FromFullTransactionId(sweep->moved_by) < PG_INT32_MAX)
		pfree(GetCurrentVirtualXIDs(XidFromFullTransactionId(sweep->moved_by),
									true, false, 0, &nvxids));
	if (nvxids == 0)
		sweep->moved_by = InvalidFullTransactionId;
	return nvxids > 0;
}

/* Makes a segment without rows to keep the current one; false if not now. */
static bool
take_over(JobqSegmentRing *ring, int segment, TimestampTz now)
{
	JobqSegmentSweep *sweep = &ring->sweep;
	Oid			relid = jobq_relation_oid(ring->kind->first + segment);

	if (moved_rows_are_in_use(sweep) || !ring->kind->lock_current() ||
		!ConditionalLockRelationOid(relid, AccessExclusiveLock))
		return false;
	if (segment_blocks(ring, segment) > sweep->nblocks)
	{
		/* has grown: go through the rest first */
		sweep->next_block = sweep->nblocks;
		return false;
	}

	(void) jobq_statement_run(psprintf("TRUNCATE ONLY %s.%s",
									   JOBQ_STORE_SCHEMA,
									   quote_identifier(get_rel_name(relid))),
							  0, NULL, NULL);
	ring->kind->set_current(segment, now);
	jobq_segment_forget(ring);
	return true;
}

TimestampTz
jobq_segment_turn(JobqSegmentRing *ring, int current, TimestampTz now,
				  bool careful)
{
	int			next = jobq_segment_next(ring, current);
	TimestampTz swept = sweep_blocks(ring, next, current, now, careful);

	if (swept != JOBQ_NEVER)
		return swept;
	return take_over(ring, next, now) ? JOBQ_NEVER : now + RETRY_AFTER;
}
