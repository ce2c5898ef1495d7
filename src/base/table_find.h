/*-------------------------------------------------------------------------
 *
 * table_find.h
 *	  Finding rows by their keys, and locking them.
 *
 * IDENTIFICATION
 *	  src/base/table_find.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TABLE_FIND_H
#define JOBQ_TABLE_FIND_H

#include "base/table.h"

#include "access/genam.h"
#include "access/skey.h"
#include "utils/snapshot.h"

/* Looks at a row before it is locked; may raise an error. */
typedef bool (*JobqRowFilter) (TupleTableSlot *slot, void *arg);

/* A row to find and lock. */
typedef struct JobqSearch
{
	Oid			indexid;		/* a unique index */
	ScanKey		keys;
	int			nkeys;
	JobqWaitPolicy wait;
	JobqRowFilter filter;		/* NULL: any row will do */
	void	   *arg;			/* of the filter */
} JobqSearch;

extern bool jobq_table_read(JobqTable *table, Oid indexid, ScanKey keys,
							int nkeys, TupleTableSlot *slot);

/*
 * Reads several rows of a table like jobq_table_read(), one after the other.  The index
 * stays open, and all rows are read as they were at the first read since the reader began
 * or rested.  A row may have changed since: changing it as seen tells, but not if this
 * transaction has done that.  So its owner must read no row twice, and must have the reader
 * rest before it waits for a row.
 */
typedef struct JobqReader
{
	JobqTable  *table;
	Relation	index;
	int			nkeys;
	IndexScanDesc scan;			/* these two: NULL while it rests */
	Snapshot	snapshot;
} JobqReader;

extern void jobq_reader_begin(JobqReader *reader, JobqTable *table,
							  Oid indexid, int nkeys);
extern bool jobq_reader_read(JobqReader *reader, ScanKey keys,
							 TupleTableSlot *slot);
extern void jobq_reader_rest(JobqReader *reader);
extern void jobq_reader_end(JobqReader *reader);

extern JobqFindResult jobq_table_find(JobqTable *table, Oid indexid,
									  ScanKey keys, int nkeys,
									  JobqWaitPolicy wait,
									  TupleTableSlot *slot);

/*
 * The same by a name, the only key of the index: without a lock; and with one, for
 * which it waits.
 */
extern bool jobq_table_read_name(JobqTable *table, JobqRelation index,
								 const char *name, TupleTableSlot *slot);
extern bool jobq_table_lock_name(JobqTable *table, JobqRelation index,
								 const char *name, TupleTableSlot *slot);

extern JobqFindResult jobq_table_find_if(JobqTable *table,
										 const JobqSearch *search,
										 TupleTableSlot *slot);
extern JobqFindResult jobq_table_lock(JobqTable *table, ItemPointer tid,
									  Snapshot snapshot,
									  TupleTableSlot *slot);
extern bool jobq_key_is_busy(JobqTable *table, Oid indexid, ScanKey keys,
							 int nkeys, int *pid);

#endif							/* JOBQ_TABLE_FIND_H */
