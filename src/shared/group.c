/*-------------------------------------------------------------------------
 *
 * group.c
 *	  The hash table of the groups that are in memory.
 *
 * A group's key has the address of its queue's entry, which stays the queue's as
 * long as it has groups.  Roles are counted: each gets no more groups than are
 * free, so that one alone gets half of them, and a role without groups finds
 * room.
 *
 * IDENTIFICATION
 *	  src/shared/group.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/group.h"

#include "shared/area.h"

static void
make_key(JobqGroupKey *key, JobqQueueState *queue, const char *name)
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

/* See group.h. */
JobqGroup *
jobq_group_find(JobqQueueState *queue, const char *name)
{
	JobqGroupKey key;
	JobqGroup  *group;

	make_key(&key, queue, name);
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

/* See group.h. */
JobqGroup *
jobq_group_make(JobqQueueState *queue, const char *name)
{
	JobqGroupKey key;
	JobqGroup  *group = NULL;

	make_key(&key, queue, name);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	if (room_of(queue->entry.role) > 0)
		group = hash_search(jobq_shared_groups, &key, HASH_ENTER_NULL, NULL);
	if (group != NULL)
		(*role_count(queue->entry.role))++;
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return group;
}

/* See group.h. */
void
jobq_group_free(JobqGroup *group)
{
	Oid			role = group->key.queue->entry.role;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	(*role_count(role))--;
	(void) hash_search(jobq_shared_groups, &group->key, HASH_REMOVE, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
}

/* See group.h. */
int
jobq_group_room(const JobqQueueState *queue)
{
	long		room;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_SHARED);
	room = room_of(queue->entry.role);
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
	return (int) Min(room, PG_INT32_MAX);
}
