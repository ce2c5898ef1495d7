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
 * All groups of a queue count for its owner, other roles' throttles and jobs included.  What
 * a role may have also becomes less when others have more, and less than it has already.  So
 * a part of the table is kept for queues with few groups that find no other room.  A role
 * gets no more of it than is left, and a queue no more than is left to its role.  Entries are
 * all the same: those that a queue gives back are the kept ones first.
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

/* The part of the table that is kept for queues with few groups. */
#define KEPT_PART 16

/* The part of that below which groups are few, and of which all may be throttled. */
#define FEW_PART 4
#define FEW_THROTTLED_PART 16

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

/* How many entries are kept for queues with few groups. */
static long
kept_room(void)
{
	return jobq_area_room(JOBQ_AREA_GROUPS) / KEPT_PART;
}

/* How many entries are free; under the lock, as what follows. */
static long
count_free(void)
{
	return jobq_area_room(JOBQ_AREA_GROUPS) - hash_get_num_entries(jobq_shared_groups);
}

/* The number of kept entries that a role has, or roles that share it. */
static uint32 *
kept_count(Oid role)
{
	return jobq_role_counter(jobq_shared->kept_roles, role);
}

/*
 * How much more somebody may take who has `taken` so much.  Each piece that is taken also
 * makes one less that is left.
 */
static long
fair_part(long left, long taken)
{
	return left > taken ? (left - taken + 1) / 2 : 0;
}

/* How many more groups the role may have without the kept ones. */
static long
room_of(Oid role)
{
	long		kept_left = kept_room() - (long) jobq_shared->nkept;

	return fair_part(count_free() - kept_left,
					 (long) *role_count(role) - (long) *kept_count(role));
}

/* How many more of the kept entries the role may have. */
static long
kept_room_of(Oid role)
{
	long		left = Min(kept_room() - (long) jobq_shared->nkept, count_free());

	return fair_part(left, *kept_count(role));
}

/* How many more of them the queue may have. */
static long
kept_room_for(const JobqQueueState *queue)
{
	const JobqRoster *roster = &queue->roster;

	if (roster->ngroups - roster->nkept > kept_room() / FEW_PART)
		return 0;
	return fair_part(kept_room_of(queue->entry.role), roster->nkept);
}

/* The queue has taken a kept entry, or given one back. */
static void
count_kept(JobqQueueState *queue, int n)
{
	queue->roster.nkept += n;
	*kept_count(queue->entry.role) += n;
	jobq_shared->nkept += n;
}

/* See group.h. */
JobqGroup *
jobq_group_make(JobqQueueState *queue, const char *name)
{
	Oid			role = queue->entry.role;
	JobqGroupKey key;
	JobqGroup  *group = NULL;
	bool		is_kept;

	jobq_group_make_key(&key, queue, name);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	is_kept = room_of(role) <= 0;
	if (!is_kept || kept_room_for(queue) > 0)
		group = hash_search(jobq_shared_groups, &key, HASH_ENTER_NULL, NULL);
	if (group != NULL)
	{
		(*role_count(role))++;
		if (is_kept)
			count_kept(queue, 1);
		if (queue->roster.ngroups++ == 0)
			dlist_push_tail(queues_of(role), &queue->roster.of_role);
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
	if (queue->roster.nkept > 0)
		count_kept(queue, -1);
	if (--queue->roster.ngroups == 0)
		dlist_delete(&queue->roster.of_role);
	(void) hash_search(jobq_shared_groups, &group->key, HASH_REMOVE, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_GROUPS));
}

/*
 * See group.h.  A queue that has kept entries may need more of them for its limit: these are
 * not counted as such, so that they make the other room less.
 */
void *
jobq_group_find_or_make_other(const JobqGroupKey *key, Oid role, bool *found)
{
	void	   *result;
	bool		has_room;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	has_room = room_of(role) > 0 || kept_room_of(role) > 0;
	result = hash_search(jobq_shared_groups, key,
						 has_room ? HASH_ENTER_NULL : HASH_FIND, found);
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
	room = room_of(queue->entry.role) + kept_room_for(queue);
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
	long		few = kept_room() / FEW_THROTTLED_PART;
	long		share;
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_GROUPS), LW_EXCLUSIVE);
	share = *role_count(role) + room_of(role);
	result = *throttled < Max(share / 2, 1) || queue->roster.nthrottled < few;
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
