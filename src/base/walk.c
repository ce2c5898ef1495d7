/*-------------------------------------------------------------------------
 *
 * walk.c
 *	  Going through a table some blocks at a time.
 *
 * The coordinator reads large tables in parts, with other tasks in between.
 *
 * IDENTIFICATION
 *	  src/base/walk.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/walk.h"

#include "base/extension.h"
#include "base/subtransaction.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/*
 * A careful walk goes through this many blocks at a time.  Each may have an XID of
 * its own, and many of those in one transaction make others' snapshots slow.
 */
#define CAREFUL_BLOCKS 32

/* How often to complain about the same table. */
#define COMPLAINT_MS (60 * 1000)

/* Rows to be visited. */
typedef struct Range
{
	JobqWalk   *walk;
	ItemPointerData from;
	ItemPointerData to;
} Range;

/* See walk.h. */
BlockNumber
jobq_walk_rows(JobqTable *table, ItemPointer from, ItemPointer to,
			   JobqRowVisitor visit, void *arg)
{
	Snapshot	snapshot = GetActiveSnapshot();
	TupleTableSlot *slot = jobq_table_slot(table);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq walk",
												  ALLOCSET_DEFAULT_SIZES);
	TableScanDesc scan = table_beginscan_tidrange(table->rel, snapshot, from,
												  to);
	BlockNumber stopped = InvalidBlockNumber;

	while (stopped == InvalidBlockNumber &&
		   table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		if (!visit(table, slot, snapshot, arg))
			stopped = ItemPointerGetBlockNumber(&slot->tts_tid);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(context);
	}
	table_endscan(scan);
	MemoryContextDelete(context);
	return stopped;
}

/* For jobq_subtransaction(). */
static void
visit_range(void *arg)
{
	Range	   *range = arg;

	range->walk->stopped = range->walk->visit(&range->from, &range->to,
											  range->walk->arg);
}

/* Visits some rows of a block, and returns the error that they have raised. */
static ErrorData *
try_rows(JobqWalk *walk, BlockNumber block, OffsetNumber first,
		 OffsetNumber last)
{
	Range		range = {.walk = walk};
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	ItemPointerSet(&range.from, block, first);
	ItemPointerSet(&range.to, block, last);
	error = jobq_subtransaction(visit_range, &range);
	if (error != NULL && jobq_error_is_of_server(error))
		ReThrowError(error);
	return error;
}

/* Logs the error of a block, but not too often. */
static void
complain(const JobqWalk *walk, BlockNumber block, const ErrorData *error)
{
	static JobqRelation last_relation;
	static TimestampTz logged_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (walk->relation == last_relation &&
		!TimestampDifferenceExceeds(logged_at, now, COMPLAINT_MS))
		return;
	last_relation = walk->relation;
	logged_at = now;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not process block %u of table \"%s\": %s", block,
					get_rel_name(jobq_relation_oid(walk->relation)),
					error->message),
			 errdetail("The other rows are processed; jobq will try these again later.")));
}

/* Visits the rows of a block, all that can be. */
static void
visit_block(JobqWalk *walk, BlockNumber block)
{
	ErrorData  *error = try_rows(walk, block, FirstOffsetNumber,
								 MaxOffsetNumber);

	if (error == NULL)
		return;
	complain(walk, block, error);
	if (walk->failed == InvalidBlockNumber)
		walk->failed = block;
	for (OffsetNumber i = FirstOffsetNumber;
		 i <= MaxHeapTuplesPerPage && walk->repeatable &&
		 walk->stopped == InvalidBlockNumber; i++)
		(void) try_rows(walk, block, i, i);
}

/* Visits the blocks before `end` from `first` on, one by one. */
static void
visit_carefully(JobqWalk *walk, BlockNumber first, BlockNumber end)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq careful walk",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);

	for (BlockNumber block = first;
		 block < end && walk->stopped == InvalidBlockNumber; block++)
	{
		visit_block(walk, block);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/* See walk.h. */
BlockNumber
jobq_walk(JobqWalk *walk, BlockNumber first, BlockNumber nblocks)
{
	Relation	rel = jobq_relation_open(walk->relation);
	BlockNumber n = RelationGetNumberOfBlocks(rel);
	BlockNumber end;
	Range		range = {.walk = walk};

	table_close(rel, NoLock);
	walk->failed = InvalidBlockNumber;
	walk->stopped = InvalidBlockNumber;
	if (first >= n)
		return InvalidBlockNumber;
	if (walk->careful)
		nblocks = Min(nblocks, CAREFUL_BLOCKS);
	end = n - first > nblocks ? first + nblocks : n;
	ItemPointerSet(&range.from, first, FirstOffsetNumber);
	ItemPointerSet(&range.to, end - 1, MaxOffsetNumber);
	if (walk->careful)
		visit_carefully(walk, first, end);
	else
		visit_range(&range);
	if (walk->stopped != InvalidBlockNumber)
		return walk->stopped;
	return end < n ? end : InvalidBlockNumber;
}
