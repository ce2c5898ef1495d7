/*-------------------------------------------------------------------------
 *
 * due.h
 *	  Waking the workers of a queue when its delayed jobs become due.
 *
 * IDENTIFICATION
 *	  src/dispatch/due.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_DUE_H
#define JOBQ_DUE_H

#include "datatype/timestamp.h"

/*
 * Wakes executors, waiters and the notifier for each queue that has a ready
 * job, considering all queues or only those that are due.  With without_room,
 * also considers queues without room in shared memory, for which it calls the
 * notifier, or asks for an executor of their owner.
 *
 * Takes a bounded time (due_turn.h), and returns when to look again: at once if
 * there is more to do.  Requests are remembered, so a call that continues needs no
 * flags.
 */
extern TimestampTz jobq_due_wake_queues(bool all, bool without_room,
										void (*notifier) (int32 queue),
										void (*activator) (Oid role));

#endif							/* JOBQ_DUE_H */
