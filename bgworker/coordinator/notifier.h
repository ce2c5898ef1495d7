/*-------------------------------------------------------------------------
 *
 * notifier.h
 *	  NOTIFY for external workers, by the coordinator.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/notifier.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_NOTIFIER_H
#define JOBQ_NOTIFIER_H

#include "datatype/timestamp.h"

/*
 * Notifies queues that are due, for a bounded time; needs a transaction.  Returns
 * when others are; sets *more if that is now.
 */
extern TimestampTz jobq_notifier_notify(bool *more);

/* That transaction was rolled back. */
extern void jobq_notifier_undo(void);

/* for due.c: a queue without room for a flag is to be notified */
extern void jobq_notify_without_room(int32 queue);

#endif							/* JOBQ_NOTIFIER_H */
