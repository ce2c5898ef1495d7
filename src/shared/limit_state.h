/*-------------------------------------------------------------------------
 *
 * limit_state.h
 *	  The limits that queues share, in shared memory.
 *
 * IDENTIFICATION
 *	  src/shared/limit_state.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LIMIT_STATE_H
#define JOBQ_LIMIT_STATE_H

#include "shared/shmem.h"

/* The entry of a limit of this database; NULL: there is none, or no room. */
extern JobqLimitState *jobq_limit_state(int32 limit, Oid owner);
extern JobqLimitState *jobq_limit_state_find(int32 limit);

/* Makes the entry of a limit that this transaction has created. */
extern void jobq_limit_state_new(int32 limit, Oid owner, bool counts_groups);

/*
 * From now on the limit counts the groups of its queues (limit_group.c).  Until what is
 * running has been counted, claims that know of its max_running_per_group start nothing.
 */
extern void jobq_limit_state_count_groups(JobqLimitState *state);

/* Whether its queues are to be linked. */
static inline bool
jobq_limit_state_counts_groups(JobqLimitState *state)
{
	return pg_atomic_read_u32(&state->counts_groups) != 0;
}

/* Whether all jobs in groups that run are known to be counted. */
extern bool jobq_limit_state_knows_groups(JobqLimitState *state);

/* The lock of its groups, which stays when another limit gets the entry. */
extern LWLock *jobq_limit_state_lock(const JobqLimitState *state);

/* The limit is gone: the entry goes with the last slot.  For callbacks, too. */
extern void jobq_limit_state_forget(int32 limit);
extern void jobq_limit_states_forget(Oid dboid);

/* Keeps the entry; false if the limit is gone.  For callbacks, too. */
extern bool jobq_limit_state_pin(JobqLimitState *state, int32 limit);
extern void jobq_limit_state_unpin(JobqLimitState *state);

/* Whether an entry of which the caller has a slot, or a pin, is that limit's. */
extern bool jobq_limit_state_is_of(const JobqLimitState *state, int32 limit);

/*
 * Gives slots back.  Returns whether jobq_limit_state_call() must be called.  For
 * callbacks, too, as all that follow.
 */
extern bool jobq_limit_state_leave(JobqLimitState *state, uint32 slots);

/*
 * Remembers a queue that was turned away.  Returns whether there is room after
 * all.
 */
extern bool jobq_limit_state_turn_away(JobqLimitState *state, int max_running,
									   const JobqTurnedAway *queue);

/*
 * Called by the holder of a slot before it looks for jobs of the queue: it will
 * find those for which others were turned away.  Returns whether any were.
 */
extern bool jobq_limit_state_take_back(JobqLimitState *state, int32 queue);

/*
 * Copies the queues of which a worker is to be woken, JOBQ_MAX_TURNED_AWAY at most,
 * and returns their number.  *more: the coordinator must look at all queues of the
 * limit.
 */
extern int	jobq_limit_state_call(JobqLimitState *state,
								  JobqTurnedAway *queues, bool *more);

/*
 * The coordinator must look at all queues of the limit: requests that; whether it
 * is requested, which stays so from begin to end.
 */
extern void jobq_limit_state_request_look(JobqLimitState *state);
extern bool jobq_limit_state_begin_look(JobqLimitState *state);
extern void jobq_limit_state_end_look(JobqLimitState *state);

/* Whether some limit has no entry for want of memory. */
extern bool jobq_limit_states_lack_room(void);

#endif							/* JOBQ_LIMIT_STATE_H */
