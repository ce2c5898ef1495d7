/*-------------------------------------------------------------------------
 *
 * enqueue_rate.h
 *	  New jobs, where a queue's rate limits them.
 *
 * IDENTIFICATION
 *	  src/queue/enqueue_rate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ENQUEUE_RATE_H
#define JOBQ_ENQUEUE_RATE_H

#include "queue/queue_row.h"

/*
 * Counts new jobs, and returns how many of them the rate lets through: all if it
 * is not about them, or with `force`.  They are counted until the current
 * (sub)transaction rolls back.  Raises 53200 if shared memory has no room for
 * the queue.
 */
extern int	jobq_enqueue_rate_admit(const JobqQueue *queue, int njobs,
									bool force);

#endif							/* JOBQ_ENQUEUE_RATE_H */
