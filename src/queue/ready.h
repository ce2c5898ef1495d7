/*-------------------------------------------------------------------------
 *
 * ready.h
 *	  Waking others for jobs that the current transaction makes claimable, or
 *	  gives back.
 *
 * IDENTIFICATION
 *	  src/queue/ready.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_READY_H
#define JOBQ_READY_H

#include "queue/queue_row.h"
#include "shared/lane.h"

/* The ticket of a claimed job: see gate.h. */
typedef enum JobqTicket
{
	JOBQ_TICKET_NONE,
	JOBQ_TICKET_OWN,
	JOBQ_TICKET_LENT			/* that of a job that the same transaction
								 * ends, until it commits */
} JobqTicket;

/* What a note knows of its queue: whom to wake, and whether. */
typedef struct JobqQueueNote
{
	JobqQueueState *state;
	int32		queue;
	Oid			owner;			/* of a queue with executors */
	bool		notify;
	bool		at_rest;		/* paused, or not at home */
	int			max_running;
	uint64		position;		/* position in the log of changes at which the
								 * data of the queue was valid */
} JobqQueueNote;

extern void jobq_ready_init(void);

/*
 * A job of this queue, committed with the transaction, will be claimable from
 * its run_at on.  The place is that of its new row.
 */
extern void jobq_at_commit_ready(const JobqQueue *queue,
								 const JobqPlace *place);

/* The same for several jobs of one priority; the place is that of the first. */
extern void jobq_at_commit_ready_many(const JobqQueue *queue,
									  const JobqPlace *first, int njobs);

/* Makes waiters, executors and listeners of the queue look for a job. */
extern void jobq_at_commit_look(const JobqQueue *queue);

/*
 * The current (sub)transaction locks the row of a pending job, so that others
 * pass it over.  If the lock is given back with the job as it was, by rolling
 * back or by a commit without jobq_ready_settle(), others are told.
 *
 * jobq_note_reserve() gets the memory and may throw; between it and
 * jobq_ready_note_locked(), which cannot, the row may be locked.
 */
extern void jobq_ready_note_locked(const JobqQueue *queue, const JobqPlace *place);
extern bool jobq_ready_note_locked_again(const JobqQueue *queue,
										 const JobqPlace *place);
extern JobqTicket jobq_ready_withdraw(void);

/* A locked job has been changed: its old version is no longer claimable. */
extern void jobq_ready_settle(int64 job_id);

/*
 * Gives a locked job a ticket of its queue's gate, which the end of the
 * transaction gives back (may raise an error: out of memory), or takes it from the
 * job.
 */
extern void jobq_ready_put_ticket(const JobqQueue *queue, int64 job_id,
								  JobqTicket ticket);
extern JobqTicket jobq_ready_pull_ticket(int64 job_id);

/* Whether this transaction has a ticket of the queue's gate. */
extern bool jobq_ready_has_ticket(const JobqQueue *queue);

/* For notes of other modules that have tickets to give back. */
extern void jobq_ready_describe_queue(JobqQueueNote *note,
									  const JobqQueue *queue);
extern void jobq_ready_leave_gate(JobqQueueState *gate, uint32 tickets,
								  const JobqQueueNote *note);

/* Raises 0A000 if the queue has a limit: before a claim is prepared. */
extern void jobq_ready_refuse_limited(const JobqQueueNote *note);

/*
 * Whether this transaction itself has made jobs of the queue claimable, and
 * the place of the first one with the smallest priority above `after`.
 */
extern bool jobq_ready_has_own_jobs(const JobqQueue *queue);
extern bool jobq_ready_next_own_job(const JobqQueue *queue, int after,
									JobqPlace *place);

/* Invalidates all knowledge of where jobs are. */
extern void jobq_at_commit_reset_lanes(void);

/*
 * Makes the coordinator check whether the queue, which may be new to it, has
 * ready jobs.
 */
extern void jobq_at_commit_look_again(int32 queue);

/*
 * Announces njobs ready jobs of a queue at once.  May be called in commit
 * callbacks.  `owner` is the owner of a queue with executors, otherwise
 * InvalidOid.
 */
extern void jobq_ready_wake(JobqQueueState *state, int32 queue, Oid owner,
							bool notify, int njobs);

/*
 * Makes the coordinator check at once whether a queue of this database has
 * ready jobs, and start executors even if it was told of work before.  NULL:
 * the queue has no room in shared memory.
 */
extern void jobq_ready_look_now(JobqQueueState *state);

#endif							/* JOBQ_READY_H */
