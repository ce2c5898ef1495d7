/*-------------------------------------------------------------------------
 *
 * due.c
 *	  Waking the workers of a queue when its delayed jobs become due.
 *
 * IDENTIFICATION
 *	  src/dispatch/due.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/due.h"

#include "base/subtransaction.h"
#include "dispatch/due_turn.h"
#include "dispatch/look.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/limit_state.h"
#include "shared/roster_room.h"
#include "shared/slot.h"
#include "shared/waiter.h"
#include "shared/wake.h"

#include "wait.h"

#include "miscadmin.h"

/* Time for which looks are made in one call, in microseconds. */
#define LOOKS_TIME (10 * INT64CONST(1000))

/* When to look again at a queue of which that has raised an error. */
#define FAILED_DELAY (60 * USECS_PER_SEC)

/* Notifies those who listen to a queue that has no room in shared memory. */
static void (*notify_without_room) (int32 queue);

/* Has an executor of a role started, unless one is woken, for such a queue. */
static void (*activate_without_room) (Oid role);

/* Wakes everybody who waits for a queue without room, since commits cannot. */
static void
wake_without_room(const JobqQueueBrief *brief)
{
	if (brief->has_executors)
	{
		if (!jobq_slot_wake(MyDatabaseId, brief->owner, brief->id))
			activate_without_room(brief->owner);
		return;
	}
	jobq_waiters_wake(MyDatabaseId, brief->id, 1);
	if (brief->notify)
		notify_without_room(brief->id);
}

static void
wake_workers(const JobqQueueBrief *brief)
{
	if (brief->state == NULL)
		wake_without_room(brief);
	else
		jobq_queue_wake_now(brief->state, brief->id,
							brief->has_executors ? brief->owner : InvalidOid,
							brief->notify, 1);
}

/* A look at a queue. */
typedef struct Turn
{
	JobqDueOwner *owner;
	const JobqQueueBrief *brief;
	int64		until;			/* the look stops, by jobq_stopwatch(), and is
								 * continued later */
	TimestampTz next;			/* when the next job of the queue is due */
} Turn;

/*
 * Begins a look at a queue, or continues it, and wakes executors, waiters and
 * the notifier if there is a ready job.
 */
static void
look_at(Turn *turn)
{
	const JobqQueueBrief *brief = turn->brief;
	JobqLook   *look = &turn->owner->look;
	JobqQueue	queue;
	bool		was_ready;

	if (look->queue != brief->id)
	{
		/* before the look: a backend that adds jobs later sets this itself */
		if (brief->state != NULL)
			(void) pg_atomic_exchange_u64(&brief->state->next_look,
										  (uint64) JOBQ_NEVER);
		jobq_look_begin(look, brief->id);
	}
	was_ready = look->ready;
	jobq_queue_outline(&queue, brief);
	if (jobq_look_continue(look, &queue, turn->until))
	{
		turn->next = look->next;
		if (brief->state != NULL)
			(void) jobq_wake_lower_time(&brief->state->next_look, look->next);
	}
	if (look->ready && !was_ready)
		wake_workers(brief);
}

/* For jobq_subtransaction(). */
static void
look_alone(void *arg)
{
	look_at(arg);
}

/*
 * The same, so that an error in looking at this queue is in no other's way:
 * it is logged, and the queue is looked at again later.
 */
static void
look_carefully(Turn *turn)
{
	const JobqQueueBrief *brief = turn->brief;
	ErrorData  *error = jobq_subtransaction(look_alone, turn);
	const JobqQueue *queue;

	if (error == NULL)
		return;
	if (jobq_error_is_of_server(error))
		ReThrowError(error);
	queue = jobq_queue_by_id(brief->id);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not look for ready jobs of queue \"%s\": %s",
					queue != NULL ? queue->name : "", error->message),
			 errdetail("jobq will try again in a minute.")));
	FreeErrorData(error);
	turn->owner->look.queue = JOBQ_NO_QUEUE;
	turn->next = jobq_now() + FAILED_DELAY;
	if (brief->state != NULL)
		(void) jobq_wake_lower_time(&brief->state->next_look, turn->next);
}

/*
 * Whether looking at the queue is slow.  Queues without room in shared memory
 * have no due time there, and there may be very many of them; for a queue with
 * very many priorities, each priority is looked at, and where there is no room for
 * all groups they are read from the index.
 */
static bool
is_slow(const JobqQueueBrief *brief)
{
	return brief->state == NULL || brief->state->stream.crowded ||
		jobq_roster_is_short(brief->state);
}

/* Whether workers may have jobs of the queue. */
static bool
is_open(const JobqQueueBrief *brief)
{
	return !brief->paused && brief->at_home;
}

/* When a queue with room is to be looked at. */
static TimestampTz
due_time(const JobqQueueBrief *brief)
{
	return (TimestampTz) pg_atomic_read_u64(&brief->state->next_look);
}

/* Adds the queues of which a look has been begun, if they are still open. */
static void
add_begun(const JobqQueueBrief *briefs, int n)
{
	ListCell   *lc;

	foreach(lc, jobq_due_owners())
	{
		JobqDueOwner *owner = lfirst(lc);
		const JobqQueueBrief *brief;

		if (owner->look.queue == JOBQ_NO_QUEUE)
			continue;
		brief = jobq_queue_brief_in(briefs, n, owner->look.queue);
		if (brief != NULL && is_open(brief) && brief->owner == owner->role)
			jobq_due_add(owner, JOBQ_DUE_BEGUN, brief);
		else
			owner->look.queue = JOBQ_NO_QUEUE;
	}
}

/*
 * Makes all queues of a limit due if a look was requested: more of them were turned
 * away than the limit remembers, or it was changed.
 */
static void
make_due_for_limits(const JobqQueueBrief *briefs, int n, TimestampTz now)
{
	bool		any = false;

	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];

		if (brief->limit == NULL || brief->state == NULL ||
			!jobq_limit_state_begin_look(brief->limit))
			continue;
		(void) jobq_wake_lower_time(&brief->state->next_look, now);
		any = true;
	}
	for (int i = 0; i < n && any; i++)
	{
		if (briefs[i].limit != NULL)
			jobq_limit_state_end_look(briefs[i].limit);
	}
}

/*
 * Adds the queues that are due, and requests looks at slow ones; with `all`,
 * every queue is due.  Returns when another one is.
 */
static TimestampTz
add_due(const JobqQueueBrief *briefs, int n, bool all, bool without_room,
		TimestampTz now)
{
	TimestampTz earliest = JOBQ_NEVER;
	JobqDueOwner *owner = NULL;

	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];
		bool		slow = is_slow(brief);
		TimestampTz next = JOBQ_NEVER;

		if (!is_open(brief))
			continue;
		if (brief->state != NULL)
		{
			if (all)
				(void) jobq_wake_lower_time(&brief->state->next_look, now);
			next = due_time(brief);
		}
		if (next > now)
			earliest = Min(earliest, next);
		if (next > now && !slow)
			continue;
		if (owner == NULL || owner->role != brief->owner)
			owner = jobq_due_owner(brief->owner);
		if (!slow)
			jobq_due_add(owner, brief->id > owner->last ? JOBQ_DUE_NEXT :
						 JOBQ_DUE_REST, brief);
		else
		{
			owner->has_slow = true;
			if (next <= now || (brief->state == NULL && without_room))
				jobq_due_request(owner, brief->id);
		}
	}
	return earliest;
}

/* Adds the slow queues at which the rounds under way have yet to look. */
static void
add_slow(const JobqQueueBrief *briefs, int n, TimestampTz now)
{
	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];
		JobqDueOwner *owner;

		if (!is_slow(brief) || !is_open(brief) ||
			(brief->state != NULL && due_time(brief) > now))
			continue;
		owner = jobq_due_owner(brief->owner);
		if (owner->round.running && brief->id > owner->round.after &&
			brief->id != owner->look.queue)
			jobq_due_add(owner, JOBQ_DUE_SLOW, brief);
	}
}

/* Looks at a queue, and notes what is known then. */
static void
take_turn(Turn *turn, bool careful)
{
	JobqDueOwner *owner = turn->owner;
	const JobqQueueBrief *brief = turn->brief;
	bool		slow = is_slow(brief);
	int64		began = jobq_stopwatch();

	CHECK_FOR_INTERRUPTS();
	jobq_due_took_turn(owner);
	turn->next = JOBQ_NEVER;
	if (careful)
		look_carefully(turn);
	else
		look_at(turn);
	if (!slow)
		owner->last = brief->id;
	else
	{
		owner->round.cost += jobq_stopwatch() - began;
		owner->round.after = Max(owner->round.after, brief->id);
		owner->round.earliest = Min(owner->round.earliest, turn->next);
	}
}

/*
 * Looks at the queues that were added, one of each owner in turn, for a
 * bounded time, but at one at least.  Returns when the next job of these
 * queues is due.
 */
static TimestampTz
look_in_turn(bool careful)
{
	List	   *owners = jobq_due_owners();
	TimestampTz earliest = JOBQ_NEVER;
	int64		until = jobq_stopwatch() + LOOKS_TIME;
	bool		looked = true;

	while (looked)
	{
		ListCell   *lc;

		looked = false;
		foreach(lc, owners)
		{
			Turn		turn = {lfirst(lc)};

			turn.until = until;
			turn.brief = jobq_due_next(turn.owner);
			if (turn.brief == NULL)
				continue;
			take_turn(&turn, careful);
			earliest = Min(earliest, turn.next);
			looked = true;
			if (jobq_stopwatch() >= until)
				return earliest;
		}
	}
	return earliest;
}

/* See due.h. */
TimestampTz
jobq_due_wake_queues(bool all, bool without_room,
					 void (*notifier) (int32 queue),
					 void (*activator) (Oid role))
{
	static bool interrupted = false;	/* by an error */
	static bool careful = false;	/* until all have been looked at */
	TimestampTz earliest;
	TimestampTz next;
	TimestampTz now = jobq_now();
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	notify_without_room = notifier;
	activate_without_room = activator;
	careful = careful || interrupted;
	all = all || interrupted;
	interrupted = true;
	jobq_due_begin();
	make_due_for_limits(briefs, n, now);
	add_begun(briefs, n);
	earliest = add_due(briefs, n, all, all || without_room, now);
	if (jobq_due_begin_rounds(now))
		add_slow(briefs, n, now);
	next = look_in_turn(careful);
	earliest = Min(earliest, next);
	next = jobq_due_end();
	interrupted = false;
	if (next == DT_NOBEGIN)
		return now;
	careful = false;
	return Min(earliest, next);
}
