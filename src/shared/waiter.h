/*-------------------------------------------------------------------------
 *
 * waiter.h
 *	  The sessions in jobq.wait(), in shared memory.
 *
 * IDENTIFICATION
 *	  src/shared/waiter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_WAITER_H
#define JOBQ_WAITER_H

#include "shared/shmem.h"

/* What a session waits for. */
typedef struct JobqWaiting
{
	int			nqueues;
	int32		queues[JOBQ_MAX_WAIT_QUEUES];
	JobqQueueState *states[JOBQ_MAX_WAIT_QUEUES];
	bool		counted[JOBQ_MAX_WAIT_QUEUES];	/* in states[]->waiting */
} JobqWaiting;

/*
 * Wakes up to njobs waiters of the queue, and has the coordinator look again in
 * a second if others still wait.  Commit callbacks may call it.
 */
extern void jobq_waiters_wake(Oid dboid, int32 queue, int njobs);

/* For the session itself. */
extern void jobq_waiter_register(JobqWaiting *wait);
extern bool jobq_waiter_unregister(JobqWaiting *wait);
extern bool jobq_waiter_was_woken(bool clear);

#endif							/* JOBQ_WAITER_H */
