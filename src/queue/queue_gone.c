/*-------------------------------------------------------------------------
 *
 * queue_gone.c
 *	  Reporting that a queue was dropped or renamed.
 *
 * IDENTIFICATION
 *	  src/queue/queue_gone.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_gone.h"

#include "queue/queue_wake.h"
#include "shared/mark.h"
#include "shared/queue_state.h"
#include "shared/waiter.h"
#include "shared/xact_end.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* A queue that the current transaction drops. */
typedef struct DroppedQueue
{
	int32		queue;
	bool		renamed;		/* or renames */
	bool		kept_off;		/* executors know of it */
	int			level;			/* of the subtransaction */
	struct DroppedQueue *next;
} DroppedQueue;

/* In TopTransactionContext. */
static DroppedQueue *dropped_queues = NULL;

/*
 * Keeps executors away from the queue.  Returns false if shared memory has no
 * room for it: executors then return after a pause to a job in which they were
 * interrupted.
 */
static bool
begin_keeping_off(int32 queue)
{
	JobqQueueState *state = jobq_queue_state_find(queue);

	if (state != NULL)
		pg_atomic_fetch_add_u32(&state->drops, 1);
	return state != NULL;
}

/*
 * Ends that if the queue is not dropped, or not yet.  It may have been dropped
 * by another transaction, and its state may be gone or belong to another
 * queue.
 */
static void
end_keeping_off(const DroppedQueue *dropped)
{
	JobqQueueState *state = jobq_queue_state_find(dropped->queue);
	uint32		drops = state != NULL ? pg_atomic_read_u32(&state->drops) : 0;

	if (!dropped->kept_off)
		return;
	while (drops > 0 &&
		   !pg_atomic_compare_exchange_u32(&state->drops, &drops, drops - 1))
		;
	jobq_queue_wake_look(state);
}

/* See queue_gone.h. */
void
jobq_queue_gone_now(int32 queue, bool renamed)
{
	jobq_waiters_wake(MyDatabaseId, queue, PG_INT32_MAX);
	if (!renamed)
		jobq_queue_state_forget(queue);
}

static void
at_transaction_end(XactEvent event)
{
	if (event == XACT_EVENT_PRE_PREPARE)
	{
		for (DroppedQueue *d = dropped_queues; d != NULL; d = d->next)
			jobq_mark(d->renamed ? JOBQ_MARK_RENAMED : JOBQ_MARK_GONE,
					  d->queue);
	}
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		for (DroppedQueue *d = dropped_queues; d != NULL; d = d->next)
			end_keeping_off(d);
	}
	if (event == XACT_EVENT_COMMIT)
	{
		for (DroppedQueue *d = dropped_queues; d != NULL; d = d->next)
			jobq_queue_gone_now(d->queue, d->renamed);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		dropped_queues = NULL;
}

static void
at_subtransaction_end(SubXactEvent event, int level)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (dropped_queues != NULL && dropped_queues->level >= level)
		{
			end_keeping_off(dropped_queues);
			dropped_queues = dropped_queues->next;
		}
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (DroppedQueue *d = dropped_queues;
			 d != NULL && d->level >= level; d = d->next)
			d->level = level - 1;
	}
}

/*
 * Notes that there is something to do for the queue at the end of the
 * transaction.
 */
static DroppedQueue *
note_name_gone(int32 queue)
{
	DroppedQueue *dropped;

	jobq_xact_end_follow(JOBQ_XACT_QUEUE_DROPS,
						 JOBQ_XACT_BEFORE_PREPARE | JOBQ_XACT_AT_END,
						 at_transaction_end, at_subtransaction_end);
	dropped = MemoryContextAllocZero(TopTransactionContext,
									 sizeof(DroppedQueue));
	dropped->queue = queue;
	dropped->level = GetCurrentTransactionNestLevel();
	dropped->next = dropped_queues;
	dropped_queues = dropped;
	return dropped;
}

/*
 * Called when a queue is about to be dropped; the caller then drops it or
 * raises an error.  With `force`, executors are kept away from it.
 */
void
jobq_queue_gone_note_dropped(int32 queue, bool force)
{
	note_name_gone(queue)->kept_off = force && begin_keeping_off(queue);
}

/* Called when a queue is renamed: wakes sessions that wait for its jobs. */
void
jobq_queue_gone_note_renamed(int32 queue)
{
	note_name_gone(queue)->renamed = true;
}
