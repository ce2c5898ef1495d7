/*-------------------------------------------------------------------------
 *
 * promise.h
 *	  Promises of processes that give a ticket back to claim again at once.
 *
 * None of these functions throws, allocates or takes a lock, but for that of the
 * databases if the coordinator must be woken.
 *
 * IDENTIFICATION
 *	  src/shared/promise.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_PROMISE_H
#define JOBQ_PROMISE_H

#include "shared/shmem.h"

/*
 * This process has given back a ticket of a queue's gate which is starved.  Returns
 * whether it promises to claim again, so that nobody need be woken for that ticket.
 */
extern bool jobq_promise_make(JobqQueueState *queue);

/* This process is about to draw a ticket of the queue. */
extern void jobq_promise_keep(const JobqQueueState *queue);

/* It is going to wait instead: a worker is woken if one was turned away. */
extern void jobq_promise_break(void);

/*
 * For coordinators: breaks the promises of this database that were made too long
 * ago.  Returns when the next one is due; *broken: workers of some queue must be
 * woken, which is to be looked at.
 */
extern TimestampTz jobq_promises_check(bool *broken);

/* The coordinator of a database leaves: breaks all promises there. */
extern void jobq_promises_end(void);

#endif							/* JOBQ_PROMISE_H */
