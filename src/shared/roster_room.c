/*-------------------------------------------------------------------------
 *
 * roster_room.c
 *	  Room for groups, which other queues of the role make.
 *
 * The room for groups is divided among roles (group.c).  Within a role, a group that
 * has nothing to do now (its jobs are ahead, or it is paused) makes room for one that
 * has, of whichever queue: its own queue reads it from the index again when its first
 * job is due.  A queue that has fewer groups in memory than another one has in turn
 * takes some of those, too, so that queues of which nobody claims jobs keep no room
 * from others.
 *
 * A group of which something is to be counted now, as a new job is by a rate, cannot
 * wait for its turn in a lap.  It takes the place of any other group of its queue that
 * may leave.  They are asked in the order in which they were made, round and round, so
 * that those whose rate has just counted something are asked last.
 *
 * A queue whose shared limit counts its groups starts none of their jobs until it is linked
 * to that (limit_group.c), so the link takes the place of its groups, too: those without
 * tickets leave.  Then others have more groups in turn than this one, and make room for them.
 *
 * Two queues may have the same lock, or any order of them, so that of the queue in
 * need is not held while another one makes room.  That may be gone by then, and its
 * entry another queue's: if the role is the same, this one makes room as well.
 *
 * IDENTIFICATION
 *	  src/shared/roster_room.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_room.h"

#include "shared/clock.h"
#include "shared/group.h"
#include "shared/roster_memory.h"
#include "shared/roster_pick.h"
#include "shared/roster_place.h"
#include "shared/roster_read.h"

/* Queues that are asked for room in one call, at most, of each kind. */
#define MAX_GIVERS 8

/*
 * Groups that are asked to leave in one hold of a queue's lock, which other queues may
 * have, too.
 */
#define MAX_ASKED 64

/*
 * See roster_room.h.  The end of a lap says so of the queue, but if nobody claims its jobs
 * no lap comes to its end.  With room for as many groups as are read at a time there is no
 * shortage any more, and a claim would end it.
 */
bool
jobq_roster_is_short(const JobqQueueState *queue)
{
	return queue->roster.is_short && jobq_group_room(queue) < JOBQ_ROSTER_READ;
}

/*
 * Puts out the next group that is asked to leave, whatever it waits for; it is read again
 * when it may start something.  Whether it may leave.
 */
static bool
put_next_out(JobqRoster *roster)
{
	JobqGroup  *group = roster->next_out;
	TimestampTz first = DT_NOBEGIN;

	if (group == NULL)
		group = jobq_roster_made_after(roster, NULL);
	if (group == NULL)
		return false;
	roster->next_out = jobq_roster_made_after(roster, group);
	if (!jobq_roster_may_leave(roster, group))
		return false;
	if (group->place == JOBQ_GROUP_LATER)
		first = group->later.key;
	else if (group->place == JOBQ_GROUP_WAITS)
	{
		/* nobody can call it */
		first = jobq_now() + JOBQ_ROSTER_LOOK_DELAY;
		jobq_roster_look_at(first);
	}
	jobq_roster_put_out(roster, group, first);
	return true;
}

/* Puts out up to n of those that are asked next. */
static void
put_some_out(JobqRoster *roster, int n)
{
	for (int left = MAX_ASKED; left > 0 && n > 0; left--)
	{
		if (put_next_out(roster))
			n--;
	}
}

/* A queue puts out groups, up to n. */
static void
give_room(JobqQueueState *giver, Oid role, int n, bool busy)
{
	jobq_roster_lock(giver);
	if (giver->stream.role != role || giver->stream.forgotten)
		n = 0;
	if (busy)
		put_some_out(&giver->roster,
					 n - jobq_roster_put_ready_out(&giver->roster, n));
	else
		(void) jobq_roster_put_idle_out(&giver->roster, n);
	jobq_roster_unlock(giver);
}

/* The same of several queues, of one kind of groups; whether there is room then. */
static bool
seek(JobqQueueState *queue, int n, bool busy)
{
	for (int i = 0; i < MAX_GIVERS; i++)
	{
		int			missing = n - jobq_group_room(queue);
		JobqQueueState *giver;

		if (missing <= 0)
			return true;
		giver = jobq_group_next_giver(queue, busy);
		if (giver == NULL)
			return false;
		give_room(giver, queue->entry.role, missing, busy);
	}
	return jobq_group_room(queue) >= n;
}

/* See roster_room.h. */
void
jobq_roster_seek_room(JobqQueueState *queue, int n)
{
	if (!seek(queue, n, false))
		(void) seek(queue, n, true);
}

/* See roster_room.h. */
JobqGroup *
jobq_roster_require(JobqQueueState *queue, const char *name)
{
	JobqGroup  *group = jobq_roster_find_or_add(queue, name);

	if (group != NULL || queue->stream.forgotten)
		return group;
	if (jobq_roster_put_idle_out(&queue->roster, 1) == 0)
	{
		jobq_roster_unlock(queue);
		jobq_roster_seek_room(queue, 1);
		jobq_roster_lock(queue);
	}
	return jobq_roster_find_or_add(queue, name);
}

/* See roster_room.h.  One that is refused is told to jobq.health, as are those that left. */
JobqGroup *
jobq_roster_insist(JobqQueueState *queue, const char *name)
{
	JobqGroup  *group = jobq_roster_require(queue, name);

	for (int left = queue->roster.ngroups;
		 left > 0 && group == NULL && !queue->stream.forgotten; left--)
	{
		if (put_next_out(&queue->roster))
			group = jobq_roster_find_or_add(queue, name);
		else if (left % MAX_ASKED == 0)
		{
			jobq_roster_unlock(queue);
			jobq_roster_lock(queue);
		}
	}
	if (group == NULL)
		jobq_roster_miss(&queue->roster, DT_NOBEGIN);
	return group;
}

/* See roster_room.h.  The hand leaves last, as the lap begins anew then. */
void
jobq_roster_make_room_for_link(JobqQueueState *queue)
{
	JobqRoster *roster = &queue->roster;

	jobq_roster_lock(queue);
	for (int left = roster->ngroups;
		 left > 0 && jobq_group_room(queue) <= roster->ngroups; left--)
	{
		(void) put_next_out(roster);
		if (left % MAX_ASKED == 0)
		{
			jobq_roster_unlock(queue);
			jobq_roster_lock(queue);
		}
	}
	if (jobq_group_room(queue) <= roster->ngroups)
		(void) jobq_roster_put_hand_out(roster, "");
	jobq_roster_unlock(queue);
}
