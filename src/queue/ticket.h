/*-------------------------------------------------------------------------
 *
 * ticket.h
 *	  Tickets of claims: drawing one before a job is looked for.
 *
 * IDENTIFICATION
 *	  src/queue/ticket.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TICKET_H
#define JOBQ_TICKET_H

#include "queue/ready.h"

/*
 * Draws a ticket for one job of the queue; false if as many as may run are
 * running.  In an executor's transaction, `shared`, jobs run one after the
 * other, and one ticket is enough for all of them.
 *
 * This process keeps it until it goes to a job, or back.  After a rollback it
 * goes back by itself.
 */
extern bool jobq_ticket_draw(const JobqQueue *queue, bool shared);

/* It is the locked job's now.  May raise an error (out of memory). */
extern void jobq_ticket_give(const JobqQueue *queue, int64 job_id);

/* The job that has it could not be claimed: its lock's note is withdrawn. */
extern void jobq_ticket_withdraw(const JobqQueue *queue);

/*
 * No more jobs are looked for.  `left_some`: there may be others, so that
 * those turned away are still to be woken.
 */
extern void jobq_ticket_return(const JobqQueue *queue, bool left_some);

/*
 * Whether a job of the queue could start now.  If not, the caller is told
 * when one could, as if it had been turned away.
 */
extern bool jobq_ticket_is_left(const JobqQueue *queue);

/*
 * A look at the queue without a ticket: keeps its entry in shared memory from
 * becoming another queue's.  False if the queue is gone.
 */
extern bool jobq_ticket_pin(const JobqQueue *queue);
extern void jobq_ticket_unpin(void);

extern void jobq_ticket_init(void);

#endif							/* JOBQ_TICKET_H */
