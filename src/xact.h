/*-------------------------------------------------------------------------
 *
 * xact.h
 *	  What jobq does when the current transaction commits: wake those who
 *	  wait for what it did, keep the registry of leases.
 *
 * Actions are noted while the transaction runs (memory is allocated then) and
 * carried out by the commit callback, which cannot fail.  What a rolled back
 * savepoint noted is forgotten.  PREPARE TRANSACTION forgets all; COMMIT
 * PREPARED has the coordinator look at everything (hooks.c).
 *
 * IDENTIFICATION
 *	  src/xact.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_XACT_H
#define JOBQ_XACT_H

#include "lane.h"
#include "queue.h"

extern void jobq_xact_init(void);

/*
 * A job of this queue, committed with the transaction, will be claimable from
 * its run_at on.  The place is where its row is then.
 */
extern void jobq_at_commit_ready(const JobqQueue *queue,
								 const JobqPlace *place);

/* The same for so many of one priority; the place is that of the first. */
extern void jobq_at_commit_ready_many(const JobqQueue *queue,
									  const JobqPlace *first, int njobs);

/* Waiters, executors and listeners of the queue are to look for a job. */
extern void jobq_at_commit_look(const JobqQueue *queue);

/*
 * The current (sub)transaction locks the row of a pending job, so that others
 * pass it over.  If the lock is given back with the job as it was, by rolling
 * back or by a commit without jobq_note_settled(), others are told.
 *
 * jobq_note_reserve() gets the memory and may throw; between it and
 * jobq_note_locked(), which cannot, the row may be locked.
 */
extern void jobq_note_reserve(void);
extern void jobq_note_locked(const JobqQueue *queue, const JobqPlace *place);
extern bool jobq_note_locked_again(const JobqQueue *queue,
								   const JobqPlace *place);
extern void jobq_note_withdraw(void);

/* A locked job has been changed: it is not claimable any more as it was. */
extern void jobq_note_settled(int64 job_id);

/*
 * Jobs of the queue that this transaction itself has made claimable: whether
 * there are any, and the place of the first of those whose priority is the
 * least one above `after`.
 */
extern bool jobq_has_own_jobs(const JobqQueue *queue);
extern bool jobq_next_own_job(const JobqQueue *queue, int after,
							  JobqPlace *place);

/* All that is known of where jobs are is void. */
extern void jobq_at_commit_reset_lanes(void);

/* A job's expires_at was written: the coordinator has to look at it then. */
extern void jobq_at_commit_due(TimestampTz when);

/* It is to look whether the queue has ready jobs, which may be new to it. */
extern void jobq_at_commit_look_again(int32 queue);

/* A queue of that id is made; what shared memory has of it goes if it is not. */
extern void jobq_at_rollback_forget_queue(int32 queue);

/* A schedule's next_run was written. */
extern void jobq_at_commit_schedule(TimestampTz next_run);

/* A job that belongs to a schedule has ended. */
extern void jobq_at_commit_scheduled_job_end(void);

/* The coordinator is woken for these reasons (JOBQ_WAKE_). */
extern void jobq_at_commit_wake(uint32 reasons);

/*
 * The row of a queue was changed, or its grants.  The owner is its owner; if
 * that has changed, this is called for the former one as well.
 */
extern void jobq_at_commit_queue_changed(int32 queue, Oid owner);

/* The row of the service was changed. */
extern void jobq_at_commit_service_changed(void);

/* Any queue may have been changed, and what else there is. */
extern void jobq_at_commit_all_changed(void);

/* A job is held by a lease from now on, or no longer. */
extern void jobq_at_commit_lease(int64 job_id, int64 lease,
								 TimestampTz until, int procno);
extern void jobq_at_commit_lease_end(int64 job_id, int64 lease);

/* Whoever runs the job in an executor of this database is interrupted. */
extern void jobq_at_commit_interrupt(int64 job_id);

/*
 * At once: a queue has njobs ready jobs.  Callable from commit callbacks.
 * `owner` is that of a queue with executors, else InvalidOid.
 */
extern void jobq_wake_for_queue(JobqQueueState *state, int32 queue, Oid owner,
								bool notify, int njobs);

extern bool jobq_lower_time(pg_atomic_uint64 *time, TimestampTz when);

/* At once: the coordinator of a database has something to do at that time. */
extern void jobq_note_due(JobqDatabase *database, TimestampTz when);

/*
 * The same: it is to look whether a queue of this database has ready jobs; at
 * that time, or now, and to start executors even if it has been told of work
 * before.  NULL: the queue has no room in shared memory.
 */
extern void jobq_note_queue_due(JobqQueueState *state, TimestampTz when);
extern void jobq_note_queue_changed(JobqQueueState *state);

#endif							/* JOBQ_XACT_H */
