/*-------------------------------------------------------------------------
 *
 * slot_own.h
 *	  What an executor does with its own slot.
 *
 * IDENTIFICATION
 *	  src/shared/slot_own.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SLOT_OWN_H
#define JOBQ_SLOT_OWN_H

#include "shared/slot.h"

extern bool jobq_slot_attach(const JobqWorkerRef *worker, Oid *dboid,
							 Oid *role);
extern bool jobq_slot_detach(const JobqWorkerRef *worker);
extern bool jobq_slot_set_idle(const JobqWorkerRef *worker, int32 *queue);
extern void jobq_slot_set_busy(const JobqWorkerRef *worker);
extern bool jobq_slot_set_leaving(const JobqWorkerRef *worker);
extern bool jobq_slot_must_leave(const JobqWorkerRef *worker);
extern bool jobq_slot_is_dismissed(const JobqWorkerRef *worker);
extern bool jobq_slot_is_called(const JobqWorkerRef *worker);
extern bool jobq_slot_is_too_many(const JobqWorkerRef *worker);
extern bool jobq_slot_want_help(const JobqWorkerRef *worker);

#endif							/* JOBQ_SLOT_OWN_H */
