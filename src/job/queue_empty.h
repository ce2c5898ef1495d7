/*-------------------------------------------------------------------------
 *
 * queue_empty.h
 *	  Removing the jobs of a queue that is being dropped.
 *
 * IDENTIFICATION
 *	  src/job/queue_empty.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_EMPTY_H
#define JOBQ_QUEUE_EMPTY_H

/* The number of the queue's unfinished jobs by the latest snapshot. */
extern int64 jobq_queue_empty_count(int32 queue);

/*
 * Keeps all others from adding jobs to the queue until the end of the transaction.
 * With `force`, interrupts running jobs of the queue that hold its lock because they
 * have added jobs, and deletes free jobs meanwhile, so that hardly any new ones are
 * started.  Raises 42501 and 42704 if the user has lost the queue then.
 */
extern void jobq_queue_empty_lock(int32 queue, bool force);

/* Deletes all jobs of the queue, which must be locked. */
extern void jobq_queue_empty(int32 queue);

#endif							/* JOBQ_QUEUE_EMPTY_H */
