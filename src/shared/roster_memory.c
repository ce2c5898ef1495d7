/*-------------------------------------------------------------------------
 *
 * roster_memory.c
 *	  Which groups of a queue are in memory, and who makes room for others.
 *
 * roster.c has the rules.
 *
 * IDENTIFICATION
 *	  src/shared/roster_memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_memory.h"

#include "shared/clock.h"
#include "shared/group.h"
#include "shared/group_rate.h"
#include "shared/lane.h"
#include "shared/limit_group.h"
#include "shared/roster_pick.h"
#include "shared/roster_place.h"

/* When more groups than that are held, those that are paused leave memory. */
#define MAX_HELD 64

/* Groups that are looked at in vain when some are to leave, at most. */
#define IDLE_LOOKS 8

/* The same as jobq_roster_count(), but for the limit that the queue shares. */
static void
count_in_queue(JobqGroup *group, int tickets)
{
	pg_atomic_uint32 *all = &group->key.queue->roster.running;

	Assert(tickets > 0 || group->running >= (uint32) -tickets);
	group->running += tickets;
	/* others only read it */
	pg_atomic_write_u32(all, pg_atomic_read_u32(all) + tickets);
}

/* Counts tickets of a group that are drawn, or given back: below 0. */
void
jobq_roster_count(JobqGroup *group, int tickets)
{
	count_in_queue(group, tickets);
	jobq_limit_group_count(group, tickets);
}

/*
 * Draws a ticket of a group; false if the limit that the queue shares lets in no more
 * jobs with its key than those.
 */
bool
jobq_roster_draw(JobqGroup *group, int limit_max_running)
{
	if (!jobq_limit_group_enter(group, limit_max_running))
		return false;
	count_in_queue(group, 1);
	return true;
}

/*
 * Makes a group, which rests unless it may have jobs that are not known.  NULL if
 * there is no room, or the queue is gone.
 */
JobqGroup *
jobq_roster_add(JobqQueueState *queue, const char *name)
{
	JobqRoster *roster = &queue->roster;
	JobqGroup  *group = queue->stream.forgotten ? NULL :
	jobq_group_make(queue, name);

	if (group == NULL)
		return NULL;
	group->running = 0;
	if (!jobq_limit_group_join(group))
	{
		jobq_group_free(group);
		return NULL;
	}
	jobq_lanes_make_of_group(&group->stream, &queue->stream,
							 roster->complete);
	group->place = JOBQ_GROUP_RESTS;
	group->looks = 0;
	group->told = 0;
	group->nblocked = 0;
	group->number = ++roster->nmade;
	group->knows_options = false;
	group->changes = 0;
	group->not_before = 0;
	jobq_group_rate_make(group);
	group->served = 0;
	dlist_push_tail(&roster->all, &group->member);
	if (!roster->complete)
		jobq_roster_put_in_turn(roster, group);
	jobq_roster_set_active(roster);
	return group;
}

/* The group with that name, which is made if necessary; NULL: there is no room. */
JobqGroup *
jobq_roster_find_or_add(JobqQueueState *queue, const char *name)
{
	JobqGroup  *group = jobq_group_find(queue, name);

	return group != NULL ? group : jobq_roster_add(queue, name);
}

/* Whether tickets of the group are out. */
static bool
is_in_use(const JobqGroup *group)
{
	return group->running > 0 || group->looks > 0;
}

/* Forgets a group that has no tickets. */
static void
forget(JobqGroup *group)
{
	JobqRoster *roster = &group->key.queue->roster;

	Assert(!is_in_use(group));
	(void) jobq_roster_set_throttle(group, 0);
	jobq_roster_take_out(roster, group);
	if (roster->next_out == group)
		roster->next_out = jobq_roster_made_after(roster, group);
	dlist_delete(&group->member);
	if (roster->hand == group)
		roster->hand = NULL;
	roster->read_at = DT_NOBEGIN;
	jobq_lanes_forget(&group->stream);
	group->stream.forgotten = true;
	jobq_limit_group_part(group);
	jobq_group_free(group);
	jobq_roster_set_active(roster);
}

/* The queue is gone: what its groups have shared goes with the last of them. */
static void
end_link_if_last(JobqQueueState *queue)
{
	if (queue->stream.forgotten && dlist_is_empty(&queue->roster.all))
		jobq_limit_link_end(queue);
}

/* From now on there are groups with jobs that have no room in memory. */
void
jobq_roster_miss(JobqRoster *roster, TimestampTz next_lap)
{
	roster->is_short = true;
	if (roster->complete)
	{
		roster->complete = false;
		roster->in_lap = false;
		roster->next_lap = JOBQ_NEVER;
	}
	roster->next_lap = Min(roster->next_lap, next_lap);
	jobq_roster_set_active(roster);
}

/* Whether something is known of a group that nothing else knows. */
static bool
is_needed(const JobqGroup *group)
{
	TimestampTz until = jobq_group_rate_needed_until(group);

	return group->not_before != 0 || (until != 0 && until > jobq_now());
}

/* Whether a group without tickets, or that has nothing to do, may leave memory. */
bool
jobq_roster_may_leave(const JobqRoster *roster, const JobqGroup *group)
{
	return !is_in_use(group) && group != roster->hand && !is_needed(group);
}

/*
 * Puts out a paused group without tickets, if more groups than that are held: its
 * jobs cannot be claimed, so nobody has to read it again.  Looks at some of those
 * that have been held for longest.  Returns whether it has found one.
 */
static bool
put_paused_out(JobqRoster *roster, int nheld)
{
	for (int i = Min(roster->nheld, 4); i > 0 && roster->nheld > nheld; i--)
	{
		JobqGroup  *group = dlist_head_element(JobqGroup, link, &roster->held);

		if (jobq_roster_is_paused(group) && jobq_roster_may_leave(roster, group))
		{
			forget(group);
			return true;
		}
		dlist_delete(&group->link);
		dlist_push_tail(&roster->held, &group->link);
	}
	return false;
}

/*
 * No claim looks at the group until it is resumed.  It stays in memory for a while,
 * so that commits of its jobs wake nobody; it may be forgotten.
 */
void
jobq_roster_hold_paused(JobqRoster *roster, JobqGroup *group)
{
	jobq_roster_hold(roster, group);
	(void) put_paused_out(roster, MAX_HELD);
}

/* Puts a group to where it belongs, by its jobs; it may be forgotten. */
void
jobq_roster_settle(JobqGroup *group, TimestampTz now)
{
	JobqRoster *roster = &group->key.queue->roster;
	TimestampTz next = JOBQ_NEVER;

	if (jobq_roster_is_paused(group))
		jobq_roster_hold_paused(roster, group);
	else if (jobq_roster_is_throttled(group, now))
		jobq_roster_put_later(roster, group, group->not_before);
	else if (jobq_lanes_judge(&group->stream, now, &next) != JOBQ_POP_NOTHING)
	{
		if (jobq_group_rate_is_shut(group, now))
			jobq_roster_put_later(roster, group, group->opens_at);
		else
			jobq_roster_put_in_turn(roster, group);
	}
	else if (next != JOBQ_NEVER)
		jobq_roster_put_later(roster, group, next);
	else if (jobq_roster_may_leave(roster, group))
		forget(group);
	else if (group->running == 0 && is_needed(group))
		jobq_roster_put_later(roster, group,
							  jobq_group_rate_needed_until(group));
	else
		jobq_roster_take_out(roster, group);
}

/* Puts a group out of memory that may have jobs, the first one at that time. */
void
jobq_roster_put_out(JobqRoster *roster, JobqGroup *group, TimestampTz first)
{
	jobq_roster_miss(roster, first);
	forget(group);
}

/*
 * Puts out a group that waits for the limit that the queue shares, after some time to be
 * read again, as nobody can call it then.  Whether it has found one.
 */
static bool
put_waiting_out(JobqRoster *roster)
{
	dlist_head *waits = roster->limit == NULL ? NULL : &roster->limit->waits;

	for (int i = 0; i < IDLE_LOOKS && waits != NULL && !dlist_is_empty(waits); i++)
	{
		JobqGroup  *group = dlist_head_element(JobqGroup, link, waits);

		if (jobq_roster_may_leave(roster, group))
		{
			TimestampTz when = jobq_now() + JOBQ_ROSTER_LOOK_DELAY;

			jobq_roster_put_out(roster, group, when);
			jobq_roster_look_at(when);
			return true;
		}
		dlist_delete(&group->link);
		dlist_push_tail(waits, &group->link);
	}
	return false;
}

/* See roster_memory.h.  Those that may not leave are looked at last the next time. */
int
jobq_roster_put_idle_out(JobqRoster *roster, int n)
{
	int			nout = 0;

	while (nout < n && put_paused_out(roster, 0))
		nout++;
	for (int left = Min(roster->nidle, n + IDLE_LOOKS); left > 0 && nout < n;
		 left--)
	{
		JobqGroup  *group = dlist_head_element(JobqGroup, link, &roster->idle);

		if (jobq_roster_may_leave(roster, group))
		{
			jobq_roster_put_out(roster, group, group->later.key);
			nout++;
			continue;
		}
		dlist_delete(&group->link);
		dlist_push_tail(&roster->idle, &group->link);
		/* it may be one of those that are to be judged */
		if (roster->njudge > 0)
			roster->njudge = roster->nidle;
	}
	while (nout < n && put_waiting_out(roster))
		nout++;
	return nout;
}

/* The group before that one in turn; from the first one, or NULL, the last one. */
static JobqGroup *
last_in_turn(JobqRoster *roster, JobqGroup *before)
{
	if (before != NULL && dlist_has_prev(&roster->turn, &before->link))
		return dlist_container(JobqGroup, link,
							   dlist_prev_node(&roster->turn, &before->link));
	return dlist_tail_element(JobqGroup, link, &roster->turn);
}

/* See roster_memory.h.  The ones that had their turns last leave first. */
int
jobq_roster_put_ready_out(JobqRoster *roster, int n)
{
	JobqGroup  *group = roster->next;
	int			nout = 0;

	for (int left = Min(roster->nturn, n + IDLE_LOOKS); left > 0 && nout < n;
		 left--)
	{
		JobqGroup  *last = last_in_turn(roster, group);

		if (jobq_roster_may_leave(roster, last))
		{
			jobq_roster_put_out(roster, last, DT_NOBEGIN);
			nout++;
		}
		else
			group = last;
	}
	return nout;
}

/* See roster_memory.h. */
bool
jobq_roster_put_one_out(JobqRoster *roster, int *nold)
{
	JobqGroup  *group;

	if (jobq_roster_put_idle_out(roster, 1) > 0)
		return true;
	for (; *nold > 0; (*nold)--)
	{
		if (roster->next == NULL)
			jobq_roster_advance(roster, &roster->next);
		group = roster->next;
		if (group != NULL && jobq_roster_may_leave(roster, group))
		{
			(*nold)--;
			jobq_roster_put_out(roster, group, DT_NOBEGIN);
			return true;
		}
		jobq_roster_advance(roster, &roster->next);
	}
	return false;
}

/* See roster_memory.h. */
bool
jobq_roster_put_hand_out(JobqRoster *roster, const char *name)
{
	JobqGroup  *hand = roster->hand;

	if (hand == NULL || is_in_use(hand) || is_needed(hand))
		return false;
	if (hand->place != JOBQ_GROUP_RESTS &&
		!jobq_limit_group_may_replace(hand, name))
		return false;
	jobq_roster_put_out(roster, hand, DT_NOBEGIN);
	return true;
}

/*
 * Puts a group of which a ticket has come back to where it belongs, which is among
 * those that are later if `until` is.  It may be forgotten.
 */
static void
settle_after_use(JobqGroup *group, TimestampTz until, TimestampTz now)
{
	JobqQueueState *queue = group->key.queue;

	if (!is_in_use(group) && queue->stream.forgotten)
	{
		forget(group);
		end_link_if_last(queue);
	}
	else if (until > now && !jobq_roster_is_paused(group))
	{
		group->nblocked++;
		jobq_roster_put_later(&queue->roster, group, until);
	}
	else
		jobq_roster_settle(group, now);
}

/* Tickets of a group are given back: puts it to where it belongs, as above. */
void
jobq_roster_take_back(JobqGroup *group, int tickets, TimestampTz until,
					  TimestampTz now)
{
	jobq_roster_count(group, -tickets);
	settle_after_use(group, until, now);
}

/*
 * The same for the ticket of a look.  If claims have made the group full meanwhile,
 * or it was paused, it stays where it is.
 */
void
jobq_roster_take_back_look(JobqGroup *group, TimestampTz until, TimestampTz now)
{
	Assert(group->looks > 0);
	group->looks--;
	if ((group->place != JOBQ_GROUP_PARKED &&
		 group->place != JOBQ_GROUP_HELD &&
		 group->place != JOBQ_GROUP_WAITS) ||
		group->key.queue->stream.forgotten)
		settle_after_use(group, until, now);
}

/* A reading that is under way is to bring in no groups. */
static void
outdate_reading(JobqRoster *roster)
{
	roster->nreading = 0;
	roster->resets =
		pg_atomic_fetch_add_u64(&jobq_shared->lane_resets, 1) + 1;
}

/*
 * See roster_memory.h.  All is made in one hold of the lock: a process with an old pointer
 * may add a group as soon as the stream is in use, and adds none before.
 */
void
jobq_roster_make(JobqQueueState *queue, LWLock *lock_of_queue, Oid role)
{
	JobqRoster *roster = &queue->roster;

	LWLockAcquire(lock_of_queue, LW_EXCLUSIVE);
	Assert(dlist_is_empty(&roster->all));	/* of the queue before */
	jobq_lanes_make(&queue->stream, lock_of_queue, role);
	memset(roster, 0, sizeof(*roster));
	pg_atomic_init_u32(&roster->active, 1);
	pg_atomic_init_u32(&roster->running, 0);
	dlist_init(&roster->all);
	dlist_init(&roster->turn);
	dlist_init(&roster->parked);
	dlist_init(&roster->held);
	dlist_init(&roster->idle);
	dlist_init(&roster->throttled);
	roster->next_lap = DT_NOBEGIN;
	roster->read_at = DT_NOBEGIN;
	outdate_reading(roster);
	LWLockRelease(lock_of_queue);
}

/*
 * See roster_memory.h.  Groups with tickets stay: their lanes are forgotten, and read
 * from the index anew.
 */
void
jobq_roster_reset(JobqQueueState *queue)
{
	JobqRoster *roster = &queue->roster;
	dlist_mutable_iter iter;

	jobq_roster_lock(queue);
	outdate_reading(roster);
	roster->complete = false;
	roster->in_lap = false;
	roster->next_lap = DT_NOBEGIN;
	roster->read_at = DT_NOBEGIN;
	roster->hand = NULL;
	roster->is_short = false;
	dlist_foreach_modify(iter, &roster->all)
	{
		JobqGroup  *group = dlist_container(JobqGroup, member, iter.cur);

		if (!is_in_use(group) &&
			(!is_needed(group) || queue->stream.forgotten))
			forget(group);
		else
		{
			jobq_lanes_forget(&group->stream);
			group->knows_options = false;
			group->changes++;
			jobq_roster_put_in_turn(roster, group);
		}
	}
	end_link_if_last(queue);
	jobq_roster_set_active(roster);
	jobq_roster_unlock(queue);
}
