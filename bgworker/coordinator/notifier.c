/*-------------------------------------------------------------------------
 *
 * notifier.c
 *	  NOTIFY for external workers, by the coordinator.
 *
 * A commit that adds jobs sets a flag in shared memory.  NOTIFY itself, whose
 * lock serializes commits, is issued here, at most once per queue and
 * jobq.notify_interval.
 *
 * That is done in parts, in which the owners of the queues take turns, so that
 * those of one do not keep the others' waiting.
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
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A part takes about this long, in microseconds. */
#define PART_TIME (10 * INT64CONST(1000))

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

/* When a queue may be notified again; in the past if that is now. */
static TimestampTz
turn_of(const Notified *entry, TimestampTz now)
{
	/* the clock may have been set back */
	if (entry->at == DT_NOBEGIN || now < entry->at)
		return DT_NOBEGIN;
	return entry->at + jobq_notify_interval * INT64CONST(1000);
}

/* The same of one that has perhaps never been. */
static TimestampTz
turn_of_queue(int32 queue, TimestampTz now)
{
	const Notified *entry = notified == NULL ? NULL :
	hash_search(notified, &queue, HASH_FIND, NULL);

	return entry == NULL ? DT_NOBEGIN : turn_of(entry, now);
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

/* A queue that is due. */
typedef struct DueQueue
{
	int32		queue;
	Oid			owner;
	int			turn;			/* how many of the owner's come before it */
	JobqQueueState *flagged;	/* its flag is set; NULL: it is wanted */
} DueQueue;

typedef struct DueQueues
{
	DueQueue   *queues;
	int			n;
	int			room;
	TimestampTz next;			/* when others are due */
} DueQueues;

/* Adds a queue if it may be notified. */
static void
add_queue(DueQueues *due, const JobqQueueBrief *brief, JobqQueueState *flagged,
		  TimestampTz now)
{
	TimestampTz turn = turn_of_queue(brief->id, now);

	if (turn > now)
	{
		due->next = Min(due->next, turn);
		return;
	}
	if (due->n == due->room)
	{
		due->room *= 2;
		due->queues = repalloc_huge(due->queues, due->room * sizeof(DueQueue));
	}
	due->queues[due->n++] = (DueQueue)
	{
		.queue = brief->id,.owner = brief->owner,.flagged = flagged
	};
}

static bool
is_flagged(const JobqQueueBrief *brief)
{
	return brief->state != NULL && pg_atomic_read_u32(&brief->state->notify) != 0;
}

/* Adds the queues whose notification was requested, and which have no flag. */
static void
add_wanted(DueQueues *due, const JobqQueueBrief *briefs, int n, TimestampTz now)
{
	HASH_SEQ_STATUS status;
	Notified   *entry;

	if (notified == NULL)
		return;
	hash_seq_init(&status, notified);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		const JobqQueueBrief *brief = entry->wanted ?
		jobq_queue_brief_in(briefs, n, entry->queue) : NULL;

		if (brief == NULL)
			entry->wanted = false;
		else if (!is_flagged(brief))
			add_queue(due, brief, NULL, now);
	}
}

/* Collects the queues that are to be notified. */
static void
collect_due(DueQueues *due, TimestampTz now)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	due->room = 64;
	due->queues = palloc(due->room * sizeof(DueQueue));
	for (int i = 0; i < n; i++)
	{
		if (is_flagged(&briefs[i]))
			add_queue(due, &briefs[i], briefs[i].state, now);
	}
	add_wanted(due, briefs, n, now);
}

static int
compare_owners(const void *a, const void *b)
{
	const DueQueue *x = a;
	const DueQueue *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->queue < y->queue ? -1 : x->queue > y->queue;
}

static int
compare_turns(const void *a, const void *b)
{
	const DueQueue *x = a;
	const DueQueue *y = b;

	return x->turn != y->turn ? x->turn - y->turn : compare_owners(a, b);
}

/* One queue of each owner comes first, then a second one, and so on. */
static void
put_in_turn(DueQueues *due)
{
	qsort(due->queues, due->n, sizeof(DueQueue), compare_owners);
	for (int i = 1; i < due->n; i++)
	{
		if (due->queues[i].owner == due->queues[i - 1].owner)
			due->queues[i].turn = due->queues[i - 1].turn + 1;
	}
	qsort(due->queues, due->n, sizeof(DueQueue), compare_turns);
}

/* Sends the notification of a queue, unless it is gone. */
static void
notify(const DueQueue *due, TimestampTz now)
{
	Notified   *entry = find_queue(due->queue);
	const JobqQueue *queue;

	if (due->flagged != NULL)
	{
		pg_atomic_write_u32(&due->flagged->notify, 0);
		pg_memory_barrier();
	}
	entry->wanted = false;
	queue = jobq_queue_by_id(due->queue);
	if (queue == NULL)
		return;
	entry->at = now;
	entry->pending = true;
	Async_Notify(jobq_channel_name(queue->name), NULL);
}

/* See notifier.h. */
TimestampTz
jobq_notifier_notify(bool *more)
{
	TimestampTz now = jobq_now();
	int64		until = jobq_stopwatch() + PART_TIME;
	DueQueues	due = {.next = JOBQ_NEVER};
	int			i;

	settle(now);
	collect_due(&due, now);
	put_in_turn(&due);
	for (i = 0; i < due.n; i++)
	{
		if (i > 0 && jobq_stopwatch() >= until)
			break;
		CHECK_FOR_INTERRUPTS();
		notify(&due.queues[i], now);
	}
	*more = i < due.n;
	return due.next;
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
