/*-------------------------------------------------------------------------
 *
 * walk.h
 *	  Going through a table some blocks at a time.
 *
 * IDENTIFICATION
 *	  src/base/walk.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_WALK_H
#define JOBQ_WALK_H

#include "base/table.h"

#include "utils/snapshot.h"

/* Number of blocks to read in one transaction. */
#define JOBQ_WALK_BLOCKS 256

/* Is given each row, in a memory context that is reset after it. */
typedef void (*JobqRowVisitor) (JobqTable *table, TupleTableSlot *row,
								Snapshot snapshot, void *arg);

/*
 * Visits the rows, by the active snapshot, of some blocks of a table from
 * `first` on.  Returns the number of the next block to visit;
 * InvalidBlockNumber after the last one.
 */
extern BlockNumber jobq_walk(JobqTable *table, BlockNumber first,
							 BlockNumber nblocks, JobqRowVisitor visit,
							 void *arg);

#endif							/* JOBQ_WALK_H */
