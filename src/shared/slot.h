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

#include "datatype/timestamp.h"

/*
 * How long a job may run after it was told to end, by a cancel or its
 * timeout, before its executor is terminated; microseconds.
 */
#define JOBQ_PATIENCE (5 * INT64CONST(1000000))

/* How long the slot of an executor that gave way is reserved, microseconds. */
#define JOBQ_GIFT_TIME (100 * INT64CONST(1000))

/* The tenant of a slot; the slot may have another one by now. */
typedef struct JobqWorkerRef
{
	int			slot;
	uint64		generation;
} JobqWorkerRef;

/* What an executor was told to do about the job that it runs. */
typedef enum JobqInterruption
{
	JOBQ_NOT_INTERRUPTED,
	JOBQ_CANCELLED,				/* somebody has cancelled the job */
	JOBQ_EVICTED				/* a transaction needs the job out of its way,
								 * and may roll back: as if it had not been
								 * started */
} JobqInterruption;

typedef struct JobqWorkerCounts
{
	int			starting;
	int			idle;			/* and not woken yet */
	int			busy;			/* or woken */
	int			of_role;		/* in all databases, unless it is of all */
	int			total;			/* of all databases and roles */
} JobqWorkerCounts;

/* For everybody. */
extern bool jobq_slot_wake(Oid dboid, Oid role, int32 queue);
extern bool jobq_slot_interrupt(int64 job_id);
extern bool jobq_slot_runs_job(int64 job_id);
extern void jobq_at_commit_interrupt(int64 job_id);
extern void jobq_slots_evict(int32 queue);
extern void jobq_slot_evict_process(int32 queue, pid_t pid);
extern void jobq_slots_leave(Oid dboid);
extern void jobq_workers_look(Oid dboid);
extern void jobq_slots_terminate(Oid dboid);
extern int	jobq_slots_of_database(Oid dboid, bool at_work);
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
extern TimestampTz jobq_slots_terminate_stubborn(void);

/* For the executor in the slot. */
extern bool jobq_slot_attach(const JobqWorkerRef *worker, Oid *dboid,
							 Oid *role);
extern bool jobq_slot_detach(const JobqWorkerRef *worker);
extern bool jobq_slot_set_idle(const JobqWorkerRef *worker, int32 *queue);
extern void jobq_slot_set_busy(const JobqWorkerRef *worker);
extern bool jobq_slot_set_leaving(const JobqWorkerRef *worker);
extern bool jobq_slot_must_leave(const JobqWorkerRef *worker);
extern bool jobq_slot_is_too_many(const JobqWorkerRef *worker);
extern bool jobq_slot_begin_job(const JobqWorkerRef *worker, int32 queue,
								int64 job_id, int32 attempt, int commits,
								int32 *woken_for);
extern bool jobq_slot_want_help(const JobqWorkerRef *worker);
extern bool jobq_slots_want_help(Oid dboid);
extern void jobq_slot_set_leased(const JobqWorkerRef *worker);
extern JobqInterruption jobq_slot_end_job(const JobqWorkerRef *worker);
extern void jobq_slot_forget_job(const JobqWorkerRef *worker);

#endif							/* JOBQ_SLOT_H */
