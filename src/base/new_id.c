/*-------------------------------------------------------------------------
 *
 * new_id.c
 *	  Ids of 4 bytes, from a sequence.
 *
 * A transaction that rolls back uses up its ids, and can do so with tens of
 * thousands of them in a second.  So the sequence goes on when the ids are used
 * up, and its numbers stand for the ids from the first one on, without those that
 * are still in use.
 *
 * IDENTIFICATION
 *	  src/base/new_id.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/new_id.h"

#include "base/extension.h"
#include "base/scan.h"
#include "base/sequence.h"

#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

/*
 * Whether an id is in one of the tables, be it in a row that a running transaction has
 * inserted or is deleting.
 */
static bool
is_used(int32 id, const JobqIdPlace *places, int nplaces)
{
	SnapshotData dirty;
	bool		result = false;

	InitDirtySnapshot(dirty);
	for (int i = 0; i < nplaces && !result; i++)
	{
		JobqTable  *table = jobq_table_open(places[i].relation);
		ScanKeyData key;
		JobqScan	scan;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(id));
		jobq_scan_begin_by(&scan, table, jobq_relation_oid(places[i].index),
						   &key, 1, &dirty);
		result = jobq_scan_next(&scan);
		jobq_scan_end(&scan);
		jobq_table_close(table);
	}
	return result;
}

/* See new_id.h. */
int32
jobq_new_id(JobqRelation sequence, const JobqIdPlace *places, int nplaces)
{
	for (;;)
	{
		int64		number = jobq_sequence_take(jobq_relation_oid(sequence), 1);
		int32		id = (int32) ((number - 1) % PG_INT32_MAX) + 1;

		if (number <= PG_INT32_MAX || !is_used(id, places, nplaces))
			return id;
		CHECK_FOR_INTERRUPTS();
	}
}
