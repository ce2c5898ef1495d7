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
#include "shared/roster_pick.h"

/*
 * Draws a ticket for one job of the queue; false if no more jobs may run.  In an
 * executor's transaction (`shared`) jobs run one after the other, and one ticket
 * is enough for all of them.
 *
 * The process holds the ticket until it is given to a job or returned.  A rollback
 * returns it, too.
 */
extern bool jobq_ticket_draw(const JobqQueue *queue, bool shared);

/*
 * The process also holds a ticket of a group, which was drawn with its turn
 * (roster_pick.h); or gives it back, if it holds one, as jobq_roster_put_back() does.
 */
extern void jobq_ticket_hold_group(const JobqGroupTicket *ticket, bool lent);
extern bool jobq_ticket_has_group(void);
extern bool jobq_ticket_put_back_group(TimestampTz until);

/* The ticket of a group that it holds, NULL: none. */
extern JobqGroupTicket *jobq_ticket_of_group(void);

/*
 * When the group's first job, which another session has locked, is looked at again,
 * in microseconds: later each time, but not later than the time for which it has been
 * so already, or a minute.
 */
extern int64 jobq_ticket_busy_delay(void);

/*
 * Gives the tickets to a locked job, which is going to run.  May raise an error (out
 * of memory).
 */
extern void jobq_ticket_give(const JobqQueue *queue, int64 job_id);

/*
 * Takes the tickets back from a job that could not be claimed, and withdraws the
 * note of its lock.  False if the job had none.
 */
extern bool jobq_ticket_withdraw(const JobqQueue *queue);

/*
 * Ends the search for jobs.  `left_some`: there may be others, so that workers
 * that were turned away must still be woken.
 */
extern void jobq_ticket_return(const JobqQueue *queue, bool left_some);

/*
 * Whether a job of the queue could start now.  If not, workers of the queue are
 * woken when one can, as if this process had been turned away.
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
