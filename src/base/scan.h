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
	Snapshot	snapshot;		/* to be unregistered; NULL: the caller's */
	Relation	index;
	IndexScanDesc scan;
} JobqScan;

/*
 * Begins to read by the latest snapshot.  What this command has written is
 * seen only after CommandCounterIncrement().
 */
extern void jobq_scan_begin(JobqScan *scan, JobqTable *table, Oid indexid,
							ScanKey keys, int nkeys);

/*
 * The same by a snapshot of the caller's, for example a dirty one; it must last as long
 * as the scan.
 */
extern void jobq_scan_begin_by(JobqScan *scan, JobqTable *table, Oid indexid,
							   ScanKey keys, int nkeys, Snapshot snapshot);

/* Reads the next row into the slot; false if there is none. */
extern bool jobq_scan_next(JobqScan *scan);
extern void jobq_scan_end(JobqScan *scan);

#endif							/* JOBQ_SCAN_H */
