/*-------------------------------------------------------------------------
 *
 * group_rate.h
 *	  How many jobs of a group start in a time.
 *
 * Nothing here touches a table, allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/group_rate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GROUP_RATE_H
#define JOBQ_GROUP_RATE_H

#include "shared/clock.h"
#include "shared/rate.h"

/* A ticket of a group, for a job that is looked for, and the start that it has reserved. */
typedef struct JobqGroupTicket
{
	JobqGroup  *group;			/* NULL: there is none */
	bool		is_look;		/* see JobqPicking */
	uint32		told;			/* of which jobs it had been told */
	int			max_running;	/* how many jobs it may run, or JOBQ_UNLIMITED */
	int			nback;			/* groups that have come back into the turns
								 * before it was drawn, whether it was or not */
	bool		has_rate;
	bool		has_reserved;	/* a start, see group_rate.c */
	bool		is_unread;		/* what is kept of the last start is to be
								 * read before one can be reserved */
	JobqGcra	rate;
} JobqGroupTicket;

/* These are called with the lock of the queue's stream, held exclusively. */

extern void jobq_group_rate_make(JobqGroup *group);

/* Whether what was kept of the last start is to be read first. */
extern bool jobq_group_rate_is_unread(const JobqGroup *group,
									  const JobqGcra *rate);
extern void jobq_group_rate_learn(JobqGroup *group, TimestampTz kept);

/* Reserves a start, unless the rate allows none now: then opens_at is when it does. */
extern bool jobq_group_rate_reserve(JobqGroup *group, const JobqGcra *rate);
extern void jobq_group_rate_release(JobqGroup *group);

/* The rate may be another one, or the clock was set back: opens_at says nothing. */
extern void jobq_group_rate_forget_time(JobqGroup *group);

/*
 * Whether nothing starts because of the rate, which has not been changed since that was
 * found.  If not, only jobq_group_rate_reserve() knows.  A claim's `now` may be a bit
 * old, and the next start of a burst be possible since.
 */
static inline bool
jobq_group_rate_is_shut(const JobqGroup *group, TimestampTz now)
{
	return group->opens_at > now &&
		group->opens_by == group->key.queue->roster.njudged &&
		group->opens_at > jobq_now();
}

/*
 * Until when the group must stay in memory, as nothing else knows of its starts; 0:
 * it may leave.
 */
extern TimestampTz jobq_group_rate_needed_until(const JobqGroup *group);

/* These take the lock.  The group has a ticket of the caller's. */

/*
 * A job starts for which the ticket's group has reserved a start, if it has a rate,
 * and n other rates have.  Returns its time, which all of them count.
 */
extern TimestampTz jobq_group_rate_start(JobqGroupTicket *ticket,
										 JobqGcraTake *take,
										 const JobqRateStart *others, int n);

/* It has not started after all. */
extern void jobq_group_rate_undo(JobqGroup *group, const JobqGcraTake *take);

/*
 * Reserves a start for another job of the ticket's group, if that has a rate; false if
 * it allows none now.
 */
extern bool jobq_group_rate_reserve_again(JobqGroupTicket *ticket);

/*
 * The same for a ticket that is unread: that is what is kept of the last start, read with
 * the ticket, which has kept the group in memory meanwhile.
 */
extern bool jobq_group_rate_reserve_kept(JobqGroupTicket *ticket,
										 TimestampTz kept);

/* What the ticket has reserved is not needed. */
extern void jobq_group_rate_return(JobqGroupTicket *ticket);

/*
 * Counts a new job of a group of which the caller has a ticket: false if the rate does
 * not let it through, which does not happen with `force`.  `kept` as for
 * jobq_group_rate_learn(), or JOBQ_NEVER.
 */
extern bool jobq_group_rate_admit(JobqGroup *group, const JobqGcra *rate,
								  TimestampTz kept, bool force,
								  JobqGcraTake *take);

/*
 * It was not added after all, or its transaction is rolled back.  False, and it counts,
 * if others have come since.  The group may have left memory; the caller has a pin.
 */
extern bool jobq_group_rate_give_back(JobqQueueState *queue, const char *name,
									  const JobqGcraTake *take);

/*
 * A row that is committed has what a start made of the group's tat, and stands for it if
 * nothing has started since.  The group may have left memory; the caller has a pin.
 */
extern void jobq_group_rate_kept(JobqQueueState *queue, const char *name,
								 JobqGcraTime tat);

#endif							/* JOBQ_GROUP_RATE_H */
