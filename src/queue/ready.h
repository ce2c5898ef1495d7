/*-------------------------------------------------------------------------
 *
 * ready.h
 *	  Jobs that the current transaction holds, and may give back.
 *
 * IDENTIFICATION
 *	  src/queue/ready.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_READY_H
#define JOBQ_READY_H

#include "queue/ready_new.h"
#include "queue/ready_note.h"

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
 * The current (sub)transaction locks the row of a pending job, so that others
 * pass it over.  If the lock is given back with the job as it was, by rolling
 * back or by a commit without jobq_ready_settle(), others are told.
 *
 * jobq_ready_reserve() gets the memory, and may throw; between it and
 * jobq_ready_note_locked(), which cannot, the row may be locked.
 */
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

#endif							/* JOBQ_READY_H */
