/*-------------------------------------------------------------------------
 *
 * roster_place.c
 *	  Where a group stands in the roster of its queue.
 *
 * IDENTIFICATION
 *	  src/shared/roster_place.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_place.h"

#include "shared/group.h"
#include "shared/limit_group.h"
#include "shared/wake.h"

#include "miscadmin.h"

/* Under the lock: the earliest time for which a group was put off. */
static TimestampTz put_off_until = JOBQ_NEVER;

/*
 * The coordinator looks at the queue when groups that were put off have a job.  It
 * was told so when the job was committed; but a look forgets the times of groups
 * that are not `later`.
 */
void
jobq_roster_unlock(JobqQueueState *queue)
{
	TimestampTz when = put_off_until;
	bool		is_ours = queue->entry.key.dboid == MyDatabaseId;

	put_off_until = JOBQ_NEVER;
	LWLockRelease(queue->stream.lock);
	if (when != JOBQ_NEVER && is_ours)
		jobq_wake_for_queue_at(queue, when);
	jobq_limit_group_wake_called();
}

/* The same, but the coordinator is not told: see jobq_limit_group_wake_called(). */
void
jobq_roster_unlock_quietly(JobqQueueState *queue)
{
	put_off_until = JOBQ_NEVER;
	LWLockRelease(queue->stream.lock);
}

/* The coordinator is to look at the queue then; takes effect with the unlock. */
void
jobq_roster_look_at(TimestampTz when)
{
	put_off_until = Min(put_off_until, when);
}

/* Claims that have to look at the roster at all read this without the lock. */
void
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

/* See roster_place.h. */
void
jobq_roster_advance(JobqRoster *roster, JobqGroup **hand)
{
	if (*hand != NULL)
		*hand = next_in_turn(roster, *hand);
	else if (!dlist_is_empty(&roster->turn))
		*hand = dlist_head_element(JobqGroup, link, &roster->turn);
}

/* See roster_place.h. */
JobqGroup *
jobq_roster_made_after(JobqRoster *roster, JobqGroup *group)
{
	if (group != NULL)
		return dlist_has_next(&roster->all, &group->member) ?
			dlist_container(JobqGroup, member,
							dlist_next_node(&roster->all, &group->member)) : NULL;
	return dlist_is_empty(&roster->all) ? NULL :
		dlist_head_element(JobqGroup, member, &roster->all);
}

/* Takes a group out of the list that it is in. */
void
jobq_roster_take_out(JobqRoster *roster, JobqGroup *group)
{
	switch (group->place)
	{
		case JOBQ_GROUP_RESTS:
			break;
		case JOBQ_GROUP_IN_TURN:
			if (roster->next == group)
				jobq_roster_advance(roster, &roster->next);
			if (roster->next_look == group)
				jobq_roster_advance(roster, &roster->next_look);
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
			if (group->is_idle)
				roster->nidle--;
			dlist_delete(&group->link);
			jobq_heap_remove(&roster->later, &group->later);
			break;
		case JOBQ_GROUP_WAITS:
			dlist_delete(&group->link);
			jobq_limit_group_stop_waiting(group);
			break;
	}
	group->place = JOBQ_GROUP_RESTS;
	group->served = 0;
}

/* Has a group take part in the turns, as the last one. */
void
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

void
jobq_roster_put_later(JobqRoster *roster, JobqGroup *group, TimestampTz when)
{
	jobq_roster_take_out(roster, group);
	jobq_heap_add(&roster->later, &group->later, when);
	group->is_idle = group->not_before == 0;
	dlist_push_tail(group->is_idle ? &roster->idle : &roster->throttled,
					&group->link);
	if (group->is_idle)
		roster->nidle++;
	group->place = JOBQ_GROUP_LATER;
	jobq_roster_look_at(when);
}

void
jobq_roster_park(JobqRoster *roster, JobqGroup *group, int max_running)
{
	jobq_roster_take_out(roster, group);
	if (dlist_is_empty(&roster->parked))
		roster->parked_limit = max_running;
	roster->parked_limit = Min(roster->parked_limit, max_running);
	dlist_push_tail(&roster->parked, &group->link);
	group->place = JOBQ_GROUP_PARKED;
}

/*
 * The limit that the queue shares, which has turned the group away, lets in no more jobs
 * with its key than that.
 */
void
jobq_roster_wait(JobqRoster *roster, JobqGroup *group, int max_running)
{
	JobqLimitLink *link = roster->limit;

	jobq_roster_take_out(roster, group);
	if (dlist_is_empty(&link->waits))
		link->waits_limit = max_running;
	link->waits_limit = Min(link->waits_limit, max_running);
	dlist_push_tail(&link->waits, &group->link);
	group->place = JOBQ_GROUP_WAITS;
}

/* The group starts no job until its options, or the number of its tickets, change. */
void
jobq_roster_hold(JobqRoster *roster, JobqGroup *group)
{
	jobq_roster_take_out(roster, group);
	roster->nheld++;
	dlist_push_tail(&roster->held, &group->link);
	group->place = JOBQ_GROUP_HELD;
}

/* See roster_place.h. */
bool
jobq_roster_set_throttle(JobqGroup *group, TimestampTz not_before)
{
	JobqQueueState *queue = group->key.queue;

	if (group->not_before == 0 && not_before != 0 &&
		!jobq_group_note_throttled(queue))
		return false;
	if (group->not_before != 0 && not_before == 0)
		jobq_group_forget_throttled(queue);
	group->not_before = not_before;
	return true;
}

/* Whether the group is throttled. */
bool
jobq_roster_is_throttled(JobqGroup *group, TimestampTz now)
{
	TimestampTz latest;

	if (group->not_before == 0)
		return false;
	if (group->not_before <= now)
	{
		(void) jobq_roster_set_throttle(group, 0);
		return false;
	}
	/* the clock was set back */
	latest = now + group->throttle_delay * USECS_PER_SEC;
	group->not_before = Min(group->not_before, latest);
	return true;
}
