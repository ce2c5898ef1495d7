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

#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

BlockNumber
jobq_walk(JobqTable *table, BlockNumber first, BlockNumber nblocks,
		  JobqRowVisitor visit, void *arg)
{
	BlockNumber end = RelationGetNumberOfBlocks(table->rel);
	Snapshot	snapshot = GetActiveSnapshot();
	TupleTableSlot *slot;
	MemoryContext context;
	ItemPointerData from;
	ItemPointerData to;
	TableScanDesc scan;

	if (first >= end)
		return InvalidBlockNumber;
	if (end - first > nblocks)
		end = first + nblocks;
	ItemPointerSet(&from, first, FirstOffsetNumber);
	ItemPointerSet(&to, end - 1, MaxOffsetNumber);
	slot = jobq_table_slot(table);
	context = AllocSetContextCreate(CurrentMemoryContext, "jobq walk",
									ALLOCSET_DEFAULT_SIZES);
	scan = table_beginscan_tidrange(table->rel, snapshot, &from, &to);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		visit(table, slot, snapshot, arg);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(context);
	}
	table_endscan(scan);
	MemoryContextDelete(context);
	return end < RelationGetNumberOfBlocks(table->rel) ?
		end : InvalidBlockNumber;
}
