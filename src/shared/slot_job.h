/*-------------------------------------------------------------------------
 *
 * slot_job.h
 *	  The jobs that executors run, and interrupting them.
 *
 * IDENTIFICATION
 *	  src/shared/slot_job.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SLOT_JOB_H
#define JOBQ_SLOT_JOB_H

#include "shared/lease_entry.h"
#include "shared/slot.h"

/*
 * How long a job may run after it was told to end, by a cancel or its
 * timeout, before its executor is terminated; microseconds.
 */
#define JOBQ_PATIENCE (5 * INT64CONST(1000000))

/* What an executor was told to do about the job that it runs. */
typedef enum JobqInterruption
{
	JOBQ_NOT_INTERRUPTED,
	JOBQ_CANCELLED,				/* somebody has cancelled the job */
	JOBQ_EVICTED				/* a transaction needs the job out of its way,
								 * and may roll back: as if it had not been
								 * started */
} JobqInterruption;

/* Interrupts the executor of this database that runs a job to be cancelled. */
extern void jobq_slot_interrupt(int64 job_id);

/* The same if the job is held by that lease, at once or at the commit. */
extern void jobq_slot_interrupt_lease(const JobqLeaseId *lease);
extern void jobq_at_commit_interrupt(int64 job_id, int64 lease);

/*
 * The jobs that executors of this database run, or those that they run by leases.
 * Return how many; there is room for JOBQ_MAX_WORKER_SLOTS.
 */
extern int	jobq_slots_running(int64 *jobs);
extern int	jobq_slots_leased(JobqLeaseId *leases);

/* For everybody. */
extern bool jobq_slot_runs_job(int64 job_id);
extern TimestampTz jobq_slots_terminate_stubborn(void);

/*
 * Whether the executor that has noted this attempt of this database as not recorded is
 * going to record it; whether there may be any that does such a thing.
 */
extern bool jobq_slot_records(const JobqTermination *termination);
extern bool jobq_slots_are_recording(void);

/*
 * For a transaction that drops a queue, and may roll back: interrupts the executors of
 * this database that run jobs of the queue, unless these are held by leases; or this
 * process, whatever holds its job.  Returns whether that is an executor which runs such
 * a job and is going to end it.
 */
extern void jobq_slots_evict(int32 queue);
extern bool jobq_slot_evict_process(int32 queue, pid_t pid);

/*
 * Whether a process that has locked a job of the queue is an executor that gives it back
 * soon: one that jobq_slots_evict() interrupts, or one without a job of its own, which is
 * about to begin or to record one.
 */
extern bool jobq_slot_gives_way(int32 queue, pid_t pid);

/* For the executor in the slot. */
extern bool jobq_slot_begin_job(const JobqWorkerRef *worker, int32 queue,
								int64 job_id, int32 attempt, bool is_batch,
								int commits, int32 *woken_for);
extern void jobq_slot_set_lease(const JobqWorkerRef *worker, int64 lease);
extern JobqInterruption jobq_slot_end_job(const JobqWorkerRef *worker);
extern void jobq_slot_forget_job(const JobqWorkerRef *worker);
extern void jobq_slot_set_recording(const JobqWorkerRef *worker, bool recording);

#endif							/* JOBQ_SLOT_JOB_H */
