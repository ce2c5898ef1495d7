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

#include "storage/block.h"
#include "utils/snapshot.h"

/* Number of blocks to read in one transaction. */
#define JOBQ_WALK_BLOCKS 256

/* A walk through a table, or part of it. */
typedef struct JobqWalk
{
	JobqRelation relation;

	/*
	 * Visits the rows from one TID to another, and closes what it has opened.
	 * Returns the result of jobq_walk_rows().
	 */
	BlockNumber (*visit) (ItemPointer from, ItemPointer to, void *arg);
	void	   *arg;

	/*
	 * Each block has a subtransaction, so that one with a row that raises an
	 * error is in no other's way; and then each of its rows has one, if they
	 * can be visited twice.
	 */
	bool		careful;
	bool		repeatable;

	BlockNumber failed;			/* out: the first such block, or
								 * InvalidBlockNumber */
	BlockNumber stopped;		/* out: where a visitor has stopped, or
								 * InvalidBlockNumber */
} JobqWalk;

/*
 * Called for each row, in a memory context that is reset after it.  Returns false
 * to stop there: the walk ends, and the next one begins with the same block, whose
 * rows must allow a second visit.
 */
typedef bool (*JobqRowVisitor) (JobqTable *table, TupleTableSlot *row,
								Snapshot snapshot, void *arg);

/*
 * Goes through some blocks of a table from `first` on.  Returns the number of
 * the next block to visit; InvalidBlockNumber after the last one.  An
 * error is raised unless the walk is careful, and if it is the server's.
 */
extern BlockNumber jobq_walk(JobqWalk *walk, BlockNumber first,
							 BlockNumber nblocks);

/*
 * Visits the rows, by the active snapshot, from one TID to another.  Returns
 * the block in which the visitor has stopped, or InvalidBlockNumber.
 */
extern BlockNumber jobq_walk_rows(JobqTable *table, ItemPointer from,
								  ItemPointer to, JobqRowVisitor visit, void *arg);

#endif							/* JOBQ_WALK_H */
