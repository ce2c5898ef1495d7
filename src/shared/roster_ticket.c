/*-------------------------------------------------------------------------
 *
 * roster_ticket.c
 *	  What a group may start now, and the ticket for it.
 *
 * IDENTIFICATION
 *	  src/shared/roster_ticket.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_ticket.h"

#include "shared/gate.h"
#include "shared/group.h"
#include "shared/group_rate.h"
#include "shared/limit_group.h"
#include "shared/roster.h"
#include "shared/roster_memory.h"
#include "shared/roster_place.h"

/* Whether the group has a limit of its own. */
static bool
has_own_limit(const JobqGroup *group)
{
	return group->knows_options && group->options.max_running > 0;
}

/* See roster_ticket.h. */
int
jobq_roster_limit_of(const JobqGroup *group, int max_running)
{
	return has_own_limit(group) ? group->options.max_running : max_running;
}

/* See roster_ticket.h. */
bool
jobq_roster_is_full(const JobqGroup *group, int max_running)
{
	max_running = jobq_roster_limit_of(group, max_running);
	return max_running != JOBQ_UNLIMITED &&
		group->running >= (uint32) max_running;
}

/* The rate of a group's starts, NULL: none; *own has room for it. */
static const JobqGcra *
rate_of(const JobqGroup *group, const JobqPicking *how, JobqGcra *own)
{
	if (how->no_rates)
		return NULL;
	if (group->knows_options && group->options.rate_limit > 0 &&
		jobq_gcra_make(own, group->options.rate_limit,
					   group->options.rate_period,
					   group->options.rate_burst) == JOBQ_GCRA_OK)
		return own;
	return how->rate;
}

/* See roster_ticket.h. */
void
jobq_roster_check_first_rate(JobqRoster *roster, const JobqPicking *how)
{
	JobqGroup  *group = jobq_roster_first_later(roster);
	JobqGcra	own;
	const JobqGcra *rate;

	if (group == NULL || !jobq_group_rate_is_shut(group, how->now))
		return;
	rate = rate_of(group, how, &own);
	if (rate != NULL && group->opens_at - how->now <=
		(group->reserved + 2) * rate->interval.usec + USECS_PER_SEC)
		return;
	jobq_group_rate_forget_time(group);
	jobq_roster_put_in_turn(roster, group);
}

/* See roster_ticket.h. */
bool
jobq_roster_is_unread(const JobqGroup *group, const JobqPicking *how)
{
	JobqGcra	own;
	const JobqGcra *rate;

	if (how->has_options && !group->knows_options)
		return true;
	rate = rate_of(group, how, &own);
	return rate != NULL && jobq_group_rate_is_unread(group, rate);
}

/* See roster_ticket.h. */
bool
jobq_roster_take_ticket(JobqGroup *group, const JobqPicking *how, JobqGroupTicket *ticket)
{
	JobqGcra	own;
	const JobqGcra *rate = rate_of(group, how, &own);

	ticket->is_unread = rate != NULL && jobq_group_rate_is_unread(group, rate);
	if (rate != NULL && !ticket->is_unread &&
		!jobq_group_rate_reserve(group, rate))
		return false;
	Assert(!ticket->is_unread || !how->is_look);
	if (rate != NULL && how->is_look)
		jobq_group_rate_release(group);
	if (how->is_look)
		group->looks++;
	ticket->group = group;
	ticket->is_look = how->is_look;
	ticket->told = group->told;
	ticket->max_running = jobq_roster_limit_of(group, how->max_running);
	if (ticket->max_running == 1)
		group->key.queue->roster.keeps_order = true;
	ticket->has_rate = rate != NULL && !how->is_look;
	ticket->has_reserved = ticket->has_rate && !ticket->is_unread;
	if (rate != NULL)
		ticket->rate = *rate;
	return true;
}

/* Takes a group out of the turns if the limit that the queue shares lets in no more. */
static bool
stops_by_limit(JobqRoster *roster, JobqGroup *group, const JobqPicking *how)
{
	if (!jobq_limit_group_turn_away(group, how->limit.max_running))
		return false;
	jobq_roster_wait(roster, group, how->limit.max_running);
	return true;
}

/* See roster_ticket.h. */
bool
jobq_roster_stops(JobqRoster *roster, JobqGroup *group, const JobqPicking *how)
{
	TimestampTz now = how->now;

	if (jobq_roster_is_paused(group))
		jobq_roster_hold_paused(roster, group);
	else if (jobq_roster_is_throttled(group, now))
		jobq_roster_put_later(roster, group, group->not_before);
	else if (jobq_group_rate_is_shut(group, now))
		jobq_roster_settle(group, now);
	else if (!jobq_roster_is_full(group, how->max_running))
		return stops_by_limit(roster, group, how);
	else if (has_own_limit(group))
		jobq_roster_hold(roster, group);
	else
	{
		jobq_roster_park(roster, group, how->max_running);
		roster->parked_unasked = roster->parked_unasked || !how->has_options;
	}
	return true;
}
