/*-------------------------------------------------------------------------
 *
 * notifier.c
 *	  NOTIFY for external workers, by the coordinator.
 *
 * A commit that adds jobs sets a flag in shared memory; NOTIFY itself, with
 * its lock that all such commits share, is issued here, at most once per queue
 * and jobq.notify_interval.
 *
 * IDENTIFICATION
 *	  bgworker/notifier.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "coordinator.h"
#include "guc.h"
#include "queue.h"
#include "wait.h"

#include "commands/async.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

/* When a queue was last notified, of late. */
typedef struct Notified
{
	int32		queue;
	TimestampTz at;
	bool		pending;		/* in the transaction at hand */
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
	}
	return entry;
}

/* Whether a queue was notified so lately that it has to wait. */
static bool
is_recent(const Notified *entry, TimestampTz now)
{
	return now >= entry->at &&
		now < entry->at + jobq_notify_interval * INT64CONST(1000);
}

/*
 * The former transaction has been committed.  Queues that need not wait any
 * more are forgotten, lest all that there ever were are gone through.
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
		if (!is_recent(entry, now))
			(void) hash_search(notified, &entry->queue, HASH_REMOVE, NULL);
	}
}

/* Notifies those whose turn it is; returns when the turn of others comes. */
TimestampTz
jobq_notify_queues(void)
{
	TimestampTz now = jobq_now();
	TimestampTz next = JOBQ_NEVER;
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	settle(now);
	for (int i = 0; i < n; i++)
	{
		JobqQueueState *state = briefs[i].state;
		const JobqQueue *queue;
		Notified   *entry;

		if (state == NULL || pg_atomic_read_u32(&state->notify) == 0)
			continue;
		queue = jobq_queue_by_id(briefs[i].id);
		if (queue == NULL)
			continue;
		entry = find_queue(queue->id);
		if (is_recent(entry, now))
		{
			next = Min(next, entry->at +
					   jobq_notify_interval * INT64CONST(1000));
			continue;
		}
		pg_atomic_write_u32(&state->notify, 0);
		pg_memory_barrier();
		entry->at = now;
		entry->pending = true;
		Async_Notify(jobq_channel_name(queue->name), NULL);
	}
	return next;
}

/*
 * The transaction has been rolled back: the queues will be notified later.
 * Those it had notified do not have their flags any more, so set them.
 */
void
jobq_notify_undo(void)
{
	HASH_SEQ_STATUS status;
	Notified   *entry;

	if (notified == NULL)
		return;
	hash_seq_init(&status, notified);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		JobqQueueState *state = entry->pending ?
		jobq_find_queue_state(entry->queue) : NULL;

		if (state != NULL)
			pg_atomic_write_u32(&state->notify, 1);
		entry->pending = false;
	}
}
