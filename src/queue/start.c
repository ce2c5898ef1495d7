/*-------------------------------------------------------------------------
 *
 * start.c
 *	  Starts of jobs, where a queue or its limit has a rate, or it is throttled.
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
#include "shared/database.h"
#include "shared/group_rate.h"
#include "shared/limit_state.h"
#include "shared/note.h"
#include "shared/queue_state.h"
#include "shared/rate.h"
#include "shared/throttle.h"
#include "shared/wake.h"

#include "utils/memutils.h"

/* The entries of which this process has reserved a start: the queue's, its limit's. */
static JobqQueueState *reserved = NULL;
static JobqLimitState *reserved_limit = NULL;

/* See start.h. */
bool
jobq_start_is_kept(const JobqQueue *queue)
{
	return (queue->has_rate && jobq_rate_is_kept(&queue->rate)) ||
		(queue->limit_has_rate && jobq_rate_is_kept(&queue->limit_rate)) ||
		(queue->has_group_rate && jobq_rate_is_kept(&queue->group_rate));
}

/* See start.h.  If nothing is known of the rate, reads what was kept. */
bool
jobq_start_pin(const JobqQueue *queue)
{
	TimestampTz kept;

	if (queue->state == NULL ||
		!jobq_queue_state_pin(queue->state, queue->id))
		return false;
	if (!jobq_rate_is_kept(&queue->rate) ||
		jobq_rate_is_known(&queue->state->rate))
		return true;

	/* reading may raise an error */
	jobq_queue_state_unpin(queue->state);
	kept = jobq_start_row_read(queue->id, NULL);
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

/* The same for the limit that the queue shares, as jobq_start_pin(). */
static bool
pin_limit(const JobqQueue *queue)
{
	JobqLimitState *limit = queue->limit;
	TimestampTz kept;

	if (!jobq_limit_state_pin(limit, queue->shared_limit))
		return false;
	if (!jobq_rate_is_kept(&queue->limit_rate) || jobq_rate_is_known(&limit->rate))
		return true;

	/* reading may raise an error */
	jobq_limit_state_unpin(limit);
	kept = jobq_start_row_read(-queue->shared_limit, NULL);
	if (!jobq_limit_state_pin(limit, queue->shared_limit))
		return false;
	jobq_rate_learn(&limit->rate, kept);
	return true;
}

/* With a pin: whether the gate of its rate is open; if not, as in start.h. */
static bool
limit_is_open(const JobqQueue *queue, TimestampTz *next_run_at)
{
	TimestampTz wake_at;

	if (jobq_rate_is_open(&queue->limit->rate, &queue->limit_rate, &wake_at))
		return true;
	jobq_wake_for_queue_at(queue->state, wake_at);
	*next_run_at = Min(*next_run_at, wake_at);
	return false;
}

/* Whether the limit has a rate; one without an entry is left to ticket.c. */
static bool
passes_limit(const JobqQueue *queue)
{
	return queue->limit_has_rate && queue->limit != NULL;
}

/* See start.h. */
bool
jobq_start_is_allowed(const JobqQueue *queue, TimestampTz *next_run_at)
{
	bool		result = true;

	if (is_throttled(queue, next_run_at))
		return false;
	if (queue->has_rate)
	{
		if (!jobq_start_pin(queue))
			return false;
		result = is_open(queue, next_run_at);
		jobq_queue_state_unpin(queue->state);
	}
	if (result && passes_limit(queue))
	{
		if (!pin_limit(queue))
			return false;
		result = limit_is_open(queue, next_run_at);
		jobq_limit_state_unpin(queue->limit);
	}
	return result;
}

/* Reserves a start of the queue's own rate. */
static bool
reserve_queue(const JobqQueue *queue, TimestampTz *next_run_at)
{
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

/* Reserves one of the rate of the limit that it shares. */
static bool
reserve_limit(const JobqQueue *queue, TimestampTz *next_run_at)
{
	JobqLimitState *limit = queue->limit;

	if (!passes_limit(queue) || reserved_limit != NULL)
		return true;
	if (!pin_limit(queue))
		return false;
	do
	{
		if (jobq_rate_reserve(&limit->rate, &queue->limit_rate))
			reserved_limit = limit;
	} while (reserved_limit == NULL && limit_is_open(queue, next_run_at));
	if (reserved_limit == NULL)
		jobq_limit_state_unpin(limit);
	return reserved_limit != NULL;
}

/* See start.h. */
bool
jobq_start_reserve(const JobqQueue *queue, TimestampTz *next_run_at)
{
	if (is_throttled(queue, next_run_at) ||
		!reserve_queue(queue, next_run_at))
		return false;
	if (reserve_limit(queue, next_run_at))
		return true;
	jobq_start_return();
	return false;
}

/* Counts the start at all rates that have reserved it. */
static TimestampTz
count_start(JobqStart *start, const JobqQueue *queue,
			JobqGroupStart *group_start, JobqGroupTicket *ticket,
			TimestampTz now)
{
	JobqRateStart starts[2];
	int			n = 0;

	if (start->state != NULL)
		starts[n++] = (JobqRateStart)
	{
		&start->state->rate, &queue->rate, &start->take
	};
	if (start->limit != NULL)
		starts[n++] = (JobqRateStart)
	{
		&start->limit->rate, &queue->limit_rate, &start->limit_take
	};
	if (ticket == NULL || !ticket->has_reserved)
		return n > 0 ? jobq_rate_start(starts, n) : now;
	group_start->group = ticket->group;
	group_start->is_kept = jobq_rate_is_kept(&ticket->rate);
	return jobq_group_rate_start(ticket, &group_start->take, starts, n);
}

/* See start.h. */
TimestampTz
jobq_start_use(JobqStart *start, const JobqQueue *queue,
			   JobqGroupStart *group_start, JobqGroupTicket *ticket,
			   TimestampTz now)
{
	start->state = reserved;
	start->queue = queue->id;
	start->limit = reserved_limit;
	start->shared_limit = queue->shared_limit;
	group_start->group = NULL;
	reserved = NULL;
	reserved_limit = NULL;
	now = count_start(start, queue, group_start, ticket, now);
	if (start->state != NULL)
		jobq_queue_state_unpin(start->state);
	if (start->limit != NULL)
		jobq_limit_state_unpin(start->limit);
	return now;
}

/* The limit may let in a job earlier than its queues were told. */
static void
look_at_limit(JobqLimitState *limit)
{
	jobq_limit_state_request_look(limit);
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_LIMITS);
}

/* See start.h; also called when a transaction or subtransaction is rolled back. */
void
jobq_start_return(void)
{
	JobqQueueState *state = reserved;
	JobqLimitState *limit = reserved_limit;

	reserved = NULL;
	reserved_limit = NULL;
	if (state != NULL)
	{
		if (jobq_rate_release(&state->rate))
			jobq_queue_wake_look(state);
		jobq_queue_state_unpin(state);
	}
	if (limit != NULL)
	{
		if (jobq_rate_release(&limit->rate))
			look_at_limit(limit);
		jobq_limit_state_unpin(limit);
	}
}

/* See start.h. */
void
jobq_start_undo(JobqStart *start)
{
	JobqQueueState *state = start->state;
	JobqLimitState *limit = start->limit;

	start->state = NULL;
	start->limit = NULL;
	if (state != NULL && jobq_queue_state_pin(state, start->queue))
	{
		if (jobq_rate_undo(&state->rate, &start->take))
			jobq_queue_wake_look(state);
		jobq_queue_state_unpin(state);
	}
	if (limit != NULL && jobq_limit_state_pin(limit, start->shared_limit))
	{
		if (jobq_rate_undo(&limit->rate, &start->limit_take))
			look_at_limit(limit);
		jobq_limit_state_unpin(limit);
	}
}

/* See start.h. */
void
jobq_start_undo_of_group(JobqGroupStart *start)
{
	if (start->group != NULL)
		jobq_group_rate_undo(start->group, &start->take);
	start->group = NULL;
}

/* What is kept of a start in a group. */
typedef struct KeptNote
{
	int32		queue;
	const char *group;
	JobqGcraTime tat;
} KeptNote;

/* At commit, before the tickets come back: its group may leave memory with them. */
static void
tell_kept(const JobqNote *note, TimestampTz now)
{
	const KeptNote *kept = jobq_note_const_data(note, KeptNote);
	JobqQueueState *state = jobq_queue_state_find(kept->queue);

	if (state == NULL || !jobq_queue_state_pin(state, kept->queue))
		return;
	jobq_group_rate_kept(state, kept->group, kept->tat);
	jobq_queue_state_unpin(state);
}

static const JobqNoteKind kept_kind = {
	.commit = {[JOBQ_NOTE_LANES] = tell_kept}
};

/* Keeps what a start has made of a rate. */
static void
keep(int32 key, const char *group, const JobqGcraTake *take)
{
	jobq_start_row_write(key, group, take->after.usec +
						 (take->after.frac > 0 ? 1 : 0));
}

/* See start.h. */
void
jobq_start_keep(const JobqStart *start, const JobqQueue *queue)
{
	bool		by_queue = start->state != NULL && jobq_rate_is_kept(&queue->rate);
	bool		by_limit = start->limit != NULL && jobq_rate_is_kept(&queue->limit_rate);

	if (by_queue)
		keep(start->queue, NULL, &start->take);
	if (by_limit)
		keep(-start->shared_limit, NULL, &start->limit_take);
	if (by_queue || by_limit)
		jobq_async_commit_insist();
}

/* See start.h. */
void
jobq_start_keep_in_group(int32 queue, const char *name,
						 const JobqGcraTake *take)
{
	const char *group = MemoryContextStrdup(TopTransactionContext, name);
	KeptNote   *kept;

	keep(queue, group, take);
	kept = jobq_note_data(jobq_note_add(&kept_kind), KeptNote);
	kept->queue = queue;
	kept->group = group;
	kept->tat = take->after;
}

/* See start.h. */
void
jobq_start_keep_of_group(const JobqGroupStart *start, const JobqQueue *queue)
{
	if (start->group == NULL || !start->is_kept)
		return;
	jobq_start_keep_in_group(queue->id, start->group->key.name, &start->take);
	jobq_async_commit_insist();
}

/* See start.h. */
void
jobq_start_keep_new(const JobqStart *start, const JobqQueue *queue)
{
	if (jobq_rate_is_kept(&queue->rate))
		keep(queue->id, NULL, &start->take);
}
