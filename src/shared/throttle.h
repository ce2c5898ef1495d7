/*-------------------------------------------------------------------------
 *
 * throttle.h
 *	  Queues of which nothing starts for some time: throttle().
 *
 * IDENTIFICATION
 *	  src/shared/throttle.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_THROTTLE_H
#define JOBQ_THROTTLE_H

#include "shared/shmem.h"

/* Whether throttle() was called; cheap. */
static inline bool
jobq_throttle_is_set(JobqQueueState *state)
{
	return pg_atomic_read_u64(&state->throttle.until) != 0;
}

/*
 * Whether nothing may start now.  If so, *until is when it may.  The coordinator
 * is told.  For commit callbacks, too.
 */
extern bool jobq_throttle_holds(JobqQueueState *state, TimestampTz *until);

/* Nothing starts until that much later; 0 ends it. */
extern void jobq_throttle_set(JobqQueueState *state, int64 delay);

#endif							/* JOBQ_THROTTLE_H */
