/*-------------------------------------------------------------------------
 *
 * unfinished.h
 *	  How many unfinished jobs queues have, for those with max_queued.
 *
 * The counter of a queue in shared memory has the jobs of committed
 * transactions.  What a transaction adds and ends is noted by level, and added
 * by its commit callback.  Counting begins with the first call that has to know
 * the number: it counts the table, and sets the counter right.
 *
 * IDENTIFICATION
 *	  src/shared/unfinished.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_UNFINISHED_H
#define JOBQ_UNFINISHED_H

#include "shared/shmem.h"

#include "utils/snapshot.h"

/* A count of the table that is under way. */
typedef struct JobqRecount
{
	JobqQueueState *state;
	Oid			storage;		/* file of the table */
	Snapshot	snapshot;		/* registered: by which to count */
	uint32		version;		/* of the counter, and */
	int64		count;			/* its value, when the snapshot was taken */
	bool		certain;		/* all that was about to commit is known: */
	int			n;
	struct JobqCommitting *committing;
} JobqRecount;

/*
 * Jobs of the queue were added (or have ended, if negative) by the current
 * subtransaction.  The rows must have been written: see jobq_count_watch().
 * Does nothing if the queue is not counted; may raise an error (out of memory).
 */
extern void jobq_count_add(JobqQueueState *state, int32 queue, int64 njobs);

/* The same, of a JobqQueue. */
#define jobq_count_jobs(q, njobs) \
	jobq_count_add((q)->state, (q)->id, (njobs))

/* What this transaction has added, and not rolled back. */
extern int64 jobq_count_own(int32 queue);

/* Has the queue counted from now on, or no longer. */
extern void jobq_count_watch(JobqQueueState *state);
extern void jobq_count_unwatch(JobqQueueState *state);

/*
 * The number of committed jobs in this file of the table, and what it means: with
 * UNKNOWN it means nothing.
 */
extern JobqCountKind jobq_count_read(JobqQueueState *state, Oid storage,
									 int64 *count);

/*
 * Begins to count, and ends that with the number of committed jobs that the
 * snapshot has shown.  In between, the counter moves on.
 */
extern void jobq_recount_begin(JobqRecount *recount, JobqQueueState *state,
							   Oid storage);
extern void jobq_recount_end(JobqRecount *recount, int64 njobs,
							 JobqCountKind kind);

extern Size jobq_unfinished_size(void);
extern void jobq_unfinished_startup(void);
extern void jobq_unfinished_init(void);

#endif							/* JOBQ_UNFINISHED_H */
