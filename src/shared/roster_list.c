/*-------------------------------------------------------------------------
 *
 * roster_list.c
 *	  The groups of a queue that are in memory, for views.
 *
 * A queue may have very many groups, and claims wait for the lock.  So groups are
 * read some at a time, in the order in which they were made, which is that of the
 * list of all groups.
 *
 * IDENTIFICATION
 *	  src/shared/roster_list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_list.h"

#include "shared/group.h"
#include "shared/group_rate.h"
#include "shared/lane.h"
#include "shared/roster.h"

/* See JobqGroupBrief. */
static TimestampTz
find_due(const JobqGroup *group, TimestampTz now)
{
	TimestampTz next = JOBQ_NEVER;

	/* which may be when its jobs have waited enough for a full batch */
	if (group->place == JOBQ_GROUP_LATER &&
		!jobq_group_rate_is_shut(group, now) &&
		jobq_group_rate_needed_until(group) <= now)
		return group->later.key;
	return jobq_lanes_judge(&group->stream, now, &next) == JOBQ_POP_NOTHING ?
		next : DT_NOBEGIN;
}

static void
copy(JobqGroupBrief *brief, const JobqGroup *group, TimestampTz now)
{
	brief->number = group->number;
	brief->running = group->running;
	brief->in_limit = group->shared == NULL ? 0 : group->shared->running;
	brief->due = find_due(group, now);
	brief->not_before = group->not_before;
	brief->opens_at = jobq_group_rate_is_shut(group, now) ?
		group->opens_at : 0;
	memcpy(brief->name, group->key.name, sizeof(brief->name));
}

/*
 * The node of the first group after that one, NULL: none.  If it has left memory
 * meanwhile, it is searched for from the beginning.
 */
static dlist_node *
find_next(JobqQueueState *queue, const JobqGroupBrief *after)
{
	dlist_head *all = &queue->roster.all;
	JobqGroup  *group;
	dlist_iter	iter;

	if (after == NULL)
		return dlist_is_empty(all) ? NULL : dlist_head_node(all);
	group = jobq_group_find(queue, after->name);
	if (group != NULL && group->number == after->number)
		return dlist_has_next(all, &group->member) ?
			dlist_next_node(all, &group->member) : NULL;
	dlist_foreach(iter, all)
	{
		if (dlist_container(JobqGroup, member, iter.cur)->number >
			after->number)
			return iter.cur;
	}
	return NULL;
}

/* See roster_list.h. */
int
jobq_roster_list(JobqQueueState *queue, const JobqGroupBrief *after,
				 TimestampTz now, JobqGroupBrief *groups, int n)
{
	dlist_head *all = &queue->roster.all;
	dlist_node *node;
	int			count = 0;

	LWLockAcquire(queue->stream.lock, LW_SHARED);
	node = find_next(queue, after);
	while (node != NULL && count < n)
	{
		copy(&groups[count++], dlist_container(JobqGroup, member, node), now);
		node = dlist_has_next(all, node) ? dlist_next_node(all, node) : NULL;
	}
	LWLockRelease(queue->stream.lock);
	return count;
}

/* See roster_list.h. */
bool
jobq_roster_list_one(JobqQueueState *queue, const char *name, TimestampTz now,
					 JobqGroupBrief *group)
{
	const JobqGroup *found;

	LWLockAcquire(queue->stream.lock, LW_SHARED);
	found = jobq_group_find(queue, name);
	if (found != NULL)
		copy(group, found, now);
	LWLockRelease(queue->stream.lock);
	return found != NULL;
}

/* See roster_list.h. */
bool
jobq_roster_lacks_lanes(JobqQueueState *queue)
{
	bool		result = false;
	dlist_iter	iter;

	if (!jobq_roster_is_active(queue))
		return false;
	LWLockAcquire(queue->stream.lock, LW_SHARED);
	dlist_foreach(iter, &queue->roster.all)
	{
		result = jobq_lanes_lack_room(&dlist_container(JobqGroup, member,
													   iter.cur)->stream);
		if (result)
			break;
	}
	LWLockRelease(queue->stream.lock);
	return result;
}

/* See roster_list.h. */
void
jobq_limit_groups_sum(int64 *counted, int64 *tickets)
{
	HASH_SEQ_STATUS status;
	JobqGroupKey *key;

	*counted = 0;
	*tickets = 0;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_SHARED);
	hash_seq_init(&status, jobq_shared_groups);
	while ((key = hash_seq_search(&status)) != NULL)
	{
		const JobqGroup *group = (const JobqGroup *) key;

		if (((uintptr_t) key->queue & 1) != 0)
			*counted += ((const JobqLimitGroup *) key)->running;
		else if (key->name[0] != '\0' && group->shared != NULL)
			*tickets += group->running;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
}
