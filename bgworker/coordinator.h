/*-------------------------------------------------------------------------
 *
 * coordinator.h
 *	  The parts of the coordinator.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COORDINATOR_H
#define JOBQ_COORDINATOR_H

#include "shmem.h"

/*
 * Those that return a time want to be called again then, or when the
 * coordinator is woken for work.
 */

/* activation.c: starting executors; needs a transaction */
extern TimestampTz jobq_activate_executors(void);

/* The same without one: what has become of those that were started. */
extern bool jobq_check_executors(void);

/* Woken for JOBQ_WAKE_SLOTS. */
extern void jobq_note_free_slot(void);

/* notifier.c: NOTIFY for external workers; needs a transaction */
extern TimestampTz jobq_notify_queues(void);

/* That transaction was rolled back. */
extern void jobq_notify_undo(void);

/* attempt_count.c: attempts that ended early; needs a transaction */
extern TimestampTz jobq_count_attempts(bool *more);

/* That transaction was rolled back. */
extern void jobq_count_undo(void);

/* for due.c: a queue without room for a flag is to be notified */
extern void jobq_notify_without_room(int32 queue);

#endif							/* JOBQ_COORDINATOR_H */
