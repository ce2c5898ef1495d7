/*-------------------------------------------------------------------------
 *
 * roster.c
 *	  The groups of a queue: whose turn it is.
 *
 * The jobs of a queue that have the same group key are a group.  The groups, and
 * the jobs without a group as one more, take turns, so that a group with very many
 * jobs does not keep the others waiting.  Each group is a stream with lanes of its
 * own (lane.c).  Only groups that can do something are in memory:
 *
 * - in turn: it may have a ready job that may start;
 * - later: the first of its jobs is ahead, or it is throttled;
 * - parked: it runs as many jobs as it may.  No claim looks at it until one of
 *	 them ends, however many jobs are waiting;
 * - held: the same by an option of its own (max_running, or it is paused), which no
 *	 change of the queue's limit ends;
 * - resting: jobs of it are running, and no others are known.
 *
 * A claim draws a ticket of a group before it looks for a job in it, as for the
 * queue (gate.c).  The ticket also keeps the group in memory.  All jobs of groups
 * have such a ticket, so a limit that is set later counts what is running.  Unlike
 * those of queues these tickets are counted under the lock of the queue's stream:
 * to find a group full and to park it is one step, and so is to give a ticket back
 * and to put the group in turn.
 *
 * The invariant: a committed job of a group that can be claimed is covered by its
 * group's stream; or its group is not in memory, and the roster not `complete`; or
 * it is held by a transaction that will call jobq_roster_lower() at its end.
 *
 * The rules that keep it so:
 *
 * - A group whose stream has nothing left leaves memory when its last ticket is
 *	 back.  If the roster is complete, a group that is made again has no jobs but
 *	 those that are told of.
 * - The roster is not complete after a start or a reset, when a group finds no
 *	 room, and when one is put out that may have jobs.  Then groups are read from
 *	 the index in laps, some at a time, by one process at a time.  A lap that has
 *	 passed no group without bringing it into memory makes the roster complete.
 * - next_lap is set when a lap begins, before the snapshot is taken, and lowered
 *	 when a group finds no room or is put out.  A group that is told of meanwhile
 *	 is either in memory, or in the snapshot, or has lowered next_lap.
 *
 * If there is room for a part of the groups only, those that had their turn make
 * room for those that are read next.  So each has its turn in each lap.
 *
 * IDENTIFICATION
 *	  src/shared/roster.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster.h"

#include "shared/gate.h"
#include "shared/group.h"
#include "shared/wake.h"

#include "miscadmin.h"

/* Under the lock: the earliest time for which a group was put off. */
static TimestampTz put_off_until = JOBQ_NEVER;

/* When more groups than that are held, those that are paused leave memory. */
#define MAX_HELD 64

/* What this process is reading; NULL: nothing. */
static JobqQueueState *reading_queue = NULL;
static uint64 reading_resets;

/* ------------------------------------------------------------------ lists */

static void
jobq_roster_lock(JobqQueueState *queue)
{
	LWLockAcquire(queue->stream.lock, LW_EXCLUSIVE);
}

/*
 * The coordinator looks at the queue when groups that were put off have a job.  It
 * was told so when the job was committed; but a look forgets the times of groups
 * that are not `later`.
 */
static void
jobq_roster_unlock(JobqQueueState *queue)
{
	TimestampTz when = put_off_until;
	bool		is_ours = queue->key.dboid == MyDatabaseId;

	put_off_until = JOBQ_NEVER;
	LWLockRelease(queue->stream.lock);
	if (when != JOBQ_NEVER && is_ours)
		jobq_wake_for_queue_at(queue, when);
}

/* The same, but the coordinator is not told. */
static void
jobq_roster_unlock_quietly(JobqQueueState *queue)
{
	put_off_until = JOBQ_NEVER;
	LWLockRelease(queue->stream.lock);
}

/* Claims that have to look at the roster at all read this without the lock. */
static void
jobq_roster_set_active(JobqRoster *roster)
{
	uint32		active = !roster->complete || !dlist_is_empty(&roster->all);

	if (pg_atomic_read_u32(&roster->active) != active)
		pg_atomic_write_u32(&roster->active, active);
}

/* The one after a group in turn; NULL: the jobs without a group come next. */
static JobqGroup *
next_in_turn(JobqRoster *roster, JobqGroup *group)
{
	return dlist_has_next(&roster->turn, &group->link) ?
		dlist_container(JobqGroup, link,
						dlist_next_node(&roster->turn, &group->link)) : NULL;
}

/* The next turn. */
static void
jobq_roster_advance(JobqRoster *roster)
{
	if (roster->next != NULL)
		roster->next = next_in_turn(roster, roster->next);
	else if (!dlist_is_empty(&roster->turn))
		roster->next = dlist_head_element(JobqGroup, link, &roster->turn);
}

/* Takes a group out of the list that it is in. */
static void
jobq_roster_take_out(JobqRoster *roster, JobqGroup *group)
{
	switch (group->place)
	{
		case JOBQ_GROUP_RESTS:
			break;
		case JOBQ_GROUP_IN_TURN:
			if (roster->next == group)
				jobq_roster_advance(roster);
			roster->nturn--;
			dlist_delete(&group->link);
			break;
		case JOBQ_GROUP_PARKED:
			dlist_delete(&group->link);
			break;
		case JOBQ_GROUP_HELD:
			roster->nheld--;
			dlist_delete(&group->link);
			break;
		case JOBQ_GROUP_LATER:
			jobq_heap_remove(&roster->later, &group->later);
			break;
	}
	group->place = JOBQ_GROUP_RESTS;
	group->served = 0;
}

/* Has a group take part in the turns, as the last one. */
static void
jobq_roster_put_in_turn(JobqRoster *roster, JobqGroup *group)
{
	if (group->place == JOBQ_GROUP_IN_TURN)
		return;
	jobq_roster_take_out(roster, group);
	if (roster->next != NULL)
		dlist_insert_before(&roster->next->link, &group->link);
	else
		dlist_push_tail(&roster->turn, &group->link);
	roster->nturn++;
	group->place = JOBQ_GROUP_IN_TURN;
}

static void
jobq_roster_put_later(JobqRoster *roster, JobqGroup *group, TimestampTz when)
{
	jobq_roster_take_out(roster, group);
	jobq_heap_add(&roster->later, &group->later, when);
	group->place = JOBQ_GROUP_LATER;
	put_off_until = Min(put_off_until, when);
}

static void
jobq_roster_park(JobqRoster *roster, JobqGroup *group, int max_running)
{
	jobq_roster_take_out(roster, group);
	if (dlist_is_empty(&roster->parked))
		roster->parked_limit = max_running;
	roster->parked_limit = Min(roster->parked_limit, max_running);
	dlist_push_tail(&roster->parked, &group->link);
	group->place = JOBQ_GROUP_PARKED;
}

/* The group starts no job until its options, or the number of its tickets, change. */
static void
jobq_roster_hold(JobqRoster *roster, JobqGroup *group)
{
	jobq_roster_take_out(roster, group);
	roster->nheld++;
	dlist_push_tail(&roster->held, &group->link);
	group->place = JOBQ_GROUP_HELD;
}

/* Whether a group is known to be paused. */
static bool
jobq_roster_is_paused(const JobqGroup *group)
{
	return group->knows_options && group->options.paused;
}

/* The group whose jobs are due next, NULL: none is later. */
static JobqGroup *
jobq_roster_first_later(JobqRoster *roster)
{
	return roster->later.root == NULL ? NULL :
		(JobqGroup *) ((char *) roster->later.root - offsetof(JobqGroup, later));
}

/* ----------------------------------------------------------------- memory */

/* Counts tickets of a group that are drawn, or given back: below 0. */
static void
jobq_roster_count(JobqGroup *group, int tickets)
{
	pg_atomic_uint32 *all = &group->key.queue->roster.running;

	Assert(tickets > 0 || group->running >= (uint32) -tickets);
	group->running += tickets;
	/* others only read it */
	pg_atomic_write_u32(all, pg_atomic_read_u32(all) + tickets);
}

/*
 * Makes a group, which rests unless it may have jobs that are not known.  NULL if
 * there is no room, or the queue is gone.
 */
static JobqGroup *
jobq_roster_add(JobqQueueState *queue, const char *name)
{
	JobqRoster *roster = &queue->roster;
	JobqGroup  *group = queue->stream.forgotten ? NULL :
	jobq_group_make(queue, name);

	if (group == NULL)
		return NULL;
	jobq_lanes_make_of_group(&group->stream, &queue->stream,
							 roster->complete);
	group->place = JOBQ_GROUP_RESTS;
	group->running = 0;
	group->told = 0;
	group->nblocked = 0;
	group->number = ++roster->nmade;
	group->knows_options = false;
	group->changes = 0;
	group->not_before = 0;
	group->served = 0;
	dlist_push_tail(&roster->all, &group->member);
	if (!roster->complete)
		jobq_roster_put_in_turn(roster, group);
	jobq_roster_set_active(roster);
	return group;
}

/* The group with that name, which is made if necessary; NULL: there is no room. */
static JobqGroup *
jobq_roster_find_or_add(JobqQueueState *queue, const char *name)
{
	JobqGroup  *group = jobq_group_find(queue, name);

	return group != NULL ? group : jobq_roster_add(queue, name);
}

/* Forgets a group that has no tickets. */
static void
forget(JobqGroup *group)
{
	JobqRoster *roster = &group->key.queue->roster;

	Assert(group->running == 0);
	jobq_roster_take_out(roster, group);
	dlist_delete(&group->member);
	if (roster->hand == group)
		roster->hand = NULL;
	roster->read_at = DT_NOBEGIN;
	jobq_lanes_forget(&group->stream);
	group->stream.forgotten = true;
	jobq_group_free(group);
	jobq_roster_set_active(roster);
}

/* From now on there are groups with jobs that have no room in memory. */
static void
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

/*
 * Whether a group that has nothing to do may leave memory.  One that is throttled
 * stays, as nothing else knows of that.
 */
static bool
may_leave(const JobqRoster *roster, const JobqGroup *group)
{
	return group->running == 0 && group != roster->hand &&
		group->not_before == 0;
}

/* Whether the group is throttled. */
static bool
jobq_roster_is_throttled(JobqGroup *group, TimestampTz now)
{
	TimestampTz latest;

	if (group->not_before == 0)
		return false;
	if (group->not_before <= now)
	{
		group->not_before = 0;
		return false;
	}
	/* the clock was set back */
	latest = now + group->throttle_delay * USECS_PER_SEC;
	group->not_before = Min(group->not_before, latest);
	return true;
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

		if (jobq_roster_is_paused(group) && may_leave(roster, group))
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
static void
jobq_roster_hold_paused(JobqRoster *roster, JobqGroup *group)
{
	jobq_roster_hold(roster, group);
	(void) put_paused_out(roster, MAX_HELD);
}

/* Puts a group to where it belongs, by its jobs; it may be forgotten. */
static void
jobq_roster_settle(JobqGroup *group, TimestampTz now)
{
	JobqRoster *roster = &group->key.queue->roster;
	TimestampTz next = JOBQ_NEVER;

	if (jobq_roster_is_paused(group))
		jobq_roster_hold_paused(roster, group);
	else if (jobq_roster_is_throttled(group, now))
		jobq_roster_put_later(roster, group, group->not_before);
	else if (jobq_lanes_judge(&group->stream, now, &next) != JOBQ_POP_NOTHING)
		jobq_roster_put_in_turn(roster, group);
	else if (next != JOBQ_NEVER)
		jobq_roster_put_later(roster, group, next);
	else if (may_leave(roster, group))
		forget(group);
	else
		jobq_roster_take_out(roster, group);
}

/* Puts a group out of memory that may have jobs, the first one at that time. */
static void
put_out(JobqRoster *roster, JobqGroup *group, TimestampTz first)
{
	jobq_roster_miss(roster, first);
	forget(group);
}

/*
 * Makes room for one more group: puts out one of the next ones in turn, all of
 * which have had their turns, else one whose jobs are ahead, else the hand, which
 * the group is going to be.  *nold is how many may be looked at.  False if there is
 * none.
 */
static bool
jobq_roster_put_one_out(JobqRoster *roster, int *nold)
{
	JobqGroup  *group;

	if (put_paused_out(roster, 0))
		return true;
	for (; *nold > 0; (*nold)--)
	{
		if (roster->next == NULL)
			jobq_roster_advance(roster);
		group = roster->next;
		if (group != NULL && may_leave(roster, group))
		{
			(*nold)--;
			put_out(roster, group, DT_NOBEGIN);
			return true;
		}
		jobq_roster_advance(roster);
	}
	group = jobq_roster_first_later(roster);
	if (group != NULL && may_leave(roster, group))
		put_out(roster, group, group->later.key);
	else if (roster->hand != NULL && roster->hand->running == 0)
		put_out(roster, roster->hand, DT_NOBEGIN);
	else
		return false;
	return true;
}

/*
 * Tickets of a group have been given back: puts it to where it belongs, which is
 * among those that are later if `until` is.  It may be forgotten.
 */
static void
jobq_roster_take_back(JobqGroup *group, int tickets, TimestampTz until,
					  TimestampTz now)
{
	jobq_roster_count(group, -tickets);
	if (group->running == 0 && group->key.queue->stream.forgotten)
		forget(group);
	else if (until > now && !jobq_roster_is_paused(group))
	{
		group->nblocked++;
		jobq_roster_put_later(&group->key.queue->roster, group, until);
	}
	else
		jobq_roster_settle(group, now);
}

/* A reading that is under way is to bring in no groups. */
static void
outdate_reading(JobqRoster *roster)
{
	roster->reading = false;
	roster->resets =
		pg_atomic_fetch_add_u64(&jobq_shared->lane_resets, 1) + 1;
}

/*
 * See roster.h.  All is made in one hold of the lock: a process with an old pointer
 * may add a group as soon as the stream is in use, and adds none before.
 */
void
jobq_roster_make(JobqQueueState *queue, LWLock *lock_of_queue, Oid role)
{
	JobqRoster *roster = &queue->roster;

	LWLockAcquire(lock_of_queue, LW_EXCLUSIVE);
	jobq_lanes_make(&queue->stream, lock_of_queue, role);
	memset(roster, 0, sizeof(*roster));
	pg_atomic_init_u32(&roster->active, 1);
	pg_atomic_init_u32(&roster->running, 0);
	dlist_init(&roster->all);
	dlist_init(&roster->turn);
	dlist_init(&roster->parked);
	dlist_init(&roster->held);
	roster->next_lap = DT_NOBEGIN;
	roster->read_at = DT_NOBEGIN;
	outdate_reading(roster);
	LWLockRelease(lock_of_queue);
}

/*
 * See roster.h.  Groups with tickets stay: their lanes are forgotten, and read
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

		if (group->running == 0 &&
			(group->not_before == 0 || queue->stream.forgotten))
			forget(group);
		else
		{
			jobq_lanes_forget(&group->stream);
			group->knows_options = false;
			group->changes++;
			jobq_roster_put_in_turn(roster, group);
		}
	}
	jobq_roster_set_active(roster);
	jobq_roster_unlock(queue);
}

/* ---------------------------------------------------------------- changes */

/* The group's first job may be another one, or free now. */
static void
note_told(JobqGroup *group)
{
	group->told++;
	group->nblocked = 0;
}

/* See roster.h. */
void
jobq_roster_lower(JobqQueueState *queue, const JobqPlace *place,
				  TimestampTz now)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = jobq_roster_find_or_add(queue, place->group);
	if (group == NULL)
		jobq_roster_miss(&queue->roster, place->key.run_at);
	else
	{
		jobq_lane_lower_locked(&group->stream, place);
		note_told(group);
		if (group->place != JOBQ_GROUP_PARKED &&
			group->place != JOBQ_GROUP_HELD)
			jobq_roster_settle(group, now);
	}
	jobq_roster_unlock(queue);
}

/* See roster.h. */
bool
jobq_roster_unblock(JobqQueueState *queue, const char *name, TimestampTz now)
{
	JobqGroup  *group;
	bool		result;

	jobq_roster_lock(queue);
	group = jobq_group_find(queue, name);
	result = group != NULL && group->place == JOBQ_GROUP_LATER;
	if (group != NULL)
		note_told(group);
	if (result)
		jobq_roster_settle(group, now);
	jobq_roster_unlock(queue);
	return result;
}

/* See roster.h. */
bool
jobq_roster_is_in_turn(JobqQueueState *queue, const char *name)
{
	const JobqGroup *group;
	bool		result;

	LWLockAcquire(queue->stream.lock, LW_SHARED);
	group = jobq_group_find(queue, name);
	result = group == NULL ? !queue->roster.complete :
		group->place == JOBQ_GROUP_IN_TURN;
	LWLockRelease(queue->stream.lock);
	return result;
}

/* Gives tickets back, under the lock. */
static bool
leave(JobqGroup *group, int tickets, TimestampTz now)
{
	JobqRoster *roster = &group->key.queue->roster;
	TimestampTz next = JOBQ_NEVER;
	bool		wake;

	wake = roster->starved ||
		(group->place != JOBQ_GROUP_IN_TURN && !jobq_roster_is_paused(group) &&
		 !jobq_roster_is_throttled(group, now) &&
		 jobq_lanes_judge(&group->stream, now, &next) != JOBQ_POP_NOTHING);
	group->nblocked = 0;
	jobq_roster_take_back(group, tickets, DT_NOBEGIN, now);
	roster->starved = false;
	return wake;
}

/* See roster.h. */
bool
jobq_roster_leave(JobqGroup *group, int tickets, TimestampTz now)
{
	JobqQueueState *queue = group->key.queue;
	bool		wake;

	jobq_roster_lock(queue);
	wake = leave(group, tickets, now);
	jobq_roster_unlock(queue);
	return wake;
}

/* See roster.h. */
void
jobq_roster_leave_quietly(JobqGroup *group, TimestampTz now)
{
	JobqQueueState *queue = group->key.queue;

	jobq_roster_lock(queue);
	(void) leave(group, 1, now);
	jobq_roster_unlock_quietly(queue);
}

/* ----------------------------------------------------------------- claims */

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

/* If groups were parked when the limit was lower, they may not be full now. */
static void
unpark(JobqRoster *roster, int max_running)
{
	if (max_running != JOBQ_UNLIMITED && max_running <= roster->parked_limit)
		return;
	while (!dlist_is_empty(&roster->parked))
		jobq_roster_put_in_turn(roster, dlist_head_element(JobqGroup, link,
														   &roster->parked));
}

/* Groups that waited for a full batch may not have to now. */
static void
judge_later(JobqRoster *roster, uint64 gathering, TimestampTz now)
{
	dlist_mutable_iter iter;

	roster->gathering = gathering;
	dlist_foreach_modify(iter, &roster->all)
	{
		JobqGroup  *group = dlist_container(JobqGroup, member, iter.cur);

		if (group->place == JOBQ_GROUP_LATER)
			jobq_roster_settle(group, now);
	}
}

/*
 * Whether to read on: after each round of turns, while the roster is not
 * complete, so that groups that are not in memory have their turns, too.
 */
static bool
wants_reading(const JobqRoster *roster, TimestampTz now)
{
	return !roster->complete && !roster->reading &&
		roster->read_at <= now && roster->npicks >= roster->nturn &&
		(roster->in_lap || roster->next_lap <= now);
}

/* Whether the group has a limit of its own. */
static bool
has_own_limit(const JobqGroup *group)
{
	return group->knows_options && group->options.max_running > 0;
}

/* How many jobs a group may run; max_running is the queue's limit. */
static int
limit_of(const JobqGroup *group, int max_running)
{
	return has_own_limit(group) ? group->options.max_running : max_running;
}

/* Whether a group runs as many jobs as it may. */
static bool
is_full(const JobqGroup *group, int max_running)
{
	max_running = limit_of(group, max_running);
	return max_running != JOBQ_UNLIMITED &&
		group->running >= (uint32) max_running;
}

/*
 * Takes a group that may start no job now out of the turns; whether that was so.  One
 * without tickets may be forgotten.
 */
static bool
stops(JobqRoster *roster, JobqGroup *group, int max_running, TimestampTz now)
{
	if (jobq_roster_is_paused(group))
		jobq_roster_hold_paused(roster, group);
	else if (jobq_roster_is_throttled(group, now))
		jobq_roster_put_later(roster, group, group->not_before);
	else if (!is_full(group, max_running))
		return false;
	else if (has_own_limit(group))
		jobq_roster_hold(roster, group);
	else
		jobq_roster_park(roster, group, max_running);
	return true;
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
	jobq_roster_advance(roster);
}

/*
 * Draws a ticket of the group whose turn it is.  NULL if it may not start a job
 * now; then it does not take part in the turns any more.
 */
static JobqGroup *
draw(JobqRoster *roster, int max_running, TimestampTz now)
{
	JobqGroup  *group = roster->next;
	TimestampTz next = JOBQ_NEVER;

	if (stops(roster, group, max_running, now))
		return NULL;
	if (jobq_lanes_judge(&group->stream, now, &next) == JOBQ_POP_NOTHING)
	{
		jobq_roster_settle(group, now);
		return NULL;
	}
	jobq_roster_count(group, 1);
	roster->npicks++;
	end_turn(roster, group);
	(void) stops(roster, group, max_running, now);
	return group;
}

static JobqTurn
pick(JobqQueueState *queue, const JobqPicking *how, JobqGroup **group,
	 TimestampTz *next_run_at)
{
	TimestampTz now = how->now;
	JobqRoster *roster = &queue->roster;
	TimestampTz next = JOBQ_NEVER;
	JobqGroup  *later;

	if (how->gathering != roster->gathering)
		judge_later(roster, how->gathering, now);
	bring_due(roster, now);
	if (!dlist_is_empty(&roster->parked))
		unpark(roster, how->max_running);
	if (how->may_read && wants_reading(roster, now))
		return JOBQ_TURN_READ_ON;
	for (int left = roster->nturn + 1; left > 0; left--)
	{
		if (roster->next == NULL)
		{
			jobq_roster_advance(roster);
			if (jobq_lanes_judge(&queue->stream, now, &next) !=
				JOBQ_POP_NOTHING)
				return JOBQ_TURN_PLAIN;
			*next_run_at = Min(*next_run_at, next);
			continue;
		}
		if (how->has_options && !roster->next->knows_options)
		{
			*group = roster->next;
			return JOBQ_TURN_OPTIONS;
		}
		*group = draw(roster, how->max_running, now);
		if (*group != NULL)
			return JOBQ_TURN_GROUP;
	}
	later = jobq_roster_first_later(roster);
	if (later != NULL)
		*next_run_at = Min(*next_run_at, later->later.key);
	if (roster->complete)
		return JOBQ_TURN_NOTHING;
	/* this claim has read a lap, if it may: the next one is not yet */
	if (!roster->in_lap)
		*next_run_at = Min(*next_run_at,
						   Max(roster->next_lap, now + JOBQ_ROSTER_LOOK_DELAY));
	/* who reads, or gives a ticket back, makes room */
	roster->starved = true;
	roster->missed = roster->missed || roster->reading;
	if (roster->read_at <= now)
		return JOBQ_TURN_NOTHING;
	*next_run_at = Min(*next_run_at, now + JOBQ_ROSTER_LOOK_DELAY);
	return JOBQ_TURN_NO_ROOM;
}

/* What a claim has to know of a group of which it has drawn a ticket. */
static void
fill_ticket(JobqGroupTicket *ticket, JobqGroup *group, int max_running)
{
	ticket->group = group;
	ticket->told = group->told;
	ticket->max_running = limit_of(group, max_running);
}

static void
ask(JobqGroupQuestion *question, const JobqGroup *group)
{
	question->number = group->number;
	question->changes = group->changes;
	memcpy(question->name, group->key.name, sizeof(question->name));
}

/* See roster.h. */
JobqTurn
jobq_roster_pick(JobqQueueState *queue, const JobqPicking *how,
				 JobqGroupTicket *ticket, JobqGroupQuestion *question,
				 TimestampTz *next_run_at)
{
	JobqGroup  *group = NULL;
	JobqTurn	result;

	ticket->group = NULL;
	jobq_roster_lock(queue);
	result = pick(queue, how, &group, next_run_at);
	if (result == JOBQ_TURN_OPTIONS)
		ask(question, group);
	else if (group != NULL)
		fill_ticket(ticket, group, how->max_running);
	ticket->next = queue->roster.next;
	ticket->keeps_turn = false;
	jobq_roster_unlock(queue);
	return result;
}

/* Its turn is over, whatever its weight. */
static void
break_turn(JobqGroup *group)
{
	JobqRoster *roster = &group->key.queue->roster;

	if (group->served > 0 && roster->next == group)
		jobq_roster_advance(roster);
	group->served = 0;
}

/* It is the group's turn, as before its ticket was drawn. */
static void
return_turn(JobqGroup *group)
{
	JobqRoster *roster = &group->key.queue->roster;

	jobq_roster_put_in_turn(roster, group);
	roster->next = group;
	group->served = group->served > 0 ? group->served - 1 : weight_of(group) - 1;
}

/* The group that a question is about; NULL: it has left memory meanwhile. */
static JobqGroup *
group_of(JobqQueueState *queue, const JobqGroupQuestion *question)
{
	JobqGroup  *group = jobq_group_find(queue, question->name);

	return group != NULL && group->number == question->number ? group : NULL;
}

/* See roster.h. */
void
jobq_roster_answer(JobqQueueState *queue, const JobqGroupQuestion *question,
				   const JobqGroupOptions *options)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = group_of(queue, question);
	if (group != NULL && group->changes == question->changes)
	{
		group->options = *options;
		group->knows_options = true;
		if (jobq_roster_is_paused(group))
			jobq_roster_hold_paused(&queue->roster, group);
	}
	jobq_roster_unlock(queue);
}

/* See roster.h. */
void
jobq_roster_pass_over(JobqQueueState *queue, const JobqGroupQuestion *question)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = group_of(queue, question);
	if (group != NULL && queue->roster.next == group)
		jobq_roster_advance(&queue->roster);
	jobq_roster_unlock(queue);
}

/* See roster.h.  If it was paused, not all of its jobs may have been told of. */
void
jobq_roster_options_changed(JobqQueueState *queue, const char *name)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = jobq_roster_find_or_add(queue, name);
	if (group == NULL)
		jobq_roster_miss(&queue->roster, DT_NOBEGIN);
	else
	{
		jobq_lanes_forget(&group->stream);
		group->knows_options = false;
		group->changes++;
		group->told++;
		jobq_roster_put_in_turn(&queue->roster, group);
	}
	jobq_roster_unlock(queue);
}

/* See roster.h.  One that is full is judged when its next ticket comes back. */
bool
jobq_roster_throttle(JobqQueueState *queue, const char *name, int64 delay,
					 TimestampTz now)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = delay > 0 ? jobq_roster_find_or_add(queue, name) :
		jobq_group_find(queue, name);
	if (group != NULL)
	{
		group->throttle_delay = (uint32) (delay / USECS_PER_SEC + 1);
		group->not_before = delay > 0 ? now + delay : 0;
		if (group->place != JOBQ_GROUP_PARKED &&
			group->place != JOBQ_GROUP_HELD)
			jobq_roster_settle(group, now);
	}
	jobq_roster_unlock(queue);
	return group != NULL || delay == 0;
}

/* See roster.h. */
bool
jobq_roster_put_back(const JobqGroupTicket *ticket, TimestampTz until,
					 TimestampTz now)
{
	JobqGroup  *group = ticket->group;
	JobqQueueState *queue = group->key.queue;
	bool		told;

	jobq_roster_lock(queue);
	told = group->told != ticket->told;
	if (!ticket->keeps_turn)
		break_turn(group);
	else if (queue->roster.next == ticket->next)
		return_turn(group);
	jobq_roster_take_back(group, 1, told ? DT_NOBEGIN : until, now);
	jobq_roster_unlock(queue);
	return told;
}

/* See roster.h. */
bool
jobq_roster_enter(JobqQueueState *queue, const char *name, int max_running,
				  TimestampTz now, JobqGroupTicket *ticket)
{
	JobqGroup  *group;
	bool		result;

	jobq_roster_lock(queue);
	group = jobq_roster_find_or_add(queue, name);
	result = group != NULL && !jobq_roster_is_paused(group) &&
		!jobq_roster_is_throttled(group, now) && !is_full(group, max_running);
	if (result)
	{
		jobq_roster_count(group, 1);
		fill_ticket(ticket, group, max_running);
	}
	jobq_roster_unlock(queue);
	return result;
}

/* See roster.h. */
bool
jobq_roster_borrow(JobqGroup *group, const JobqPicking *how,
				   JobqGroupTicket *ticket, TimestampTz *next_run_at)
{
	JobqQueueState *queue = group->key.queue;
	bool		result;

	jobq_roster_lock(queue);
	fill_ticket(ticket, group, how->max_running);
	result = !jobq_roster_is_paused(group) &&
		!jobq_roster_is_throttled(group, how->now) &&
		(ticket->max_running == JOBQ_UNLIMITED ||
		 group->running <= (uint32) ticket->max_running) &&
		(jobq_lanes_judge(&group->stream, how->now, next_run_at) !=
		 JOBQ_POP_NOTHING || how->has_own);
	jobq_roster_unlock(queue);
	return result;
}

/* See roster.h. */
JobqGroup *
jobq_roster_join(JobqQueueState *queue, const char *name)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = jobq_roster_find_or_add(queue, name);
	if (group != NULL)
		jobq_roster_count(group, 1);
	jobq_roster_unlock(queue);
	return group;
}

/* See roster.h. */
bool
jobq_roster_sees_more(JobqQueueState *queue, TimestampTz now)
{
	JobqRoster *roster = &queue->roster;
	bool		result;

	if (!jobq_roster_is_active(queue))
		return false;
	LWLockAcquire(queue->stream.lock, LW_SHARED);
	result = roster->nturn > 0 || wants_reading(roster, now) ||
		(roster->later.root != NULL && roster->later.root->key <= now);
	LWLockRelease(queue->stream.lock);
	return result;
}

/* See roster.h.  Those that are ready now take part in the turns. */
TimestampTz
jobq_roster_next_due(JobqQueueState *queue, bool all_visited, TimestampTz now)
{
	JobqRoster *roster = &queue->roster;
	TimestampTz result = JOBQ_NEVER;

	jobq_roster_lock(queue);
	bring_due(roster, now);
	if (roster->later.root != NULL)
		result = roster->later.root->key;
	if (!roster->complete && !roster->in_lap && roster->next_lap > now)
		result = Min(result, roster->next_lap);
	else if (!roster->complete && all_visited)
		result = Min(result, now + JOBQ_ROSTER_LOOK_DELAY);
	jobq_roster_unlock(queue);
	return result;
}

/* See roster.h. */
int
jobq_roster_turns(JobqQueueState *queue)
{
	return queue->roster.nturn + 1;
}

/* ---------------------------------------------------------------- reading */

/* How many groups could be brought in, if necessary in place of others. */
static int
room_for(JobqQueueState *queue)
{
	int			room = jobq_group_room(queue) + queue->roster.nturn;

	return Min(room, JOBQ_ROSTER_READ);
}

/* See roster.h. */
bool
jobq_roster_read_begin(JobqRosterReading *reading, JobqQueueState *queue)
{
	JobqRoster *roster = &queue->roster;
	bool		result;

	Assert(reading_queue == NULL);
	jobq_roster_lock(queue);
	result = !roster->reading && !roster->complete && !queue->dropped;
	if (result)
	{
		if (!roster->in_lap)
		{
			roster->in_lap = true;
			roster->next_lap = JOBQ_NEVER;
		}
		roster->reading = true;
		reading->queue = queue;
		reading->resets = roster->resets;
		reading->room = Max(room_for(queue), 1);
		if (roster->hand == NULL)
			reading->after[0] = '\0';
		else
			memcpy(reading->after, roster->hand->key.name,
				   sizeof(reading->after));
		reading_queue = queue;
		reading_resets = roster->resets;
	}
	jobq_roster_unlock(queue);
	return result;
}

/*
 * The lap has come to a group, which stays in memory until it goes on; NULL: to the
 * end.
 */
static void
move_hand(JobqRoster *roster, JobqGroup *group, TimestampTz now)
{
	JobqGroup  *last = roster->hand;

	roster->hand = group;
	if (last != NULL && last->place == JOBQ_GROUP_RESTS)
		jobq_roster_settle(last, now);
}

/*
 * Brings a group that has jobs into memory, in place of another one if necessary.
 * NULL if there is no room.
 */
static JobqGroup *
bring_in(JobqQueueState *queue, const char *name, int *nold)
{
	JobqGroup  *group = jobq_group_find(queue, name);

	if (group != NULL)
		return group;
	while ((group = jobq_roster_add(queue, name)) == NULL)
	{
		if (!jobq_roster_put_one_out(&queue->roster, nold))
			return NULL;
	}
	jobq_roster_put_in_turn(&queue->roster, group);
	return group;
}

/* The lap has come to the end of the index. */
static void
end_lap(JobqRoster *roster, TimestampTz now)
{
	move_hand(roster, NULL, now);
	roster->in_lap = false;
	roster->complete = roster->next_lap == JOBQ_NEVER;
	roster->is_short = !roster->complete;
	jobq_roster_set_active(roster);
}

/* See roster.h. */
int
jobq_roster_read_end(const JobqRosterReading *reading,
					 const char *const *names, int n, bool at_end,
					 TimestampTz now, bool *wake)
{
	JobqQueueState *queue = reading->queue;
	JobqRoster *roster = &queue->roster;
	JobqGroup  *group;
	int			brought = 0;

	Assert(reading_queue == queue);
	*wake = false;
	jobq_roster_lock(queue);
	reading_queue = NULL;
	if (roster->resets == reading->resets)
	{
		int			nold = roster->nturn;

		roster->reading = false;
		roster->npicks = 0;
		while (brought < n &&
			   (group = bring_in(queue, names[brought], &nold)) != NULL)
		{
			move_hand(roster, group, now);
			brought++;
		}
		if (brought == 0 && n > 0)
		{
			roster->read_at = now + JOBQ_ROSTER_NO_ROOM_DELAY;
			roster->is_short = true;
		}
		if (brought == n && at_end)
			end_lap(roster, now);
		/* without room for any of them, they are found by the index */
		*wake = (roster->starved && brought > 0) || roster->missed;
		roster->starved = roster->starved && brought == 0;
		roster->missed = false;
	}
	jobq_roster_unlock(queue);
	return brought;
}

/* See roster.h.  Who found nothing while this process was reading is woken. */
JobqQueueState *
jobq_roster_read_abandon(void)
{
	JobqQueueState *queue = reading_queue;
	JobqRoster *roster;
	bool		wake = false;

	if (queue == NULL)
		return NULL;
	jobq_roster_lock(queue);
	reading_queue = NULL;
	roster = &queue->roster;
	if (roster->resets == reading_resets)
	{
		roster->reading = false;
		wake = roster->missed;
		roster->missed = false;
	}
	jobq_roster_unlock(queue);
	return wake ? queue : NULL;
}

/* See roster.h. */
int64
jobq_roster_running(JobqQueueState *queue)
{
	return pg_atomic_read_u32(&queue->roster.running);
}

/* See roster.h. */
int64
jobq_roster_running_of(JobqQueueState *queue, const char *name)
{
	const JobqGroup *group;
	int64		result;

	LWLockAcquire(queue->stream.lock, LW_SHARED);
	group = jobq_group_find(queue, name);
	result = group == NULL ? 0 : group->running;
	LWLockRelease(queue->stream.lock);
	return result;
}

/* See roster.h. */
bool
jobq_roster_covers(JobqQueueState *queue, const JobqPlace *place)
{
	JobqGroup  *group;
	bool		result;

	LWLockAcquire(queue->stream.lock, LW_SHARED);
	group = jobq_group_find(queue, place->group);
	if (group == NULL)
		result = !queue->roster.complete;
	else						/* the next claim forgets TIDs of another file */
		result = group->stream.storage != queue->stream.storage ||
			jobq_lane_covers_locked(&group->stream, place);
	LWLockRelease(queue->stream.lock);
	return result;
}
