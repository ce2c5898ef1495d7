/*-------------------------------------------------------------------------
 *
 * group.c
 *	  The hash table of the groups that are in memory.
 *
 * A group's key has the address of its queue's entry, which stays the queue's as
 * long as it has groups.  Roles are counted: each gets no more groups than are
 * free, so that one alone gets half of them, and a role without groups finds
 * room.  At most half of what a role may have are throttled: a role that may only
 * consume can throttle groups that do not exist.
 *
 * All groups of a queue count for its owner, other roles' throttles and jobs included.  So
 * that those of one queue cannot take all room of the owner's other queues, the last part
 * of it is left to queues that have fewer groups than that.  Groups of jobs that run already
 * may have it all.
 *
 * Groups whose queue shares a limit that counts them need more entries of the table, of
 * which limit_group.c has the content: nobody else pays for those.
 *
 * The queues of a role that have groups are in a list, which goes round, for those
 * that need room (roster_room.c).
 *
 * IDENTIFICATION
 *	  src/shared/group.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/group.h"

#include "shared/area.h"

/* A role's room, divided by that, is left to those of its queues that have few groups. */
#define KEPT_PART 16

/* Queues of a role that are looked at in one call, for one that needs room. */
#define QUEUES_AT_A_TIME 16

/* See group.h. */
void
jobq_group_make_key(JobqGroupKey *key, JobqQueueState *queue, const char *name)
{
	Assert(strlen(name) < JOBQ_GROUP_NAME_SIZE);
	key->queue = queue;
	strncpy(key->name, name, sizeof(key->name));	/* pads with zeros */
}

/* The number of groups of a role, or of roles that share it. */
static uint32 *
role_count(Oid role)
{
	return jobq_role_counter(jobq_shared->group_roles, role);
}

/* The queues of a role, or of roles that share the list, that have groups. */
static dlist_head *
queues_of(Oid role)
{
	return &jobq_shared->group_queues[role_count(role) - jobq_shared->group_roles];
}

/* See group.h. */
JobqGroup *
jobq_group_find(JobqQueueState *queue, const char *name)
{
	JobqGroupKey key;
	JobqGroup  *group;

	jobq_group_make_key(&key, queue, name);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_SHARED);
	group = hash_search(jobq_shared_groups, &key, HASH_FIND, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return group;
}

/* How many more groups the role may have; under the lock. */
static long
room_of(Oid role)
{
	long		left = jobq_area_room(JOBQ_AREA_GROUPS) -
	hash_get_num_entries(jobq_shared_groups);
	long		taken = *role_count(role);

	/* each one that is taken also makes one less that is free */
	return left > taken ? (left - taken + 1) / 2 : 0;
}

/*
 * How much of what is left of its role's share a queue may take, which has that much of it.
 * Each piece that it takes also makes one less of what is left.
 */
static long
room_beside_others(long share, long left, long own)
{
	return Max(Max(left - share / KEPT_PART, (left - own + 1) / 2), 0);
}

/* How many more groups the queue may have; under the lock. */
static long
room_for_queue(const JobqQueueState *queue)
{
	long		left = room_of(queue->entry.role);

	return room_beside_others(*role_count(queue->entry.role) + left, left,
							  queue->roster.ngroups);
}

/* See group.h. */
JobqGroup *
jobq_group_make(JobqQueueState *queue, const char *name, bool runs)
{
	JobqGroupKey key;
	JobqGroup  *group = NULL;

	jobq_group_make_key(&key, queue, name);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	if ((runs ? room_of(queue->entry.role) : room_for_queue(queue)) > 0)
		group = hash_search(jobq_shared_groups, &key, HASH_ENTER_NULL, NULL);
	if (group != NULL)
	{
		(*role_count(queue->entry.role))++;
		if (queue->roster.ngroups++ == 0)
			dlist_push_tail(queues_of(queue->entry.role), &queue->roster.of_role);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return group;
}

/* See group.h. */
void
jobq_group_free(JobqGroup *group)
{
	JobqQueueState *queue = group->key.queue;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	(*role_count(queue->entry.role))--;
	if (--queue->roster.ngroups == 0)
		dlist_delete(&queue->roster.of_role);
	(void) hash_search(jobq_shared_groups, &group->key, HASH_REMOVE, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
}

/* See group.h. */
void *
jobq_group_find_or_make_other(const JobqGroupKey *key, Oid role, bool *found)
{
	void	   *result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	result = hash_search(jobq_shared_groups, key,
						 room_of(role) > 0 ? HASH_ENTER_NULL : HASH_FIND, found);
	if (result != NULL && !*found)
		(*role_count(role))++;
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return result;
}

/* See group.h. */
void
jobq_group_free_other(const JobqGroupKey *key, Oid role)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	(*role_count(role))--;
	(void) hash_search(jobq_shared_groups, key, HASH_REMOVE, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
}

/* See group.h. */
int
jobq_group_room(const JobqQueueState *queue)
{
	long		room;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_SHARED);
	room = room_for_queue(queue);
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return (int) Min(room, PG_INT32_MAX);
}

/* The number of throttled groups of a role, or of roles that share it. */
static uint32 *
throttled_count(Oid role)
{
	return jobq_role_counter(jobq_shared->throttled_roles, role);
}

/* See group.h. */
bool
jobq_group_note_throttled(JobqQueueState *queue)
{
	Oid			role = queue->entry.role;
	uint32	   *throttled = throttled_count(role);
	long		share;
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	share = Max((*role_count(role) + room_of(role)) / 2, 1);
	result = room_beside_others(share, share - (long) *throttled,
								queue->roster.nthrottled) > 0;
	if (result)
	{
		(*throttled)++;
		queue->roster.nthrottled++;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return result;
}

/* See group.h. */
void
jobq_group_forget_throttled(JobqQueueState *queue)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	(*throttled_count(queue->entry.role))--;
	queue->roster.nthrottled--;
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
}

/* Whether groups of a queue may make room for those of another one, as it seems. */
static bool
may_give(const JobqQueueState *giver, const JobqQueueState *queue, bool busy)
{
	const JobqRoster *roster = &giver->roster;

	if (giver->entry.role != queue->entry.role)
		return false;
	return busy ? roster->nturn > queue->roster.ngroups :
		roster->nidle + roster->nheld > 0;
}

/* See group.h. */
JobqQueueState *
jobq_group_next_giver(const JobqQueueState *queue, bool busy)
{
	dlist_head *queues = queues_of(queue->entry.role);
	JobqQueueState *result = NULL;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	for (int i = 0; i < QUEUES_AT_A_TIME && result == NULL &&
		 !dlist_is_empty(queues); i++)
	{
		JobqQueueState *next = dlist_head_element(JobqQueueState,
												  roster.of_role, queues);

		dlist_delete(&next->roster.of_role);
		dlist_push_tail(queues, &next->roster.of_role);
		if (may_give(next, queue, busy))
			result = next;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return result;
}
