/*-------------------------------------------------------------------------
 *
 * fire_owner.c
 *	  The owners that have schedules to be fired, who take turns.
 *
 * The coordinator remembers each owner with schedules that are due but were
 * not fired: how far it has looked at them, and when to look again at those
 * that it had to leave, because they are locked or wait for a job.  So what one
 * owner leaves behind is not passed over in each batch, and does not change
 * when those of another one are looked at.
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
#define WAIT_TURN 100

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

/* Whether the owner has due schedules that were not looked at. */
static bool
has_more(const JobqFireOwner *owner)
{
	return owner->from.at != JOBQ_NEVER;
}

static void
go_back(JobqFireOwner *owner, const JobqIndexPlace *place)
{
	if (jobq_index_place_compare(place, &owner->from) < 0)
		owner->from = *place;
}

/*
 * Looks again at what was left when that is due.  That comes after what was not
 * looked at yet.
 */
static void
look_again(JobqFireOwner *owner, TimestampTz now, bool job_ended)
{
	JobqIndexPlace place;

	if (owner->left == JOBQ_NEVER)
		return;
	if (job_ended && owner->nwaiting > 0)
		owner->retry_at = Min(owner->retry_at, Max(now, owner->wait_until));
	owner->retry_at = Min(owner->retry_at, now + MAX_RETRY_DELAY);
	if (has_more(owner) || owner->retry_at > now)
		return;
	jobq_index_place_before(&place, owner->left);
	go_back(owner, &place);
	owner->left = JOBQ_NEVER;
	owner->retry_at = JOBQ_NEVER;
	owner->nwaiting = 0;
}

void
jobq_fire_owners_begin(TimestampTz now, bool job_ended)
{
	dlist_iter	iter;

	dlist_foreach(iter, &turn_order)
	{
		JobqFireOwner *owner = dlist_container(JobqFireOwner, node, iter.cur);

		owner->nturns = 0;
		owner->served = false;
		look_again(owner, now, job_ended);
	}
}

void
jobq_fire_owner_add(Oid role, TimestampTz next_run)
{
	JobqIndexPlace place;
	bool		found;
	JobqFireOwner *owner = hash_search(owners, &role, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) owner + sizeof(Oid), 0,
			   sizeof(JobqFireOwner) - sizeof(Oid));
		jobq_index_place_before(&owner->from, JOBQ_NEVER);
		owner->left = owner->retry_at = owner->behind_since = JOBQ_NEVER;
		owner->wait_until = DT_NOBEGIN;
		dlist_push_tail(&turn_order, &owner->node);
	}
	jobq_index_place_before(&place, next_run);
	go_back(owner, &place);
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
	JobqIndexPlace place;

	owner->served |= turn->reached;
	if (turn->left == JOBQ_NEVER)
		return;
	if (turn->retry_at == DT_NOBEGIN)
	{
		jobq_index_place_before(&place, turn->left);
		/* a row that is unchanged follows the entry before its own */
		if (!turn->reached)
		{
			place.tid = turn->place.tid;
			place.tid.ip_posid--;
		}
		go_back(owner, &place);
		return;
	}
	owner->left = Min(owner->left, turn->left);
	owner->retry_at = Min(owner->retry_at, turn->retry_at);
	if (turn->waits)
	{
		owner->nwaiting++;
		owner->wait_until = Max(owner->wait_until, now) + WAIT_TURN;
	}
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

		if (!has_more(owner))
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
		if (!has_more(owner) && owner->left == JOBQ_NEVER)
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
	}
	return next;
}

bool
jobq_fire_owners_wait(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &turn_order)
	{
		if (dlist_container(JobqFireOwner, node, iter.cur)->nwaiting > 0)
			return true;
	}
	return false;
}
