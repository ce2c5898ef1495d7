/*-------------------------------------------------------------------------
 *
 * due_turn.c
 *	  Whose queue the coordinator looks at next.
 *
 * IDENTIFICATION
 *	  src/dispatch/due_turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/due_turn.h"

#include "shared/clock.h"

#include "utils/hsearch.h"

/* Maximum share of the time that rounds of an owner take. */
#define LOOK_SHARE 20
#define MAX_PAUSE USECS_PER_MINUTE

/* Owners of queues to look at, and of slow queues. */
static HTAB *owners = NULL;

/* The owner whose turn was last. */
static Oid	last_owner = InvalidOid;

void
jobq_due_begin(void)
{
	HASH_SEQ_STATUS status;
	JobqDueOwner *owner;

	if (owners == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(Oid);
		info.entrysize = sizeof(JobqDueOwner);
		owners = hash_create("jobq owners of due queues", 16, &info,
							 HASH_ELEM | HASH_BLOBS);
	}
	hash_seq_init(&status, owners);
	while ((owner = hash_seq_search(&status)) != NULL)
	{
		owner->has_slow = false;
		memset(owner->lists, 0, sizeof(owner->lists));
	}
}

JobqDueOwner *
jobq_due_owner(Oid role)
{
	bool		found;
	JobqDueOwner *owner = hash_search(owners, &role, HASH_ENTER, &found);

	if (!found)
	{
		memset(owner, 0, sizeof(*owner));
		owner->role = role;
		owner->round.wanted = DT_NOBEGIN;
		owner->round.allowed = DT_NOBEGIN;
	}
	return owner;
}

void
jobq_due_add(JobqDueOwner *owner, JobqDueKind kind,
			 const JobqQueueBrief *brief)
{
	JobqDueList *list = &owner->lists[kind];
	JobqDueQueue *queue = palloc(sizeof(JobqDueQueue));

	queue->brief = brief;
	queue->next = NULL;
	if (list->first == NULL)
		list->first = queue;
	else
		list->last->next = queue;
	list->last = queue;
}

void
jobq_due_request(JobqDueOwner *owner, int32 queue)
{
	JobqDueRound *round = &owner->round;

	if (round->running && queue > round->after)
		return;
	round->wanted = DT_NOBEGIN;
	round->again = true;
}

/* When the next round of an owner is to begin. */
static TimestampTz
next_round(const JobqDueRound *round)
{
	return Max(round->wanted, round->allowed);
}

static void
begin_round(JobqDueRound *round)
{
	round->running = true;
	round->again = false;
	round->after = 0;
	round->cost = 0;
	round->earliest = JOBQ_NEVER;
}

static void
end_round(JobqDueRound *round, TimestampTz now)
{
	round->running = false;
	round->wanted = round->again ? DT_NOBEGIN : round->earliest;
	round->allowed = now + Min(round->cost * LOOK_SHARE, MAX_PAUSE);
}

bool
jobq_due_begin_rounds(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	JobqDueOwner *owner;
	bool		result = false;

	hash_seq_init(&status, owners);
	while ((owner = hash_seq_search(&status)) != NULL)
	{
		JobqDueRound *round = &owner->round;

		/* the clock may have been set back */
		if (owner->has_slow && !round->running &&
			(next_round(round) <= now || round->allowed > now + MAX_PAUSE))
			begin_round(round);
		result = result || round->running;
	}
	return result;
}

/* Orders owners from the one after the last on; for list_sort(). */
static int
compare_turns(const ListCell *a, const ListCell *b)
{
	Oid			x = ((JobqDueOwner *) lfirst(a))->role - last_owner - 1;
	Oid			y = ((JobqDueOwner *) lfirst(b))->role - last_owner - 1;

	return x < y ? -1 : x > y;
}

List *
jobq_due_owners(void)
{
	List	   *result = NIL;
	HASH_SEQ_STATUS status;
	JobqDueOwner *owner;

	hash_seq_init(&status, owners);
	while ((owner = hash_seq_search(&status)) != NULL)
		result = lappend(result, owner);
	list_sort(result, compare_turns);
	return result;
}

const JobqQueueBrief *
jobq_due_next(JobqDueOwner *owner)
{
	for (int kind = 0; kind < JOBQ_DUE_KINDS; kind++)
	{
		JobqDueQueue *queue = owner->lists[kind].first;

		if (queue == NULL)
			continue;
		owner->lists[kind].first = queue->next;
		return queue->brief;
	}
	return NULL;
}

bool
jobq_due_has_queue(const JobqDueOwner *owner)
{
	for (int kind = 0; kind < JOBQ_DUE_KINDS; kind++)
	{
		if (owner->lists[kind].first != NULL)
			return true;
	}
	return false;
}

void
jobq_due_took_turn(const JobqDueOwner *owner)
{
	last_owner = owner->role;
}

TimestampTz
jobq_due_end(void)
{
	TimestampTz now = jobq_now();
	TimestampTz result = JOBQ_NEVER;
	HASH_SEQ_STATUS status;
	JobqDueOwner *owner;

	hash_seq_init(&status, owners);
	while ((owner = hash_seq_search(&status)) != NULL)
	{
		JobqDueRound *round = &owner->round;
		bool		begun = owner->look.queue != JOBQ_NO_QUEUE;

		if (round->running && !begun &&
			owner->lists[JOBQ_DUE_SLOW].first == NULL)
			end_round(round, now);
		if (begun || jobq_due_has_queue(owner) || round->running)
			result = DT_NOBEGIN;
		else if (owner->has_slow)
			result = Min(result, next_round(round));
		else if (round->allowed <= now)
			(void) hash_search(owners, &owner->role, HASH_REMOVE, NULL);
	}
	return result;
}
