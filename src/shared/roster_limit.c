/*-------------------------------------------------------------------------
 *
 * roster_limit.c
 *	  Which limit counts the groups of a queue.
 *
 * limit_group.c says what links are.
 *
 * IDENTIFICATION
 *	  src/shared/roster_limit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_limit.h"

#include "shared/group.h"
#include "shared/limit_state.h"
#include "shared/roster_place.h"
#include "shared/roster_room.h"

/* The queue's groups are no longer counted. */
static void
unlink_queue(JobqQueueState *queue)
{
	JobqRoster *roster = &queue->roster;
	dlist_iter	iter;

	dlist_foreach(iter, &roster->all)
	{
		JobqGroup  *group = dlist_container(JobqGroup, member, iter.cur);

		if (group->place == JOBQ_GROUP_WAITS)
			jobq_roster_put_in_turn(roster, group);
		jobq_limit_group_part(group);
	}
	jobq_limit_link_end(queue);
}

/* Makes the link of a queue that has none; false if there is no room. */
static bool
make_link(JobqQueueState *queue, const JobqLimitState *limit,
		  const JobqLimitView *view)
{
	JobqGroupKey key;
	JobqLimitLink *link;
	bool		found;

	jobq_group_make_key(&key, queue, "");
	link = jobq_group_find_or_make_other(&key, queue->entry.role, &found);
	if (link == NULL)
		return false;
	Assert(!found);
	link->limit = view->number;
	link->lock = jobq_limit_state_lock(limit);
	link->position = view->position;
	dlist_init(&link->waits);
	pg_atomic_init_u32(&link->has_called, 0);
	dlist_init(&link->called);
	queue->roster.limit = link;
	return true;
}

/* Has the groups of the queue, which is linked to nothing, counted by the limit. */
static bool
link_queue(JobqQueueState *queue, const JobqLimitState *limit,
		   const JobqLimitView *view)
{
	dlist_iter	iter;

	if (!make_link(queue, limit, view))
		return false;
	dlist_foreach(iter, &queue->roster.all)
	{
		if (jobq_limit_group_join(dlist_container(JobqGroup, member, iter.cur)))
			continue;
		unlink_queue(queue);
		return false;
	}
	return true;
}

/* See roster_limit.h.  Under the lock of the queue's stream. */
static JobqLinkResult
follow(JobqQueueState *queue, const JobqLimitState *limit,
	   const JobqLimitView *view)
{
	const JobqLimitLink *link = queue->roster.limit;

	if (jobq_limit_link_is(queue, view))
		return JOBQ_LINKED;
	if (view->is_own || queue->stream.forgotten ||
		(link != NULL && view->position < link->position))
		return JOBQ_LINK_OUTDATED;
	unlink_queue(queue);
	return view->number == 0 || link_queue(queue, limit, view) ?
		JOBQ_LINKED : JOBQ_LINK_NO_ROOM;
}

static JobqLinkResult
try_link(JobqQueueState *queue, const JobqLimitState *limit,
		 const JobqLimitView *view)
{
	JobqLinkResult result;

	jobq_roster_lock(queue);
	result = follow(queue, limit, view);
	jobq_roster_unlock(queue);
	return result;
}

/* See roster_limit.h.  First others make room, then the queue itself and others. */
JobqLinkResult
jobq_limit_link(JobqQueueState *queue, const JobqLimitState *limit,
				const JobqLimitView *view)
{
	JobqLinkResult result = try_link(queue, limit, view);

	for (int i = 0; i < 2 && result == JOBQ_LINK_NO_ROOM; i++)
	{
		if (i > 0)
			jobq_roster_make_room_for_link(queue);
		/* as many as its groups, and the link */
		jobq_roster_seek_room(queue, queue->roster.ngroups + 1);
		result = try_link(queue, limit, view);
	}
	return result;
}
