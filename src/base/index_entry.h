/*-------------------------------------------------------------------------
 *
 * index_entry.h
 *	  Entries of new rows in a table's indexes, without the executor.
 *
 * IDENTIFICATION
 *	  src/base/index_entry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_INDEX_ENTRY_H
#define JOBQ_INDEX_ENTRY_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

/* The indexes of an open table. */
typedef struct JobqIndexes JobqIndexes;

/* Allocated in the current memory context; the caller has locked the table. */
extern JobqIndexes *jobq_indexes_open(Relation table);

/*
 * Makes the entries of rows that have just been inserted.  Does nothing and
 * returns false if only the executor can handle one of the indexes.  A
 * duplicate raises 23505.
 */
extern bool jobq_indexes_insert(JobqIndexes *indexes, TupleTableSlot **slots,
								int nslots);

/* The locks on the indexes are kept to the end of the transaction. */
extern void jobq_indexes_close(JobqIndexes *indexes);

#endif							/* JOBQ_INDEX_ENTRY_H */
