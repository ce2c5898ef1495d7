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

#include "queue.h"

extern void jobq_xact_init(void);

/* A job of this queue will be claimable from run_at on. */
extern void jobq_at_commit_ready(const JobqQueue *queue, TimestampTz run_at);

/* The same for njobs jobs. */
extern void jobq_at_commit_ready_many(const JobqQueue *queue,
									  TimestampTz run_at, int njobs);

/*
 * The current (sub)transaction has locked a job of this queue that was ready,
 * and others may have passed it over: if it rolls back, the job is ready again.
 */
extern void jobq_at_abort_ready(const JobqQueue *queue);

/* The coordinator has something to do at that time. */
extern void jobq_at_commit_due(TimestampTz when);

/* A schedule's next_run was written. */
extern void jobq_at_commit_schedule(TimestampTz next_run);

/* A job that belongs to a schedule has ended. */
extern void jobq_at_commit_scheduled_job_end(void);

/* The coordinator is woken for these reasons (JOBQ_WAKE_). */
extern void jobq_at_commit_wake(uint32 reasons);

/* Cached queues, privileges and settings are out of date. */
extern void jobq_at_commit_config_changed(void);

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

/* At once: the coordinator of a database has something to do at that time. */
extern void jobq_note_due(JobqDatabase *database, TimestampTz when);

#endif							/* JOBQ_XACT_H */
