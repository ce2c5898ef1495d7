/*-------------------------------------------------------------------------
 *
 * group_rate.c
 *	  How many jobs of a group start in a time.
 *
 * As for a queue (rate.c), a claim reserves a start before it looks for a job: with
 * the ticket of the group.  But all is under the lock of the queue's stream, as
 * tickets are: to find the rate shut and to put the group off until it opens is one
 * step, and so is to give a reservation back and to put the group in turn.
 *
 * While the rate has not made up for the last start, the group stays in memory,
 * unless a committed row of a table says the same.  What was rolled back is in no row, and
 * counts as well.  A group that is made again has then nothing to make up for, except
 * what may have started before the server did, or what the table says, which is read
 * first, with a ticket: nobody makes the group anew between that and the start.
 *
 * IDENTIFICATION
 *	  src/shared/group_rate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/group_rate.h"

#include "shared/group.h"
#include "shared/roster_place.h"

/* Nothing is known of what has started. */
void
jobq_group_rate_make(JobqGroup *group)
{
	group->opens_at = 0;
	group->reserved = 0;
	group->knows_tat = false;
	group->keeps_tat = false;
}

/* See group_rate.h. */
bool
jobq_group_rate_is_unread(const JobqGroup *group, const JobqGcra *rate)
{
	return !group->knows_tat && jobq_rate_is_kept(rate);
}

/* `kept` is 0 if nothing has started.  Does nothing if others were faster. */
void
jobq_group_rate_learn(JobqGroup *group, TimestampTz kept)
{
	if (group->knows_tat)
		return;
	group->tat = jobq_gcra_full(kept);
	group->knows_tat = true;
	group->keeps_tat = true;
}

/* Sets opens_at, as if what is reserved started now. */
static void
set_opens_at(JobqGroup *group, const JobqGcra *rate, TimestampTz now)
{
	JobqGcraTime tat = group->tat;

	for (uint32 i = 0; i < group->reserved; i++)
		(void) jobq_gcra_take(rate, &tat, now);
	group->opens_at = jobq_gcra_opens_at(rate, tat);
	group->opens_by = group->key.queue->roster.njudged;
}

/* See group_rate.h. */
bool
jobq_group_rate_reserve(JobqGroup *group, const JobqGcra *rate)
{
	TimestampTz now = jobq_now();

	Assert(!jobq_group_rate_is_unread(group, rate));
	if (!group->knows_tat)
		group->tat = jobq_gcra_empty(rate, jobq_rates_since(now));
	group->knows_tat = true;
	(void) jobq_gcra_cut(rate, &group->tat, now);
	set_opens_at(group, rate, now);
	if (group->opens_at > now)
		return false;
	group->reserved++;
	set_opens_at(group, rate, now);
	return true;
}

/* See group_rate.h. */
void
jobq_group_rate_release(JobqGroup *group)
{
	Assert(group->reserved > 0);
	group->reserved--;
	jobq_group_rate_forget_time(group);
}

/* See group_rate.h. */
void
jobq_group_rate_forget_time(JobqGroup *group)
{
	group->opens_at = 0;
}

/* See group_rate.h. */
TimestampTz
jobq_group_rate_needed_until(const JobqGroup *group)
{
	return group->knows_tat && !group->keeps_tat ? group->tat.usec + 1 : 0;
}

/* See group_rate.h. */
TimestampTz
jobq_group_rate_start(JobqGroupTicket *ticket, JobqGcraTake *take,
					  const JobqRateStart *others, int n)
{
	JobqGroup  *group = ticket->group;
	JobqQueueState *queue = group->key.queue;
	TimestampTz now;

	Assert(ticket->has_reserved && group->reserved > 0);
	jobq_roster_lock(queue);
	now = n > 0 ? jobq_rate_start(others, n) : jobq_now();
	group->reserved--;
	ticket->has_reserved = false;
	*take = jobq_gcra_take(&ticket->rate, &group->tat, now);
	group->keeps_tat = false;
	set_opens_at(group, &ticket->rate, now);
	jobq_roster_unlock(queue);
	return now;
}

/* See group_rate.h. */
void
jobq_group_rate_undo(JobqGroup *group, const JobqGcraTake *take)
{
	JobqQueueState *queue = group->key.queue;

	jobq_roster_lock(queue);
	if (jobq_gcra_give_back(&group->tat, take))
		jobq_group_rate_forget_time(group);
	jobq_roster_unlock(queue);
}

/* See group_rate.h. */
bool
jobq_group_rate_reserve_again(JobqGroupTicket *ticket)
{
	JobqQueueState *queue = ticket->group->key.queue;

	if (!ticket->has_rate || ticket->has_reserved)
		return true;
	jobq_roster_lock(queue);
	ticket->has_reserved = jobq_group_rate_reserve(ticket->group,
												   &ticket->rate);
	jobq_roster_unlock(queue);
	return ticket->has_reserved;
}

/* See group_rate.h. */
bool
jobq_group_rate_reserve_kept(JobqGroupTicket *ticket, TimestampTz kept)
{
	JobqQueueState *queue = ticket->group->key.queue;

	Assert(ticket->is_unread);
	jobq_roster_lock(queue);
	jobq_group_rate_learn(ticket->group, kept);
	jobq_roster_unlock(queue);
	ticket->is_unread = false;
	return jobq_group_rate_reserve_again(ticket);
}

/* See group_rate.h. */
void
jobq_group_rate_kept(JobqQueueState *queue, const char *name, JobqGcraTime tat)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = jobq_group_find(queue, name);
	if (group != NULL && group->knows_tat &&
		jobq_gcra_is_same(group->tat, tat))
		group->keeps_tat = true;
	jobq_roster_unlock(queue);
}

/* See group_rate.h. */
void
jobq_group_rate_return(JobqGroupTicket *ticket)
{
	JobqQueueState *queue = ticket->group->key.queue;

	if (!ticket->has_reserved)
		return;
	jobq_roster_lock(queue);
	jobq_group_rate_release(ticket->group);
	ticket->has_reserved = false;
	jobq_roster_unlock(queue);
}

/* See group_rate.h. */
bool
jobq_group_rate_admit(JobqGroup *group, const JobqGcra *rate,
					  TimestampTz kept, bool force, JobqGcraTake *take)
{
	JobqQueueState *queue = group->key.queue;
	TimestampTz now;
	bool		result;

	jobq_roster_lock(queue);
	now = jobq_now();
	if (kept != JOBQ_NEVER)
		jobq_group_rate_learn(group, kept);
	if (!group->knows_tat)
		group->tat = jobq_gcra_empty(rate, jobq_rates_since(now));
	group->knows_tat = true;
	(void) jobq_gcra_cut(rate, &group->tat, now);
	result = force || jobq_gcra_opens_at(rate, group->tat) <= now;
	if (result)
	{
		*take = jobq_gcra_take(rate, &group->tat, now);
		group->keeps_tat = false;
	}
	jobq_roster_unlock(queue);
	return result;
}

/* See group_rate.h. */
bool
jobq_group_rate_give_back(JobqQueueState *queue, const char *name,
						  const JobqGcraTake *take)
{
	JobqGroup  *group;
	bool		result;

	jobq_roster_lock(queue);
	group = jobq_group_find(queue, name);
	result = group != NULL && group->knows_tat &&
		jobq_gcra_give_back(&group->tat, take);
	jobq_roster_unlock(queue);
	return result;
}
