/*-------------------------------------------------------------------------
 *
 * fire_owner.c
 *	  The owners that have schedules to be fired, who take turns.
 *
 * The coordinator remembers each owner with schedules that are due but were
 * not fired: how far it has looked at them, and when to look again at those
 * that it had to leave because they are locked.  So what one owner leaves
 * behind is not passed over in each batch, and does not change when those of
 * another one are looked at.
 *
 * Schedules that wait for a job are a part of their own.  They are looked at
 * when a job of one of the owner's schedules has ended, and rarely otherwise,
 * since jobs may be deleted by other means than jobq's functions.
 *
 * All of this is in the coordinator's memory.  If a transaction that has
 * changed it is rolled back, it is forgotten (fire_progress.c).
 *
 * IDENTIFICATION
 *	  src/schedule/fire_owner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/fire_owner.h"

#include "shared/database.h"

#include "storage/lwlock.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Never wait longer for another look: the clock may have been set back. */
#define MAX_RETRY_DELAY (60 * USECS_PER_SEC)

/*
 * To look at a schedule that waits takes this much of the coordinator's time.
 * An owner with many of them has others go first when jobs end.
 */
#define WAIT_TURN INT64CONST(100)

/*
 * Delay before looking at those that wait when no job has ended, and the least
 * for each of them.
 */
#define WAIT_DELAY (60 * USECS_PER_SEC)
#define WAIT_DELAY_EACH INT64CONST(1000)

static HTAB *owners = NULL;
static dlist_head turn_order = DLIST_STATIC_INIT(turn_order);

void
jobq_fire_owners_forget(void)
{
	HASHCTL		info = {0};

	if (owners != NULL)
		hash_destroy(owners);
	owners = NULL;
	dlist_init(&turn_order);
	info.keysize = sizeof(Oid);
	info.entrysize = sizeof(JobqFireOwner);
	info.hcxt = TopMemoryContext;
	owners = hash_create("jobq owners of due schedules", 16, &info,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

bool
jobq_fire_owner_has_more(const JobqFireOwner *owner, JobqFirePart part)
{
	return owner->from[part].next_run != JOBQ_NEVER;
}

/* Whether the owner has schedules to be looked at. */
static bool
has_more(const JobqFireOwner *owner)
{
	return jobq_fire_owner_has_more(owner, JOBQ_FIRE_DUE) ||
		jobq_fire_owner_has_more(owner, JOBQ_FIRE_WAITING);
}

static void
go_back(JobqFireOwner *owner, JobqFirePart part, const JobqFirePlace *place)
{
	if (jobq_fire_place_compare(place, &owner->from[part]) < 0)
		owner->from[part] = *place;
}

/*
 * Looks again at what was left when that is due.  That comes after what was not
 * looked at yet.
 */
static void
look_again(JobqFireOwner *owner, TimestampTz now)
{
	JobqFirePlace place;

	if (owner->left == JOBQ_NEVER)
		return;
	owner->retry_at = Min(owner->retry_at, now + MAX_RETRY_DELAY);
	if (jobq_fire_owner_has_more(owner, JOBQ_FIRE_DUE) ||
		owner->retry_at > now)
		return;
	jobq_fire_place_before(&place, owner->left);
	go_back(owner, JOBQ_FIRE_DUE, &place);
	owner->left = JOBQ_NEVER;
	owner->retry_at = JOBQ_NEVER;
}

/* When to look at the owner's waiting schedules if no job ends. */
static TimestampTz
next_check(const JobqFireOwner *owner, TimestampTz now)
{
	return now + Max(WAIT_DELAY, owner->nwaiting * WAIT_DELAY_EACH);
}

/* Begins to look at the schedules that wait. */
static void
look_at_waiting(JobqFireOwner *owner)
{
	jobq_fire_place_before(&owner->from[JOBQ_FIRE_WAITING], DT_NOBEGIN);
	owner->nwaiting = 0;
	owner->wait_at = JOBQ_NEVER;
}

/*
 * Looks at those that wait if a job has ended, unless that was done too
 * recently.  What ends while they are looked at is for the next time.
 */
static void
look_if_ended(JobqFireOwner *owner, TimestampTz now, bool ended)
{
	/* the clock may have been set back */
	owner->wait_until = Min(owner->wait_until, now + MAX_RETRY_DELAY);
	if (ended)
		owner->wait_at = DT_NOBEGIN;
	if (jobq_fire_owner_has_more(owner, JOBQ_FIRE_WAITING))
		return;
	owner->wait_at = owner->nwaiting > 0 ?
		Min(owner->wait_at, next_check(owner, now)) : JOBQ_NEVER;
	if (Max(owner->wait_at, owner->wait_until) <= now)
		look_at_waiting(owner);
}

void
jobq_fire_owners_begin(TimestampTz now, const JobqEndedOwners *ended)
{
	dlist_iter	iter;

	dlist_foreach(iter, &turn_order)
	{
		JobqFireOwner *owner = dlist_container(JobqFireOwner, node, iter.cur);

		owner->nturns = 0;
		owner->served = false;
		look_again(owner, now);
		look_if_ended(owner, now,
					  jobq_ended_owners_have(ended, owner->owner));
	}
}

static JobqFireOwner *
find_owner(Oid role)
{
	bool		found;
	JobqFireOwner *owner = hash_search(owners, &role, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) owner + sizeof(Oid), 0,
			   sizeof(JobqFireOwner) - sizeof(Oid));
		for (int part = 0; part < JOBQ_FIRE_PARTS; part++)
			jobq_fire_place_before(&owner->from[part], JOBQ_NEVER);
		owner->left = owner->retry_at = owner->behind_since = JOBQ_NEVER;
		owner->wait_at = JOBQ_NEVER;
		owner->wait_until = DT_NOBEGIN;
		dlist_push_tail(&turn_order, &owner->node);
	}
	return owner;
}

void
jobq_fire_owner_add(Oid role, TimestampTz next_run)
{
	JobqFirePlace place;

	jobq_fire_place_before(&place, next_run);
	go_back(find_owner(role), JOBQ_FIRE_DUE, &place);
}

void
jobq_fire_owner_waits(Oid role)
{
	JobqFireOwner *owner = find_owner(role);

	if (owner->nwaiting == 0)
		look_at_waiting(owner);
}

int
jobq_fire_owners_due(JobqFireOwner **due, int max)
{
	dlist_iter	iter;
	int			n = 0;

	dlist_foreach(iter, &turn_order)
	{
		JobqFireOwner *owner = dlist_container(JobqFireOwner, node, iter.cur);

		if (n >= max)
			break;
		if (has_more(owner))
			due[n++] = owner;
	}
	return n;
}

/* Keeps what came of one turn. */
static void
settle_turn(const JobqFireTurn *turn, TimestampTz now)
{
	JobqFireOwner *owner = turn->owner;
	JobqFirePlace place;

	owner->served |= turn->reached;
	if (turn->waits)
		owner->nwaiting++;
	if (turn->waits && turn->part == JOBQ_FIRE_WAITING)
		owner->wait_until = Max(owner->wait_until, now) + WAIT_TURN;
	if (turn->left == JOBQ_NEVER)
		return;
	if (!turn->reached)
	{
		place = turn->place;
		place.tid.ip_posid--;
		go_back(owner, turn->part, &place);
	}
	else if (turn->retry_at == DT_NOBEGIN)
	{
		jobq_fire_place_before(&place, turn->left);
		go_back(owner, JOBQ_FIRE_DUE, &place);
	}
	else
	{
		/* it may not wait any more */
		owner->left = Min(owner->left, turn->left);
		owner->retry_at = Min(owner->retry_at, turn->retry_at);
		if (turn->part == JOBQ_FIRE_WAITING)
		{
			owner->nwaiting++;
			owner->wait_at = Min(owner->wait_at, turn->retry_at);
		}
	}
}

/* Whether nothing is known of the owner that would have to be kept. */
static bool
is_done(const JobqFireOwner *owner)
{
	return !has_more(owner) && owner->left == JOBQ_NEVER &&
		owner->nwaiting == 0;
}

/* Tells jobq.health whose schedules have not all been fired for longest. */
static void
publish_behind(Oid role, TimestampTz since)
{
	JobqDatabase *database = jobq_database();

	/* nobody else writes here */
	if (database->behind_role == role && database->behind_since == since)
		return;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	database->behind_role = role;
	database->behind_since = since;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}

void
jobq_fire_owners_settle(const JobqFireTurn *turns, int nturns, TimestampTz now)
{
	dlist_mutable_iter iter;
	dlist_head	served = DLIST_STATIC_INIT(served);
	Oid			behind = InvalidOid;
	TimestampTz since = JOBQ_NEVER;

	for (int i = 0; i < nturns; i++)
		settle_turn(&turns[i], now);
	dlist_foreach_modify(iter, &turn_order)
	{
		JobqFireOwner *owner = dlist_container(JobqFireOwner, node, iter.cur);

		if (owner->nwaiting > 0 &&
			!jobq_fire_owner_has_more(owner, JOBQ_FIRE_WAITING))
			owner->wait_at = Min(owner->wait_at, next_check(owner, now));
		if (!jobq_fire_owner_has_more(owner, JOBQ_FIRE_DUE))
			owner->behind_since = JOBQ_NEVER;
		else
			owner->behind_since = Min(owner->behind_since, now);
		if (owner->behind_since < since)
		{
			behind = owner->owner;
			since = owner->behind_since;
		}
		if (owner->served)
		{
			dlist_delete(&owner->node);
			dlist_push_tail(&served, &owner->node);
		}
		if (is_done(owner))
		{
			dlist_delete(&owner->node);
			(void) hash_search(owners, &owner->owner, HASH_REMOVE, NULL);
		}
	}
	while (!dlist_is_empty(&served))
		dlist_push_tail(&turn_order, dlist_pop_head_node(&served));
	publish_behind(behind, since);
}

TimestampTz
jobq_fire_owners_next(void)
{
	TimestampTz next = JOBQ_NEVER;
	dlist_iter	iter;

	dlist_foreach(iter, &turn_order)
	{
		JobqFireOwner *owner = dlist_container(JobqFireOwner, node, iter.cur);

		if (has_more(owner))
			return DT_NOBEGIN;
		next = Min(next, owner->retry_at);
		if (owner->nwaiting > 0)
			next = Min(next, Max(owner->wait_at, owner->wait_until));
	}
	return next;
}

bool
jobq_fire_owners_wait(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &turn_order)
	{
		const JobqFireOwner *owner = dlist_container(JobqFireOwner, node,
													 iter.cur);

		if (owner->nwaiting > 0 ||
			jobq_fire_owner_has_more(owner, JOBQ_FIRE_WAITING))
			return true;
	}
	return false;
}
