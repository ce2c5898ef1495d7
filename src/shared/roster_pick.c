/*-------------------------------------------------------------------------
 *
 * roster_pick.c
 *	  Whose turn it is: the tickets of claims.
 *
 * roster.c has the rules.
 *
 * IDENTIFICATION
 *	  src/shared/roster_pick.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_pick.h"

#include "shared/gate.h"
#include "shared/group.h"
#include "shared/group_rate.h"
#include "shared/lane.h"
#include "shared/limit_group.h"
#include "shared/roster.h"
#include "shared/roster_memory.h"
#include "shared/roster_place.h"
#include "shared/roster_room.h"
#include "shared/roster_ticket.h"

/*
 * How many groups are judged in one hold of the lock, and when the coordinator looks at
 * the others if nobody has come until then, in microseconds.
 */
#define JUDGED_AT_A_TIME 256
#define JUDGE_DELAY (10 * INT64CONST(1000))

/* Groups whose jobs have become due take part in the turns. */
static void
bring_due(JobqRoster *roster, TimestampTz now)
{
	JobqGroup  *group;

	while ((group = jobq_roster_first_later(roster)) != NULL &&
		   group->later.key <= now)
		jobq_roster_put_in_turn(roster, group);
	/* unless the clock was set back, that is its time */
	if (group != NULL && jobq_roster_is_throttled(group, now) &&
		group->later.key > group->not_before)
		jobq_roster_put_later(roster, group, group->not_before);
}

/*
 * If groups were parked when the limit was lower, they may not be full now; nor if that
 * was by a claim that had read the queue before the first of its groups got a limit of
 * its own.
 */
static void
unpark(JobqRoster *roster, const JobqPicking *how)
{
	if (how->max_running != JOBQ_UNLIMITED &&
		how->max_running <= roster->parked_limit &&
		!(how->has_options && roster->parked_unasked))
		return;
	roster->parked_unasked = false;
	while (!dlist_is_empty(&roster->parked))
		jobq_roster_put_in_turn(roster, dlist_head_element(JobqGroup, link,
														   &roster->parked));
}

/*
 * Groups that waited for the limit that the queue shares, and need not any more: they
 * were called, or waited when it was lower, or cannot do so any more.
 */
static void
bring_called(JobqRoster *roster, const JobqLimitView *limit)
{
	JobqLimitLink *link = roster->limit;
	JobqGroup  *group;

	if (link == NULL)
		return;
	while ((group = jobq_limit_group_next_called(roster)) != NULL)
		jobq_roster_put_in_turn(roster, group);
	if (limit->max_running != JOBQ_UNLIMITED &&
		limit->max_running <= link->waits_limit)
		return;
	while (!dlist_is_empty(&link->waits))
		jobq_roster_put_in_turn(roster, dlist_head_element(JobqGroup, link,
														   &link->waits));
}

/*
 * Groups that wait for a full batch, for a job to be tried again, or for their rate, may
 * not have to when there is another rule for that.  Some are judged by each claim and
 * look until all of them are.
 */
static void
judge_idle(JobqRoster *roster, uint64 patience, TimestampTz now)
{
	if (roster->patience != patience)
	{
		roster->patience = patience;
		roster->njudged++;
		roster->njudge = roster->nidle;
	}
	roster->njudge = Min(roster->njudge, roster->nidle);
	for (int i = 0; i < JUDGED_AT_A_TIME && roster->njudge > 0; i++)
	{
		roster->njudge--;
		jobq_roster_settle(dlist_head_element(JobqGroup, link, &roster->idle), now);
	}
}

/* Whether groups may be found that are not in memory. */
static bool
can_read(const JobqRoster *roster, TimestampTz now)
{
	return !roster->complete && roster->read_at <= now &&
		(roster->in_lap || roster->next_lap <= now);
}

/*
 * Whether to read on, if nobody does: after each round of turns, so that groups that
 * are not in memory have their turns, too.
 */
static bool
wants_reading(const JobqRoster *roster, TimestampTz now)
{
	return roster->nreading == 0 && roster->npicks >= roster->nturn &&
		can_read(roster, now);
}

/* How many jobs the group starts in a turn. */
static int
weight_of(const JobqGroup *group)
{
	return group->knows_options ? group->options.weight : 1;
}

/* Goes on to the next turn, unless the group may start more jobs in this one. */
static void
end_turn(JobqRoster *roster, JobqGroup *group)
{
	if (++group->served < weight_of(group))
		return;
	group->served = 0;
	jobq_roster_advance(roster, &roster->next);
}

/* Whose turn it is: looks have turns of their own. */
static JobqGroup **
hand_of(JobqRoster *roster, bool is_look)
{
	return is_look ? &roster->next_look : &roster->next;
}

/*
 * Draws a ticket of the group whose turn it is.  False if it may not start a job
 * now; then it does not take part in the turns any more.
 */
static bool
draw(JobqRoster *roster, const JobqPicking *how, JobqGroupTicket *ticket)
{
	TimestampTz now = how->now;
	JobqGroup  *group = *hand_of(roster, how->is_look);
	TimestampTz next = JOBQ_NEVER;

	if (jobq_roster_stops(roster, group, how))
		return false;
	if (jobq_lanes_judge(&group->stream, now, &next) == JOBQ_POP_NOTHING)
	{
		jobq_roster_settle(group, now);
		return false;
	}
	while (!how->is_look && !jobq_roster_draw(group, how->limit.max_running))
	{
		/* another queue has been faster */
		if (jobq_roster_stops(roster, group, how))
			return false;
	}
	if (!jobq_roster_take_ticket(group, how, ticket))
	{
		if (how->is_look)
			jobq_roster_settle(group, now);
		else
			jobq_roster_take_back(group, 1, DT_NOBEGIN, now);
		return false;
	}
	roster->npicks++;
	if (how->is_look)
		jobq_roster_advance(roster, &roster->next_look);
	else
	{
		end_turn(roster, group);
		(void) jobq_roster_stops(roster, group, how);
	}
	return true;
}

/* Groups that can start jobs again take part in the turns; returns how many. */
static int
bring_back(JobqRoster *roster, const JobqPicking *how)
{
	int			before = roster->nturn;

	judge_idle(roster, how->patience, how->now);
	bring_due(roster, how->now);
	if (!dlist_is_empty(&roster->parked))
		unpark(roster, how);
	jobq_roster_check_first_rate(roster, how);
	bring_called(roster, &how->limit);
	return roster->nturn - before;
}

/* For OPTIONS, *group is the group in question. */
static JobqTurn
pick(JobqQueueState *queue, const JobqPicking *how, JobqGroupTicket *ticket,
	 JobqGroup **group, TimestampTz *next_run_at)
{
	TimestampTz now = how->now;
	JobqRoster *roster = &queue->roster;
	JobqGroup **hand = hand_of(roster, how->is_look);
	TimestampTz next = JOBQ_NEVER;
	JobqGroup  *later;

	if (how->may_read && how->is_first && wants_reading(roster, now))
		return JOBQ_TURN_READ_ON;
	for (int left = roster->nturn + 1; left > 0; left--)
	{
		if (*hand == NULL)
		{
			jobq_roster_advance(roster, hand);
			if (jobq_lanes_judge(&queue->stream, now, &next) !=
				JOBQ_POP_NOTHING)
				return JOBQ_TURN_PLAIN;
			*next_run_at = Min(*next_run_at, next);
			continue;
		}
		if (jobq_roster_is_unread(*hand, how))
		{
			*group = *hand;
			return JOBQ_TURN_OPTIONS;
		}
		if (draw(roster, how, ticket))
			return JOBQ_TURN_GROUP;
	}
	/* who else is reading may be slow */
	if (how->may_read && can_read(roster, now))
		return JOBQ_TURN_READ_ON;
	later = jobq_roster_first_later(roster);
	if (later != NULL)
		*next_run_at = Min(*next_run_at, later->later.key);
	if (roster->njudge > 0)
		*next_run_at = Min(*next_run_at, now + JUDGE_DELAY);
	if (roster->complete)
		return JOBQ_TURN_NOTHING;
	/* this claim has read a lap, if it may: the next one is not yet */
	if (!roster->in_lap)
		*next_run_at = Min(*next_run_at,
						   Max(roster->next_lap, now + JOBQ_ROSTER_LOOK_DELAY));
	/* who reads, or gives a ticket back, makes room */
	roster->starved = true;
	roster->missed = roster->missed || roster->nreading > 0;
	if (roster->read_at <= now)
		return JOBQ_TURN_NOTHING;
	*next_run_at = Min(*next_run_at, now + JOBQ_ROSTER_LOOK_DELAY);
	return JOBQ_TURN_NO_ROOM;
}

static void
ask(JobqGroupQuestion *question, const JobqGroup *group, bool is_look)
{
	question->is_look = is_look;
	question->number = group->number;
	question->changes = group->changes;
	memcpy(question->name, group->key.name, sizeof(question->name));
}

/* See roster_pick.h. */
JobqTurn
jobq_roster_pick(JobqQueueState *queue, const JobqPicking *how,
				 JobqGroupTicket *ticket, JobqGroupQuestion *question,
				 TimestampTz *next_run_at)
{
	JobqGroup  *group = NULL;
	JobqTurn	result;

	ticket->group = NULL;
	ticket->nback = 0;
	jobq_roster_lock(queue);
	if (!jobq_limit_link_is(queue, &how->limit))
	{
		jobq_roster_unlock(queue);
		return JOBQ_TURN_LINK;
	}
	ticket->nback = bring_back(&queue->roster, how);
	result = pick(queue, how, ticket, &group, next_run_at);
	if (result == JOBQ_TURN_OPTIONS)
		ask(question, group, how->is_look);
	jobq_roster_unlock(queue);
	return result;
}

/* Its turn is over, whatever its weight. */
static void
break_turn(JobqGroup *group)
{
	JobqRoster *roster = &group->key.queue->roster;

	if (group->served > 0 && roster->next == group)
		jobq_roster_advance(roster, &roster->next);
	group->served = 0;
}

/* The group that a question is about; NULL: it has left memory meanwhile. */
static JobqGroup *
group_of(JobqQueueState *queue, const JobqGroupQuestion *question)
{
	JobqGroup  *group = jobq_group_find(queue, question->name);

	return group != NULL && group->number == question->number ? group : NULL;
}

/* See roster_pick.h. */
void
jobq_roster_answer(JobqQueueState *queue, const JobqGroupQuestion *question,
				   const JobqGroupOptions *options, TimestampTz kept)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = group_of(queue, question);
	if (group != NULL && group->changes == question->changes)
	{
		group->options = *options;
		group->knows_options = true;
		if (kept != JOBQ_NEVER)
			jobq_group_rate_learn(group, kept);
		if (jobq_roster_is_paused(group))
			jobq_roster_hold_paused(&queue->roster, group);
	}
	jobq_roster_unlock(queue);
}

/* See roster_pick.h. */
void
jobq_roster_pass_over(JobqQueueState *queue, const JobqGroupQuestion *question)
{
	JobqGroup **hand = hand_of(&queue->roster, question->is_look);
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = group_of(queue, question);
	if (group != NULL && *hand == group)
		jobq_roster_advance(&queue->roster, hand);
	jobq_roster_unlock(queue);
}

/* See roster_pick.h. */
bool
jobq_roster_put_back(const JobqGroupTicket *ticket, TimestampTz until,
					 TimestampTz now)
{
	JobqGroup  *group = ticket->group;
	JobqQueueState *queue = group->key.queue;
	bool		told;

	jobq_roster_lock(queue);
	told = group->told != ticket->told;
	if (ticket->has_reserved)
		jobq_group_rate_release(group);
	if (told)
		until = DT_NOBEGIN;
	if (ticket->is_look)
		jobq_roster_take_back_look(group, until, now);
	else
	{
		break_turn(group);
		jobq_roster_take_back(group, 1, until, now);
	}
	jobq_roster_unlock(queue);
	return told;
}

/* See roster_pick.h. */
bool
jobq_roster_enter(JobqQueueState *queue, const char *name,
				  const JobqPicking *how, JobqGroupTicket *ticket)
{
	JobqGroup  *group;
	bool		result;

	jobq_roster_lock(queue);
	group = jobq_roster_require(queue, name);
	result = group != NULL && jobq_limit_link_is(queue, &how->limit) &&
		!jobq_roster_is_paused(group) &&
		!jobq_roster_is_throttled(group, how->now) &&
		!jobq_roster_is_full(group, how->max_running) &&
		jobq_roster_draw(group, how->limit.max_running);
	if (result && !jobq_roster_take_ticket(group, how, ticket))
	{
		result = false;
		jobq_roster_count(group, -1);
	}
	/* it may have been made for this */
	if (!result && group != NULL && group->place == JOBQ_GROUP_RESTS)
		jobq_roster_settle(group, how->now);
	jobq_roster_unlock(queue);
	return result;
}

/* See roster_pick.h. */
bool
jobq_roster_visit(JobqQueueState *queue, const char *name,
				  JobqGroupTicket *ticket)
{
	JobqGroup  *group;

	memset(ticket, 0, sizeof(*ticket));
	jobq_roster_lock(queue);
	group = jobq_roster_insist(queue, name);
	if (group != NULL)
	{
		group->looks++;
		ticket->group = group;
		ticket->is_look = true;
		ticket->told = group->told;
	}
	jobq_roster_unlock(queue);
	return group != NULL;
}

/* See roster_pick.h. */
bool
jobq_roster_borrow(JobqGroup *group, const JobqPicking *how,
				   JobqGroupTicket *ticket, TimestampTz *next_run_at)
{
	JobqQueueState *queue = group->key.queue;
	bool		result;
	int			limit;

	jobq_roster_lock(queue);
	limit = jobq_roster_limit_of(group, how->max_running);
	result = !jobq_roster_is_paused(group) &&
		!jobq_roster_is_throttled(group, how->now) &&
		(limit == JOBQ_UNLIMITED || group->running <= (uint32) limit) &&
		jobq_limit_link_is(queue, &how->limit) &&
		!jobq_limit_group_is_over(group, how->limit.max_running) &&
		(jobq_lanes_judge(&group->stream, how->now, next_run_at) !=
		 JOBQ_POP_NOTHING || how->has_own) &&
		jobq_roster_take_ticket(group, how, ticket);
	if (!result && jobq_group_rate_is_shut(group, how->now))
		*next_run_at = Min(*next_run_at, group->opens_at);
	jobq_roster_unlock(queue);
	return result;
}

/* See roster_pick.h. */
bool
jobq_roster_sees_more(JobqQueueState *queue, TimestampTz now)
{
	JobqRoster *roster = &queue->roster;
	bool		result;

	if (!jobq_roster_is_active(queue))
		return false;
	LWLockAcquire(queue->stream.lock, LW_SHARED);
	result = roster->nturn > 0 || can_read(roster, now) ||
		(roster->later.root != NULL && roster->later.root->key <= now);
	LWLockRelease(queue->stream.lock);
	return result;
}

/* See roster_pick.h. */
bool
jobq_roster_may_read(JobqQueueState *queue, TimestampTz now)
{
	bool		result;

	LWLockAcquire(queue->stream.lock, LW_SHARED);
	result = can_read(&queue->roster, now);
	LWLockRelease(queue->stream.lock);
	return result;
}

/* See roster_pick.h.  Those that are ready now take part in the turns. */
TimestampTz
jobq_roster_next_due(JobqQueueState *queue, bool all_visited, TimestampTz now)
{
	JobqRoster *roster = &queue->roster;
	TimestampTz result = JOBQ_NEVER;

	jobq_roster_lock(queue);
	bring_due(roster, now);
	if (roster->later.root != NULL)
		result = roster->later.root->key;
	if (roster->njudge > 0)
		result = Min(result, now + JUDGE_DELAY);
	if (!roster->complete && !roster->in_lap && roster->next_lap > now)
		result = Min(result, roster->next_lap);
	else if (!roster->complete && all_visited)
		result = Min(result, now + JOBQ_ROSTER_LOOK_DELAY);
	jobq_roster_unlock(queue);
	return result;
}

/* See roster_pick.h. */
int
jobq_roster_turns(JobqQueueState *queue)
{
	return queue->roster.nturn + 1;
}
