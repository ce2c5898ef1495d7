/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Reading the rows of a table that match the keys of an index.
 *
 * IDENTIFICATION
 *	  src/base/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/scan.h"

#include "compat.h"

#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

/* See scan.h. */
void
jobq_scan_begin_by(JobqScan *scan, JobqTable *table, Oid indexid,
				   ScanKey keys, int nkeys, Snapshot snapshot)
{
	scan->slot = jobq_table_slot(table);
	scan->index = index_open(indexid, AccessShareLock);
	scan->snapshot = NULL;
	scan->scan = jobq_index_beginscan(table->rel, scan->index, snapshot, nkeys);
	index_rescan(scan->scan, keys, nkeys, NULL, 0);
}

/* See scan.h. */
void
jobq_scan_begin(JobqScan *scan, JobqTable *table, Oid indexid, ScanKey keys,
				int nkeys)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	jobq_scan_begin_by(scan, table, indexid, keys, nkeys, snapshot);
	scan->snapshot = snapshot;
}

bool
jobq_scan_next(JobqScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	return index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);
}

void
jobq_scan_end(JobqScan *scan)
{
	index_endscan(scan->scan);
	if (scan->snapshot != NULL)
		UnregisterSnapshot(scan->snapshot);
	index_close(scan->index, AccessShareLock);
}
