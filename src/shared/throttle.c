/*-------------------------------------------------------------------------
 *
 * throttle.c
 *	  Queues that start no jobs for some time: throttle().
 *
 * It is kept in shared memory only, so that it holds at once, even if the transaction
 * rolls back: a handler that was told to come back later fails afterwards.
 *
 * IDENTIFICATION
 *	  src/shared/throttle.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/throttle.h"

#include "shared/clock.h"
#include "shared/wake.h"

/* See throttle.h. */
bool
jobq_throttle_holds(JobqQueueState *state, TimestampTz *until)
{
	uint64		end = pg_atomic_read_u64(&state->throttle.until);
	TimestampTz now = jobq_now();
	TimestampTz latest;

	if ((TimestampTz) end <= now)
		return false;
	pg_read_barrier();
	latest = now + (int64) pg_atomic_read_u64(&state->throttle.delay);
	/* the clock was set back */
	if ((TimestampTz) end > latest &&
		pg_atomic_compare_exchange_u64(&state->throttle.until, &end,
									   (uint64) latest))
		end = (uint64) latest;
	*until = (TimestampTz) end;
	jobq_wake_for_queue_at(state, *until);
	return true;
}

/* See throttle.h.  The caller has the queue looked at. */
void
jobq_throttle_set(JobqQueueState *state, int64 delay)
{
	TimestampTz until = delay > 0 ? jobq_now() + delay : 0;

	pg_atomic_write_u64(&state->throttle.delay, (uint64) delay);
	pg_write_barrier();
	pg_atomic_write_u64(&state->throttle.until, (uint64) until);
}
