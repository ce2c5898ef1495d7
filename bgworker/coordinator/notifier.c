/*-------------------------------------------------------------------------
 *
 * notifier.c
 *	  NOTIFY for external workers, by the coordinator.
 *
 * A commit that adds jobs sets a flag in shared memory.  NOTIFY itself, whose
 * lock serializes commits, is issued here, at most once per queue and
 * jobq.notify_interval.
 *
 * A queue without room in shared memory has no flag.  The coordinator looks at
 * such queues in rounds (due.c), and asks for a notification of those that it
 * finds with a ready job.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/notifier.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/notifier.h"

#include "guc.h"
#include "queue/channel.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "wait.h"

#include "commands/async.h"
#include "utils/hsearch.h"

/* A queue that was notified recently, or must be. */
typedef struct Notified
{
	int32		queue;
	TimestampTz at;				/* the last time, DT_NOBEGIN: never */
	bool		pending;		/* in the transaction at hand */
	bool		wanted;			/* asked for, and there is no flag */
} Notified;

static HTAB *notified = NULL;

static Notified *
find_queue(int32 queue)
{
	Notified   *entry;
	bool		found;

	if (notified == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(int32);
		info.entrysize = sizeof(Notified);
		notified = hash_create("jobq notified queues", 64, &info,
							   HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(notified, &queue, HASH_ENTER, &found);
	if (!found)
	{
		entry->at = DT_NOBEGIN;
		entry->pending = false;
		entry->wanted = false;
	}
	return entry;
}

/* When a queue may be notified; in the past if that is now. */
static TimestampTz
turn_of(const Notified *entry, TimestampTz now)
{
	/* the clock may have been set back */
	if (entry->at == DT_NOBEGIN || now < entry->at)
		return DT_NOBEGIN;
	return entry->at + jobq_notify_interval * INT64CONST(1000);
}

/*
 * Called when the previous transaction has committed.  Forgets queues that
 * need not be remembered any longer.
 */
static void
settle(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	Notified   *entry;

	if (notified == NULL)
		return;
	hash_seq_init(&status, notified);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		entry->pending = false;
		if (!entry->wanted && turn_of(entry, now) <= now)
			(void) hash_search(notified, &entry->queue, HASH_REMOVE, NULL);
	}
}

/* Sends a notification; false if the queue is gone. */
static bool
send_notification(Notified *entry, TimestampTz now)
{
	const JobqQueue *queue = jobq_queue_by_id(entry->queue);

	if (queue == NULL)
		return false;
	entry->at = now;
	entry->pending = true;
	Async_Notify(jobq_channel_name(queue->name), NULL);
	return true;
}

/* Notifies the queues whose flag is set; lowers *next for the others. */
static void
notify_flagged(TimestampTz now, TimestampTz *next)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		JobqQueueState *state = briefs[i].state;
		Notified   *entry;
		TimestampTz turn;

		if (state == NULL || pg_atomic_read_u32(&state->notify) == 0)
			continue;
		entry = find_queue(briefs[i].id);
		turn = turn_of(entry, now);
		if (turn > now)
		{
			*next = Min(*next, turn);
			continue;
		}
		pg_atomic_write_u32(&state->notify, 0);
		pg_memory_barrier();
		(void) send_notification(entry, now);
	}
}

/* The same for queues whose notification was requested. */
static void
notify_wanted(TimestampTz now, TimestampTz *next)
{
	HASH_SEQ_STATUS status;
	Notified   *entry;

	if (notified == NULL)
		return;
	hash_seq_init(&status, notified);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		TimestampTz turn = turn_of(entry, now);

		if (!entry->wanted)
			continue;
		if (turn > now)
			*next = Min(*next, turn);
		else
		{
			(void) send_notification(entry, now);
			entry->wanted = false;
		}
	}
}

/* Notifies the queues that are due; returns when others are. */
TimestampTz
jobq_notifier_notify(void)
{
	TimestampTz now = jobq_now();
	TimestampTz next = JOBQ_NEVER;

	settle(now);
	notify_flagged(now, &next);
	notify_wanted(now, &next);
	return next;
}

/*
 * Requests that jobq_notifier_notify() notify a queue without room in shared
 * memory, which has a ready job.
 */
void
jobq_notify_without_room(int32 queue)
{
	find_queue(queue)->wanted = true;
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NOTIFY);
}

/*
 * Called when the transaction was rolled back: the queues will be notified
 * later.  The flags of queues it had notified are cleared already, so set them
 * again.
 */
void
jobq_notifier_undo(void)
{
	HASH_SEQ_STATUS status;
	Notified   *entry;

	if (notified == NULL)
		return;
	hash_seq_init(&status, notified);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		JobqQueueState *state = entry->pending ?
		jobq_queue_state_find(entry->queue) : NULL;

		if (state != NULL)
			pg_atomic_write_u32(&state->notify, 1);
		else if (entry->pending)
			entry->wanted = true;
		entry->pending = false;
	}
}
