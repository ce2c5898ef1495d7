/*-------------------------------------------------------------------------
 *
 * start.c
 *	  Starts of jobs, where a queue has a rate or is throttled.
 *
 * A start is reserved before a ticket is drawn, so that a claim that the rate
 * turns away does not disturb those who were turned away by max_running.  A
 * reservation has a pin of the queue's entry in shared memory.  A queue without
 * room there has no gate; if it has a rate none of its jobs starts.
 *
 * Short intervals between starts are kept in shared memory only: after a
 * restart, at most one of them is lost.  Long ones are kept in a table, too
 * (start_row.c).
 *
 * IDENTIFICATION
 *	  src/queue/start.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/start.h"

#include "queue/queue_wake.h"
#include "queue/start_row.h"
#include "shared/async_commit.h"
#include "shared/queue_state.h"
#include "shared/rate.h"
#include "shared/throttle.h"
#include "shared/wake.h"

/* Intervals from this one on are kept. */
#define KEPT_INTERVAL USECS_PER_SEC

/* The entry of the queue for which this process has reserved a start. */
static JobqQueueState *reserved = NULL;

static bool
is_slow(const JobqGcra *rate)
{
	return rate->interval.usec >= KEPT_INTERVAL;
}

/* See start.h. */
bool
jobq_start_is_kept(const JobqQueue *queue)
{
	return queue->has_rate && is_slow(&queue->rate);
}

/* See start.h.  If nothing is known of the rate, reads what was kept. */
bool
jobq_start_pin(const JobqQueue *queue)
{
	TimestampTz kept;

	if (queue->state == NULL ||
		!jobq_queue_state_pin(queue->state, queue->id))
		return false;
	if (!is_slow(&queue->rate) ||
		jobq_rate_is_known(&queue->state->rate))
		return true;

	/* reading may raise an error */
	jobq_queue_state_unpin(queue->state);
	kept = jobq_start_row_read(queue->id);
	if (!jobq_queue_state_pin(queue->state, queue->id))
		return false;
	jobq_rate_learn(&queue->state->rate, kept);
	return true;
}

/* Whether throttle() allows no start now; if so, as in start.h. */
static bool
is_throttled(const JobqQueue *queue, TimestampTz *next_run_at)
{
	TimestampTz until;

	if (queue->state == NULL || !jobq_throttle_is_set(queue->state) ||
		!jobq_throttle_holds(queue->state, &until))
		return false;
	*next_run_at = Min(*next_run_at, until);
	return true;
}

/* With a pin: whether the gate is open; if not, as in start.h. */
static bool
is_open(const JobqQueue *queue, TimestampTz *next_run_at)
{
	TimestampTz wake_at;

	if (jobq_rate_is_open(&queue->state->rate, &queue->rate, &wake_at))
		return true;
	jobq_wake_for_queue_at(queue->state, wake_at);
	*next_run_at = Min(*next_run_at, wake_at);
	return false;
}

/* See start.h. */
bool
jobq_start_is_allowed(const JobqQueue *queue, TimestampTz *next_run_at)
{
	bool		result;

	if (is_throttled(queue, next_run_at))
		return false;
	if (!queue->has_rate)
		return true;
	if (!jobq_start_pin(queue))
		return false;
	result = is_open(queue, next_run_at);
	jobq_queue_state_unpin(queue->state);
	return result;
}

/* See start.h. */
bool
jobq_start_reserve(const JobqQueue *queue, TimestampTz *next_run_at)
{
	if (is_throttled(queue, next_run_at))
		return false;
	if (!queue->has_rate || reserved != NULL)
		return true;
	if (!jobq_start_pin(queue))
		return false;
	/* it may open between the two */
	do
	{
		if (jobq_rate_reserve(&queue->state->rate, &queue->rate))
			reserved = queue->state;
	} while (reserved == NULL && is_open(queue, next_run_at));
	if (reserved == NULL)
		jobq_queue_state_unpin(queue->state);
	return reserved != NULL;
}

/* See start.h. */
TimestampTz
jobq_start_use(JobqStart *start, const JobqQueue *queue, TimestampTz now)
{
	start->state = reserved;
	if (reserved == NULL)
		return now;
	reserved = NULL;
	start->queue = queue->id;
	now = jobq_rate_start(&start->state->rate, &queue->rate, &start->take);
	jobq_queue_state_unpin(start->state);
	return now;
}

/* See start.h; also called when a transaction or subtransaction is rolled back. */
void
jobq_start_return(void)
{
	JobqQueueState *state = reserved;

	if (state == NULL)
		return;
	reserved = NULL;
	if (jobq_rate_release(&state->rate))
		jobq_queue_wake_look(state);
	jobq_queue_state_unpin(state);
}

/* See start.h. */
void
jobq_start_undo(JobqStart *start)
{
	JobqQueueState *state = start->state;

	start->state = NULL;
	if (state == NULL || !jobq_queue_state_pin(state, start->queue))
		return;
	if (jobq_rate_undo(&state->rate, &start->take))
		jobq_queue_wake_look(state);
	jobq_queue_state_unpin(state);
}

/* See start.h. */
void
jobq_start_keep(const JobqStart *start, const JobqQueue *queue)
{
	if (start->state == NULL || !jobq_start_is_kept(queue))
		return;
	jobq_start_keep_new(start, queue);
	jobq_async_commit_insist();
}

/* See start.h. */
void
jobq_start_keep_new(const JobqStart *start, const JobqQueue *queue)
{
	const JobqGcraTime *tat = &start->take.after;

	if (is_slow(&queue->rate))
		jobq_start_row_write(queue->id, tat->usec + (tat->frac > 0 ? 1 : 0));
}
