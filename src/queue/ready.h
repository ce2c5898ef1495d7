/*-------------------------------------------------------------------------
 *
 * ready.h
 *	  Jobs that the current transaction makes claimable, or gives back.
 *
 * IDENTIFICATION
 *	  src/queue/ready.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_READY_H
#define JOBQ_READY_H

#include "queue/queue_wake.h"
#include "shared/lane.h"

/* The ticket of a claimed job: see gate.h. */
typedef enum JobqTicket
{
	JOBQ_TICKET_NONE,
	JOBQ_TICKET_OWN,
	JOBQ_TICKET_LENT			/* that of a job that the same transaction
								 * ends, until it commits */
} JobqTicket;

/* The tickets of a job: of its queue's gate, and of its group. */
typedef struct JobqTickets
{
	JobqTicket	queue;
	JobqGroup  *group;			/* NULL: none */
	bool		group_lent;		/* as JOBQ_TICKET_LENT */
} JobqTickets;

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

/*
 * The current (sub)transaction locks the row of a pending job, so that others
 * pass it over.  If the lock is given back with the job as it was, by rolling
 * back or by a commit without jobq_ready_settle(), others are told.
 *
 * jobq_ready_reserve() gets the memory, for a job of that group (NULL: none), and may
 * throw; between it and jobq_ready_note_locked(), which cannot, the row may be locked.
 */
extern void jobq_ready_reserve(const char *group);
extern void jobq_ready_note_locked(const JobqQueue *queue, const JobqPlace *place);
extern bool jobq_ready_note_locked_again(const JobqQueue *queue,
										 const JobqPlace *place);
extern JobqTickets jobq_ready_withdraw(void);

/* A locked job has been changed: its old version is no longer claimable. */
extern void jobq_ready_settle(int64 job_id);

/*
 * Gives a locked job tickets, which the end of the transaction gives back (may
 * raise an error: out of memory), or takes them from the job.
 */
extern void jobq_ready_put_tickets(const JobqQueue *queue, int64 job_id,
								   const JobqTickets *tickets);
extern JobqTickets jobq_ready_pull_tickets(int64 job_id);

/* Whether this transaction has a ticket of the queue, and of its shared limit. */
extern bool jobq_ready_has_ticket(const JobqQueue *queue);

/*
 * Whether this transaction itself has made jobs of the queue and the group (NULL:
 * without one) claimable, and the place of the first one with the smallest
 * priority above `after`.
 */
extern bool jobq_ready_has_own_jobs(const JobqQueue *queue, const char *group);
extern bool jobq_ready_next_own_job(const JobqQueue *queue, const char *group,
									int after, JobqPlace *place);

/*
 * The next group after that (NULL: the first), by name, in which it has done so;
 * NULL: there is none.
 */
extern const char *jobq_ready_next_own_group(const JobqQueue *queue,
											 const char *after);

#endif							/* JOBQ_READY_H */
