/*-------------------------------------------------------------------------
 *
 * slot.h
 *	  The slots of the executors in shared memory.
 *
 * None of these functions throws or allocates: commit callbacks and exit
 * callbacks use them.  They take JOBQ_LOCK_WORKERS.
 *
 * IDENTIFICATION
 *	  src/shared/slot.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SLOT_H
#define JOBQ_SLOT_H

#include "shared/shmem.h"

#include "datatype/timestamp.h"
#include "storage/lwlock.h"

/* How long the slot of an executor that gave way is reserved, microseconds. */
#define JOBQ_GIFT_TIME (100 * INT64CONST(1000))

/* The tenant of a slot; the slot may have another one by now. */
typedef struct JobqWorkerRef
{
	int			slot;
	uint64		generation;
} JobqWorkerRef;

typedef struct JobqWorkerCounts
{
	int			starting;
	int			idle;			/* and not woken yet */
	int			busy;			/* or woken */
	int			of_role;		/* in all databases, unless it is of all */
	int			total;			/* of all databases and roles */
} JobqWorkerCounts;

/* The lock of all slots. */
extern void jobq_slots_lock(LWLockMode mode);
extern void jobq_slots_unlock(void);

/* Under that lock: the slot, or NULL if it has another tenant by now. */
extern JobqWorker *jobq_slot_of(const JobqWorkerRef *worker);

/* Under the lock: it begins or ends to record outcomes afresh (slot_job.c). */
extern void jobq_slot_mark_recording(JobqWorker *slot, bool recording);

/* The same as jobq_slot_of(), after taking the lock exclusively, which the caller releases. */
extern JobqWorker *jobq_slot_lock(const JobqWorkerRef *worker);

/* Under the exclusive lock. */
extern void jobq_slot_free(JobqWorker *slot);

/* Under the lock: whether it is idle, and neither woken nor leaving. */
extern bool jobq_slot_is_available(const JobqWorker *slot);

/* For everybody. */
extern bool jobq_slot_wake(Oid dboid, Oid role, int32 queue);
extern void jobq_slots_leave(Oid dboid);
extern void jobq_workers_look(Oid dboid);
extern void jobq_slots_terminate(Oid dboid);
extern int	jobq_slots_of_database(Oid dboid, bool at_work);
extern int	jobq_slots_at_work(Oid dboid, pid_t *pids);
extern bool jobq_worker_is_process(int pid);

/* For coordinators. */
extern void jobq_slots_count(Oid dboid, Oid role, JobqWorkerCounts *counts);
extern bool jobq_slots_have_room(const JobqWorkerCounts *counts);
extern int	jobq_slots_role_with_most(Oid *role);
extern bool jobq_slot_reserve(Oid dboid, Oid role, JobqWorkerRef *worker);
extern bool jobq_slot_unreserve(const JobqWorkerRef *worker);
extern bool jobq_slot_free_idle(Oid dboid, Oid role);
extern void jobq_slot_ask_to_give_way(Oid dboid, Oid role);
extern bool jobq_slots_reap(Oid dboid, TimestampTz before, bool leaving);
extern bool jobq_slots_want_help(Oid dboid);

#endif							/* JOBQ_SLOT_H */
