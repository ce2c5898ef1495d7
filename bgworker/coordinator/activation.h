/*-------------------------------------------------------------------------
 *
 * activation.h
 *	  Starting executors where there is work, by the coordinator.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/activation.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ACTIVATION_H
#define JOBQ_ACTIVATION_H

#include "datatype/timestamp.h"

/* Starting executors; needs a transaction */
extern TimestampTz jobq_activation_start_executors(void);

/* The same without one: what has become of those that were started. */
extern bool jobq_activation_check_executors(void);

/* Whether one of them has exited since that was called. */
extern bool jobq_activation_any_executor_stopped(void);

/*
 * Requests an executor of a role: a queue of it that has no room in shared
 * memory, and so no flag, has a ready job.
 */
extern void jobq_activation_request(Oid role);

/* Woken for JOBQ_WAKE_SLOTS. */
extern void jobq_activation_note_free_slot(void);

#endif							/* JOBQ_ACTIVATION_H */
