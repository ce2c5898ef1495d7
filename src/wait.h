/*-------------------------------------------------------------------------
 *
 * wait.h
 *	  Waiting for jobs from outside: CALL jobq.wait() and NOTIFY channels.
 *
 * IDENTIFICATION
 *	  src/wait.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_WAIT_H
#define JOBQ_WAIT_H

#include "jobq.h"

/*
 * Wakes up to njobs sessions that are in wait() for the queue and have not
 * been woken.  Callable from commit callbacks: neither throws nor allocates.
 */
extern void jobq_waiters_wake(Oid dboid, int32 queue, int njobs);

/* The NOTIFY channel of a queue, at most 63 bytes; palloc'd. */
extern char *jobq_channel_name(const char *queue);

#endif							/* JOBQ_WAIT_H */
