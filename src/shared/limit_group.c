/*-------------------------------------------------------------------------
 *
 * limit_group.c
 *	  Groups of all queues that share a limit, counted together.
 *
 * A limit with max_running_per_group counts the running jobs that have the same group
 * key, over all of its queues.  A job needs no ticket for that besides the one of its
 * queue's group (roster.c): each group in memory is joined to a JobqLimitGroup, which all
 * groups with that key share, and what counts the group's tickets counts them there, too.
 * So the rule is: a JobqLimitGroup runs as many jobs as the groups that are joined to it
 * do together.  It holds at every moment, since a ticket is counted in both under the
 * lock of the queue's stream; and a group that is joined, or parts, brings or takes its
 * tickets along.
 *
 * A queue is linked to its limit: the groups that are made while it is, are joined.  A
 * claim that knows the queue to share another limit links it anew before it draws a
 * ticket, unless another claim knew more of the queue (JobqLimitLink.position).  What a
 * transaction has not committed links nothing.
 *
 * A limit links no queues until it has been given a max_running_per_group; from then on
 * it `counts_groups`.  As it may have queues with jobs that run, its gate is no longer
 * counted then (gate.c), nor is it after a start.  Until it is, no claim that knows of
 * max_running_per_group draws a ticket of a group.  A pass that counts first links all
 * queues of the limit (counting.c).  A queue that shares the limit later is linked by its
 * first claim.
 *
 * A claim that finds the JobqLimitGroup full leaves the group waiting there, in the same
 * hold of the lock.  So a ticket that comes back either lets the claim in, or the group is
 * found.  Then all groups that wait are called: each is put into a list of its own queue,
 * of which the next claim or look puts it in turn, and the coordinator is told to look at
 * those queues.  A ticket is promised to nobody.  The groups' places are not touched,
 * as no more than one queue's lock can be held.
 *
 * Locks: the limit's is taken under that of a queue's stream.
 *
 * IDENTIFICATION
 *	  src/shared/limit_group.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/limit_group.h"

#include "shared/clock.h"
#include "shared/database.h"
#include "shared/gate.h"
#include "shared/group.h"
#include "shared/wake.h"

#include "miscadmin.h"

StaticAssertDecl(sizeof(JobqLimitGroup) <= sizeof(JobqGroup),
				 "JobqLimitGroup is an entry of the table of groups");
StaticAssertDecl(sizeof(JobqLimitLink) <= sizeof(JobqGroup),
				 "JobqLimitLink is an entry of the table of groups");

/* This process has called groups of its database, and not told the coordinator yet. */
static bool has_called = false;

/* See limit_group.h. */
void
jobq_limit_group_wake_called(void)
{
	if (!has_called)
		return;
	has_called = false;
	jobq_wake_at(jobq_database(), jobq_now());
}

/*
 * Calls the groups that wait, under the limit's lock.  The links of their queues stay as
 * long as a group is joined.  Their database may be one that is dropped.
 */
static void
call_waiting(JobqLimitGroup *shared)
{
	TimestampTz now = jobq_now();

	while (!dlist_is_empty(&shared->waiting))
	{
		JobqGroup  *group = dlist_head_element(JobqGroup, peer,
											   &shared->waiting);
		JobqQueueState *queue = group->key.queue;
		JobqLimitLink *link = queue->roster.limit;

		dlist_delete(&group->peer);
		dlist_push_tail(&link->called, &group->peer);
		pg_atomic_write_u32(&link->has_called, 1);
		(void) jobq_wake_lower_time(&queue->next_look, now);
		has_called = has_called || queue->entry.key.dboid == MyDatabaseId;
	}
}

/* Counts tickets, under the limit's lock. */
static void
count(JobqLimitGroup *shared, int tickets)
{
	Assert(tickets >= 0 || shared->running >= (uint32) -tickets);
	shared->running += tickets;
	if (tickets < 0 && !dlist_is_empty(&shared->waiting) &&
		shared->running < (uint32) shared->max_running)
		call_waiting(shared);
}

/* See limit_group.h. */
void
jobq_limit_group_count(JobqGroup *group, int tickets)
{
	JobqLimitGroup *shared = group->shared;

	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	count(shared, tickets);
	LWLockRelease(shared->lock);
}

/* Whether no more jobs may run, under the limit's lock. */
static bool
is_full(const JobqLimitGroup *shared, int max_running)
{
	return shared->running >= (uint32) max_running;
}

/* See limit_group.h. */
bool
jobq_limit_group_enter(JobqGroup *group, int max_running)
{
	JobqLimitGroup *shared = group->shared;
	bool		result;

	if (shared == NULL)
		return true;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	result = max_running == JOBQ_UNLIMITED || !is_full(shared, max_running);
	if (result)
		shared->running++;
	LWLockRelease(shared->lock);
	return result;
}

/* See limit_group.h. */
bool
jobq_limit_group_turn_away(JobqGroup *group, int max_running)
{
	JobqLimitGroup *shared = group->shared;
	bool		result;

	if (shared == NULL || max_running == JOBQ_UNLIMITED)
		return false;
	Assert(group->place != JOBQ_GROUP_WAITS);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	result = is_full(shared, max_running);
	if (result)
	{
		shared->max_running = dlist_is_empty(&shared->waiting) ? max_running :
			Max(shared->max_running, max_running);
		dlist_push_tail(&shared->waiting, &group->peer);
	}
	LWLockRelease(shared->lock);
	return result;
}

/* See limit_group.h. */
void
jobq_limit_group_stop_waiting(JobqGroup *group)
{
	LWLockAcquire(group->shared->lock, LW_EXCLUSIVE);
	dlist_delete(&group->peer);
	LWLockRelease(group->shared->lock);
}

/* See limit_group.h. */
bool
jobq_limit_group_is_over(const JobqGroup *group, int max_running)
{
	JobqLimitGroup *shared = group->shared;
	bool		result;

	if (shared == NULL || max_running == JOBQ_UNLIMITED)
		return false;
	LWLockAcquire(shared->lock, LW_SHARED);
	result = shared->running > (uint32) max_running;
	LWLockRelease(shared->lock);
	return result;
}

/* See limit_group.h.  Only the caller takes groups out of the list meanwhile. */
JobqGroup *
jobq_limit_group_next_called(JobqRoster *roster)
{
	JobqLimitLink *link = roster->limit;
	JobqGroup  *group = NULL;

	if (link == NULL || pg_atomic_read_u32(&link->has_called) == 0)
		return NULL;
	LWLockAcquire(link->lock, LW_EXCLUSIVE);
	if (dlist_is_empty(&link->called))
		pg_atomic_write_u32(&link->has_called, 0);
	else
		group = dlist_head_element(JobqGroup, peer, &link->called);
	LWLockRelease(link->lock);
	return group;
}

/* What keys of the limit's entries have in place of a queue: its number. */
static JobqQueueState *
key_owner(const JobqLimitLink *link)
{
	return (JobqQueueState *) (uintptr_t) link->limit;
}

/* See limit_group.h. */
bool
jobq_limit_group_join(JobqGroup *group)
{
	JobqQueueState *queue = group->key.queue;
	const JobqLimitLink *link = queue->roster.limit;
	JobqLimitGroup *shared;
	JobqGroupKey key;
	bool		found;

	group->shared = NULL;
	if (link == NULL)
		return true;
	jobq_group_make_key(&key, key_owner(link), group->key.name);
	LWLockAcquire(link->lock, LW_EXCLUSIVE);
	shared = jobq_group_find_or_make_other(&key, queue->entry.role, &found);
	if (shared != NULL && !found)
	{
		shared->lock = link->lock;
		shared->role = queue->entry.role;
		shared->running = 0;
		shared->ngroups = 0;
		dlist_init(&shared->waiting);
	}
	if (shared != NULL)
	{
		shared->ngroups++;
		count(shared, (int) group->running);
		group->shared = shared;
	}
	LWLockRelease(link->lock);
	return shared != NULL;
}

/* See limit_group.h. */
void
jobq_limit_group_part(JobqGroup *group)
{
	JobqLimitGroup *shared = group->shared;
	LWLock	   *lock;

	if (shared == NULL)
		return;
	Assert(group->place != JOBQ_GROUP_WAITS);
	group->shared = NULL;
	lock = shared->lock;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	count(shared, -(int) group->running);
	if (--shared->ngroups == 0)
		jobq_group_free_other(&shared->key, shared->role);
	LWLockRelease(lock);
}

/* See limit_group.h.  Each needs an entry that other queues may have, too. */
bool
jobq_limit_group_may_replace(const JobqGroup *group, const char *name)
{
	const JobqLimitLink *link = group->key.queue->roster.limit;
	bool		result;

	if (group->shared == NULL)
		return true;
	LWLockAcquire(link->lock, LW_SHARED);
	result = group->shared->ngroups == 1 ||
		jobq_group_find(key_owner(link), name) != NULL;
	LWLockRelease(link->lock);
	return result;
}

/* See limit_group.h. */
void
jobq_limit_link_end(JobqQueueState *queue)
{
	JobqLimitLink *link = queue->roster.limit;

	queue->roster.limit = NULL;
	if (link != NULL)
		jobq_group_free_other(&link->key, queue->entry.role);
}

/* See limit_group.h. */
bool
jobq_limit_link_is(JobqQueueState *queue, const JobqLimitView *view)
{
	JobqLimitLink *link = queue->roster.limit;

	if (link == NULL)
		return view->number == 0;
	if (link->limit != view->number || view->position < link->position)
		return false;
	link->position = view->position;
	return true;
}
