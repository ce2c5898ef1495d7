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

/* NOTIFY for external workers; needs a transaction */
extern TimestampTz jobq_notifier_notify(void);

/* That transaction was rolled back. */
extern void jobq_notifier_undo(void);

/* for due.c: a queue without room for a flag is to be notified */
extern void jobq_notify_without_room(int32 queue);

#endif							/* JOBQ_NOTIFIER_H */
