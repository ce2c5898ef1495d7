/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  Reading the rows of a table that match the keys of an index.
 *
 * IDENTIFICATION
 *	  src/base/scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCAN_H
#define JOBQ_SCAN_H

#include "base/table.h"

#include "access/genam.h"
#include "utils/snapshot.h"

typedef struct JobqScan
{
	TupleTableSlot *slot;		/* the row that was read last */
	Snapshot	snapshot;		/* by which it was read */
	Relation	index;
	IndexScanDesc scan;
} JobqScan;

/*
 * Begins to read by the latest snapshot.  What this command has written is
 * seen only after CommandCounterIncrement().
 */
extern void jobq_scan_begin(JobqScan *scan, JobqTable *table, Oid indexid,
							ScanKey keys, int nkeys);

/* Reads the next row into the slot; false if there is none. */
extern bool jobq_scan_next(JobqScan *scan);
extern void jobq_scan_end(JobqScan *scan);

#endif							/* JOBQ_SCAN_H */
