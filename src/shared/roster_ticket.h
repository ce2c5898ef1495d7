/*-------------------------------------------------------------------------
 *
 * roster_ticket.h
 *	  What a group may start now, and the ticket for it.
 *
 * Each function needs the lock of the queue's stream; none touches a table, allocates
 * or throws.
 *
 * IDENTIFICATION
 *	  src/shared/roster_ticket.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_TICKET_H
#define JOBQ_ROSTER_TICKET_H

#include "shared/group_rate.h"
#include "shared/limit_group.h"

/* What a claim looks for. */
typedef struct JobqPicking
{
	TimestampTz now;
	int			max_running;	/* of each group; JOBQ_UNLIMITED */
	JobqLimitView limit;		/* that the queue shares */
	bool		may_read;		/* JOBQ_TURN_READ_ON is an answer */
	bool		is_first;		/* of a claim: it is one also if there are
								 * groups in turn that have had theirs */
	bool		has_own;		/* it has jobs that are not committed */
	uint64		patience;		/* how groups wait for a full batch, or until
								 * a job is tried again, and their rate: those
								 * that wait are judged again when it changes */
	bool		has_options;	/* groups may have options of their own */
	bool		is_look;		/* no job is claimed: the ticket takes
								 * nobody's place or turn, and claims may draw
								 * others meanwhile */
	bool		no_rates;		/* rates of groups limit new jobs, no starts */
	const JobqGcra *rate;		/* of each group that has none of its own;
								 * NULL: none */
} JobqPicking;

/* How many jobs a group may run; max_running is the queue's limit. */
extern int	jobq_roster_limit_of(const JobqGroup *group, int max_running);

/* Whether a group runs as many jobs as it may. */
extern bool jobq_roster_is_full(const JobqGroup *group, int max_running);

/* Whether something must be read before a ticket can be drawn. */
extern bool jobq_roster_is_unread(const JobqGroup *group, const JobqPicking *how);

/*
 * Fills in a ticket, which is counted already unless it is for a look.  Reserves a start if
 * the group has a rate, unless it is for a look, or unread; false if the rate allows no
 * start now.
 */
extern bool jobq_roster_take_ticket(JobqGroup *group,
									const JobqPicking *how, JobqGroupTicket *ticket);

/*
 * Takes a group that may start no job now out of the turns; whether that was so.  One
 * without tickets may be forgotten.
 */
extern bool jobq_roster_stops(JobqRoster *roster, JobqGroup *group, const JobqPicking *how);

/*
 * If the clock was set back, the first of the groups that are later may be kept off
 * by its rate for longer than it can be: its next ticket finds out.
 */
extern void jobq_roster_check_first_rate(JobqRoster *roster, const JobqPicking *how);

#endif							/* JOBQ_ROSTER_TICKET_H */
