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
#include "dispatch/look.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "queue/ready.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/slot.h"
#include "shared/waiter.h"
#include "shared/wake.h"

#include "wait.h"

#include "miscadmin.h"

/* Time for which slow looks are made in one call, in microseconds. */
#define SLOW_LOOKS_TIME (10 * INT64CONST(1000))

/* Maximum share of the time that rounds of slow looks take. */
#define LOOK_SHARE 20
#define MAX_PAUSE USECS_PER_MINUTE

/* When to look again at a queue of which that has raised an error. */
#define FAILED_DELAY (60 * USECS_PER_SEC)

/* Notifies those who listen to a queue that has no room in shared memory. */
static void (*notify_without_room) (int32 queue);

/* Wakes everybody who waits for a queue without room, since commits cannot. */
static void
wake_without_room(const JobqQueueBrief *brief)
{
	if (brief->has_executors)
	{
		if (!jobq_slot_wake(MyDatabaseId, brief->owner, brief->id))
			jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_WORK);
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
		jobq_ready_wake(brief->state, brief->id,
						brief->has_executors ? brief->owner : InvalidOid,
						brief->notify, 1);
}

/*
 * Looks at a queue, and wakes executors, waiters and the notifier if it has a
 * ready job.  Returns when its next job is due.
 */
static TimestampTz
look_at(const JobqQueueBrief *brief)
{
	JobqQueue	queue;
	TimestampTz next;

	/* before the look: a backend that adds jobs later sets this itself */
	if (brief->state != NULL)
		(void) pg_atomic_exchange_u64(&brief->state->next_look,
									  (uint64) JOBQ_NEVER);
	jobq_queue_outline(&queue, brief);
	if (jobq_look_is_ready(&queue, &next))
		wake_workers(brief);
	if (brief->state != NULL)
		(void) jobq_wake_lower_time(&brief->state->next_look, next);
	return next;
}

/* A look at a queue, and its result. */
typedef struct Look
{
	const JobqQueueBrief *brief;
	TimestampTz next;
} Look;

/* For jobq_subtransaction(). */
static void
look_alone(void *arg)
{
	Look	   *look = arg;

	look->next = look_at(look->brief);
}

/*
 * Looks at a queue; if `careful`, so that an error in that is in no other's
 * way.
 */
static TimestampTz
look_perhaps_carefully(const JobqQueueBrief *brief, bool careful)
{
	Look		look = {brief, JOBQ_NEVER};
	ErrorData  *error;
	const JobqQueue *queue;

	if (!careful)
		return look_at(brief);
	error = jobq_subtransaction(look_alone, &look);
	if (error == NULL)
		return look.next;
	if (jobq_error_is_of_server(error))
		ReThrowError(error);
	queue = jobq_queue_by_id(brief->id);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not look for ready jobs of queue \"%s\": %s",
					queue != NULL ? queue->name : "", error->message),
			 errdetail("It is tried again in a minute.")));
	FreeErrorData(error);
	if (brief->state != NULL)
		(void) jobq_wake_lower_time(&brief->state->next_look,
									jobq_now() + FAILED_DELAY);
	return jobq_now() + FAILED_DELAY;
}

/*
 * Whether looking at the queue is slow.  Queues without room in shared memory
 * have no due time there, and there may be very many of them; for a queue with
 * very many priorities, each priority is looked at.
 */
static bool
is_slow(const JobqQueueBrief *brief)
{
	return brief->state == NULL || brief->state->stream.crowded;
}

/* A round of looks at such queues. */
typedef struct Round
{
	bool		running;
	bool		again;			/* another round was requested meanwhile */
	int32		after;			/* the queue looked at last */
	int64		cost;			/* of this round so far, in microseconds */
	TimestampTz earliest;		/* when a job is due, of those looked at */
	TimestampTz wanted;			/* the next round */
	TimestampTz allowed;		/* earliest start of the next round */
} Round;

static void
begin_round(Round *round)
{
	round->running = true;
	round->again = false;
	round->after = 0;
	round->cost = 0;
	round->earliest = JOBQ_NEVER;
}

/*
 * Looks at some of the slow queues.  Rounds take a bounded share of the time,
 * and other tasks run between their parts.  Returns when to continue.
 */
static TimestampTz
look_at_slow(const JobqQueueBrief *briefs, int n, bool wanted, bool careful,
			 TimestampTz now)
{
	static Round round = {.wanted = DT_NOBEGIN,.allowed = DT_NOBEGIN};
	bool		looked = false;
	TimestampTz began = jobq_now();

	if (wanted)
	{
		round.wanted = DT_NOBEGIN;
		round.again = true;
	}
	if (!round.running && Max(round.wanted, round.allowed) > now &&
		now + MAX_PAUSE >= round.allowed)
		return Max(round.wanted, round.allowed);
	if (!round.running)
		begin_round(&round);
	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];

		if (!is_slow(brief) || brief->paused || !brief->at_home ||
			brief->id <= round.after)
			continue;
		if (looked && jobq_now() - began > SLOW_LOOKS_TIME)
		{
			round.cost += jobq_now() - began;
			return now;
		}
		CHECK_FOR_INTERRUPTS();
		round.earliest = Min(round.earliest,
							 look_perhaps_carefully(brief, careful));
		round.after = brief->id;
		looked = true;
	}
	round.running = false;
	round.cost += Max(jobq_now() - began, 0);
	round.wanted = round.again ? DT_NOBEGIN : round.earliest;
	round.allowed = now + Min(round.cost * LOOK_SHARE, MAX_PAUSE);
	return Max(round.wanted, round.allowed);
}

/*
 * Looks at all queues, or only at those that are due.  Slow queues are looked
 * at in rounds; `without_room` requests a round.  `notifier` is called for
 * queues without room that have a ready job for external workers.  Returns
 * when to look again.
 */
TimestampTz
jobq_due_wake_queues(bool all, bool without_room,
					 void (*notifier) (int32 queue))
{
	static bool interrupted = false;	/* by an error */
	TimestampTz earliest = JOBQ_NEVER;
	TimestampTz now = jobq_now();
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);
	bool		careful = interrupted;
	bool		slow;

	notify_without_room = notifier;
	all = all || interrupted;
	slow = all || without_room;
	interrupted = true;
	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];
		TimestampTz next;

		if (brief->paused || !brief->at_home || brief->state == NULL)
			continue;
		next = all ? DT_NOBEGIN :
			(TimestampTz) pg_atomic_read_u64(&brief->state->next_look);
		if (next <= now && is_slow(brief))
		{
			slow = true;
			continue;
		}
		if (next <= now)
		{
			CHECK_FOR_INTERRUPTS();
			next = look_perhaps_carefully(brief, careful);
		}
		earliest = Min(earliest, next);
	}
	earliest = Min(earliest, look_at_slow(briefs, n, slow, careful, now));
	interrupted = false;
	return earliest;
}
