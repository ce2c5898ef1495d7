/*-------------------------------------------------------------------------
 *
 * due.h
 *	  Waking whoever works a queue when its delayed jobs are due.
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
 * Wake executors, waiters and the notifier for each queue that has a
 * ready job, of all or of those whose time has come; without_room: and of those
 * without room in shared memory, for which it calls the notifier; when to look
 * again
 */
extern TimestampTz jobq_due_wake_queues(bool all, bool without_room,
										void (*notifier) (int32 queue));

#endif							/* JOBQ_DUE_H */
