/*-------------------------------------------------------------------------
 *
 * promise.c
 *	  Promises of processes that give a ticket back to claim again at once.
 *
 * While a gate is shut, workers wait for its tickets.  Waking one whenever a job
 * ends would mostly be in vain: the client or executor that ran the job comes for the
 * next one at once, and one of the two finds no ticket.  So a process that was back
 * at once the last time promises to be so again when it gives a ticket back, and
 * wakes nobody.  The gate counts promises.  A decision to wake a worker treats the
 * tickets that are promised as taken; a claim does not, and may take them.
 *
 * A promise ends when its process claims, which then does what a woken worker would
 * do, or when the coordinator finds it too old, and has a worker woken.  Both take it
 * out of the process's entry by a compare-and-exchange, so that only one of them does,
 * and then lower the gate's count.  A process that wakes nobody because of a promise
 * has set `starved` before it read the count, so the one that ends the promise sees
 * the flag.
 *
 * The coordinator looks at promises from the first one on, which wakes it, until it
 * finds that none has been made since its last look.
 *
 * An entry outlives its process, and a promise keeps no entry of a queue: if another
 * queue gets that, its gate has one promise too many until the coordinator ends it.
 *
 * IDENTIFICATION
 *	  src/shared/promise.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/promise.h"

#include "compat.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/waiter.h"
#include "shared/wake.h"

#include "miscadmin.h"

/* Who was back after this time will be again, in microseconds. */
#define SOON (3 * INT64CONST(1000))

/* How old a promise may get, and how often the coordinator looks for such. */
#define MAX_AGE (6 * INT64CONST(1000))
#define CHECK_INTERVAL (3 * INT64CONST(1000))

/* JobqDatabase.promises */
enum
{
	QUIET,						/* the coordinator must be woken */
	WATCHED,					/* it looks again after CHECK_INTERVAL */
	MADE						/* and there were promises since */
};

/* The queue whose ticket this process gave back last, while its gate was starved, */
static const JobqQueueState *left_queue = NULL;
static int64 left_at = 0;		/* and when, by jobq_stopwatch() */

/* The queue to which it came back soon, the last time. */
static const JobqQueueState *returned_to = NULL;

/* Takes a promise out of its entry; false if it is not there any more. */
static bool
take_out(JobqPromise *promise, uint64 queue)
{
	return queue != 0 &&
		pg_atomic_compare_exchange_u64(&promise->queue, &queue, 0);
}

/* Ends what this process has promised; returns the queue, or NULL. */
static JobqQueueState *
end_own(void)
{
	JobqPromise *promise = &jobq_shared->promises[JOBQ_MY_PROC_NUMBER];
	uint64		queue = pg_atomic_read_u64(&promise->queue);
	JobqQueueState *state = (JobqQueueState *) (uintptr_t) queue;

	if (!take_out(promise, queue))
		return NULL;
	(void) jobq_gate_end_promise(&state->gate);
	return state;
}

/* Whether there is a coordinator to break promises. */
static bool
is_guarded(const JobqDatabase *database)
{
	return database->coordinator_proc != JOBQ_NO_PROCESS;
}

/* See promise.h. */
bool
jobq_promise_make(JobqQueueState *queue)
{
	JobqPromise *promise = &jobq_shared->promises[JOBQ_MY_PROC_NUMBER];
	JobqDatabase *database = jobq_database();
	bool		returns = returned_to == queue;

	left_queue = queue;
	left_at = jobq_stopwatch();
	returned_to = NULL;
	if (!returns || pg_atomic_read_u64(&promise->queue) != 0 ||
		!is_guarded(database))
		return false;

	jobq_gate_promise(&queue->gate);
	promise->dboid = MyDatabaseId;
	pg_atomic_write_u64(&promise->made_at, (uint64) left_at);
	pg_write_barrier();
	pg_atomic_write_u64(&promise->queue, (uint64) (uintptr_t) queue);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&database->promises) != MADE &&
		pg_atomic_exchange_u32(&database->promises, MADE) == QUIET)
		jobq_wake_coordinator(database, JOBQ_WAKE_PROMISES);

	/* it may have left before it could see this promise */
	return is_guarded(database) || end_own() == NULL;
}

/* See promise.h. */
void
jobq_promise_keep(const JobqQueueState *queue)
{
	JobqQueueState *ended;

	if (left_queue != queue)
		return;
	returned_to = jobq_stopwatch() - left_at <= SOON ? queue : NULL;
	left_queue = NULL;
	ended = end_own();

	/* a promise to another queue, or of an earlier process, is broken */
	if (ended != NULL && ended != queue && jobq_gate_is_starved(&ended->gate))
		jobq_wake_for_queue_at(ended, jobq_now());
}

/* See promise.h. */
void
jobq_promise_break(void)
{
	JobqQueueState *queue;

	if (left_queue == NULL)
		return;
	left_queue = NULL;
	queue = end_own();
	if (queue != NULL && jobq_gate_is_starved(&queue->gate))
		jobq_wake_for_queue_at(queue, jobq_now());
}

/*
 * Breaks the promises of this database that are older than `before`, by
 * jobq_stopwatch(), and has their queues looked at if workers must be woken; with
 * `wake`, it wakes some itself.  *broken: whether there were any such queues.
 * Returns whether promises are left.
 */
static bool
break_older(int64 before, bool wake, bool *broken)
{
	bool		result = false;

	for (int i = 0; i < jobq_shared->max_waiters; i++)
	{
		JobqPromise *promise = &jobq_shared->promises[i];
		uint64		queue = pg_atomic_read_u64(&promise->queue);
		JobqQueueState *state = (JobqQueueState *) (uintptr_t) queue;

		pg_read_barrier();
		if (queue == 0 || promise->dboid != MyDatabaseId)
			continue;
		if ((int64) pg_atomic_read_u64(&promise->made_at) > before)
		{
			result = true;
			continue;
		}
		if (!take_out(promise, queue) || !jobq_gate_end_promise(&state->gate))
			continue;
		(void) jobq_wake_lower_time(&state->next_look, jobq_now());
		*broken = true;
		if (wake && pg_atomic_read_u32(&state->waiting) > 0)
			jobq_waiters_wake(MyDatabaseId, state->entry.key.id, 1);
	}
	return result;
}

/* See promise.h. */
TimestampTz
jobq_promises_check(bool *broken)
{
	static int64 next_check = 0;	/* by jobq_stopwatch() */
	pg_atomic_uint32 *promises = &jobq_database()->promises;
	int64		now;

	*broken = false;
	if (pg_atomic_read_u32(promises) == QUIET)
		return JOBQ_NEVER;
	now = jobq_stopwatch();
	if (now >= next_check)
	{
		bool		made = pg_atomic_exchange_u32(promises, WATCHED) == MADE;
		uint32		watched = WATCHED;

		if (!break_older(now - MAX_AGE, false, broken) && !made &&
			pg_atomic_compare_exchange_u32(promises, &watched, QUIET))
			return JOBQ_NEVER;
		next_check = now + CHECK_INTERVAL;
	}
	return jobq_now() + next_check - now;
}

/* See promise.h. */
void
jobq_promises_end(void)
{
	bool		broken;

	pg_memory_barrier();
	(void) break_older(PG_INT64_MAX, true, &broken);
}
