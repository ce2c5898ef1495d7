/*-------------------------------------------------------------------------
 *
 * roster.c
 *	  The groups of a queue: their rules, what is told of them, and the tickets of
 *	  jobs that run.
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
 * - waits: the limit that the queue shares lets in no more jobs with its key, over all of
 *	 its queues (limit_group.c);
 * - resting: jobs of it are running, and no others are known.
 *
 * A claim draws a ticket of a group before it looks for a job in it, as for the
 * queue (gate.c).  The ticket also keeps the group in memory.  All jobs of groups
 * have such a ticket, so a limit that is set later counts what is running.  Unlike
 * those of queues these tickets are counted under the lock of the queue's stream:
 * to find a group full and to park it is one step, and so is to give a ticket back
 * and to put the group in turn.  The ticket of a look only keeps the group in memory:
 * if it made the group full, claims would pass over a job that nobody takes.
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
 *	 the index in laps, some at a time, usually by one process at a time.  A lap that
 *	 has passed no group without bringing it into memory makes the roster complete.
 * - next_lap is set when a lap begins, before the snapshot is taken, and lowered
 *	 when a group finds no room or is put out.  A group that is told of meanwhile
 *	 is either in memory, or in the snapshot, or has lowered next_lap.
 *
 * If there is room for a part of the groups only, those that have nothing to do, in
 * whichever queue of the role, make room for others (roster_room.c).  If that is not
 * enough, those that had their turn make room for those that are read next.  So each
 * has its turn in each lap.
 *
 * Here is what is told of groups.  roster_place.c moves a group from one of the
 * places above to another, roster_memory.c brings groups into memory and puts them
 * out, roster_pick.c has the turns, and roster_read.c the laps.
 *
 * IDENTIFICATION
 *	  src/shared/roster.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster.h"

#include "shared/group.h"
#include "shared/group_rate.h"
#include "shared/lane_look.h"
#include "shared/roster_memory.h"
#include "shared/roster_place.h"
#include "shared/roster_room.h"

/* The group's first job may be another one, or free now. */
static void
note_told(JobqGroup *group)
{
	group->told++;
	group->nblocked = 0;
}

/* Puts a group to where it belongs by its jobs, unless it may start none. */
static void
settle_by_jobs(JobqGroup *group, TimestampTz now)
{
	if (group->place != JOBQ_GROUP_PARKED && group->place != JOBQ_GROUP_HELD &&
		group->place != JOBQ_GROUP_WAITS)
		jobq_roster_settle(group, now);
}

/* See roster.h. */
void
jobq_roster_lower(JobqQueueState *queue, const JobqPlace *place,
				  TimestampTz now)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);

	/*
	 * one whose jobs are ahead, or that has found no room lately, takes none
	 * away
	 */
	group = place->key.run_at <= now && queue->roster.read_at <= now ?
		jobq_roster_require(queue, place->group) :
		jobq_roster_find_or_add(queue, place->group);
	if (group == NULL)
		jobq_roster_miss(&queue->roster, place->key.run_at);
	else
	{
		jobq_lane_lower_locked(&group->stream, place);
		note_told(group);
		settle_by_jobs(group, now);
	}
	jobq_roster_unlock(queue);
}

/* Takes a job out of its group's lane; NULL if it was not there. */
static JobqGroup *
remove_job(JobqQueueState *queue, const JobqPlace *place)
{
	JobqGroup  *group = jobq_group_find(queue, place->group);

	return group != NULL && ItemPointerIsValid(&place->tid) &&
		jobq_lane_remove_locked(&group->stream, place) ? group : NULL;
}

/* See roster.h. */
void
jobq_roster_remove(JobqQueueState *queue, const JobqPlace *place,
				   TimestampTz now)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = remove_job(queue, place);
	if (group != NULL)
		settle_by_jobs(group, now);
	jobq_roster_unlock(queue);
}

/*
 * See roster.h.  A claim draws its ticket, under the lock, before it finds the job
 * locked: so if the claim has waited, this sees it.
 */
bool
jobq_roster_keeps_order(JobqQueueState *queue)
{
	pg_read_barrier();
	return queue->roster.keeps_order;
}

/* See roster.h.  One that was put out while it was blocked is read again. */
bool
jobq_roster_unblock(JobqQueueState *queue, const JobqPlace *place,
					TimestampTz now)
{
	JobqRoster *roster = &queue->roster;
	JobqGroup  *group;
	bool		result;

	jobq_roster_lock(queue);
	group = jobq_group_find(queue, place->group);
	if (group == NULL)
	{
		result = !roster->complete && roster->next_lap > now;
		if (result)
			jobq_roster_miss(roster, now);
	}
	else
	{
		result = group->place == JOBQ_GROUP_LATER;
		note_told(group);
		if (remove_job(queue, place) != NULL || result)
			settle_by_jobs(group, now);
	}
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
		 !jobq_group_rate_is_shut(group, now) &&
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
		jobq_group_rate_forget_time(group);
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
	bool		result = delay == 0;

	jobq_roster_lock(queue);
	group = delay > 0 ? jobq_roster_insist(queue, name) :
		jobq_group_find(queue, name);
	if (group != NULL)
	{
		result = jobq_roster_set_throttle(group, delay > 0 ? now + delay : 0);
		if (result)
			group->throttle_delay = (uint32) (delay / USECS_PER_SEC + 1);
		settle_by_jobs(group, now);
	}
	jobq_roster_unlock(queue);
	return result;
}

/* See roster.h. */
JobqGroup *
jobq_roster_join(JobqQueueState *queue, const char *name)
{
	JobqGroup  *group;

	jobq_roster_lock(queue);
	group = jobq_roster_require(queue, name);
	if (group != NULL)
		jobq_roster_count(group, 1);
	jobq_roster_unlock(queue);
	return group;
}

/* See roster.h. */
bool
jobq_roster_has(JobqQueueState *queue, const char *name)
{
	bool		result;

	LWLockAcquire(queue->stream.lock, LW_SHARED);
	result = jobq_group_find(queue, name) != NULL;
	LWLockRelease(queue->stream.lock);
	return result;
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
