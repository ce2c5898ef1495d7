/*-------------------------------------------------------------------------
 *
 * limit_state.c
 *	  The limits that queues share, in shared memory.
 *
 * A limit has a gate (gate.c).  A job of one of its queues takes a slot of it when
 * it starts, beside that of the queue's own gate, and both are given back
 * together.
 *
 * A claim that finds the limit's gate shut remembers its queue here, and looks
 * again; a process that gives slots back reads `starved` afterwards, and wakes a
 * worker of each queue that is remembered.  A queue stays in the list, as one that
 * was `told`, until one of its claims has a slot: that claim takes it out before it
 * looks for jobs, puts it back if it leaves some, and wakes another worker if
 * there is room.  So a slot is promised to nobody, and no queue with ready jobs is
 * left asleep while there are slots.
 *
 * The list has room for some queues.  If more are turned away, the coordinator
 * looks at all queues of the limit when slots are given back.
 *
 * An entry is made when the limit is created, or by the first process that needs it
 * after a start, and lives until the limit is dropped and its last slot and pin are
 * gone.
 * A limit without an entry starts no jobs.  Nothing here allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/limit_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/limit_state.h"

#include "shared/area.h"
#include "shared/rate.h"

#include "miscadmin.h"

/* Values of JobqLimitState.look. */
enum
{
	LOOK_NOT_WANTED,
	LOOK_WANTED,
	LOOK_BEGUN
};

/* Whether a role may have one more entry; under the lock. */
static bool
has_room(Oid role)
{
	long		left = jobq_area_room(JOBQ_AREA_LIMITS) -
	hash_get_num_entries(jobq_shared_limits);

	return left > 0 &&
		*jobq_role_counter(jobq_shared->limit_roles, role) < left;
}

static void
make_key(JobqLimitKey *key, int32 limit)
{
	memset(key, 0, sizeof(*key));
	key->dboid = MyDatabaseId;
	key->limit = limit;
}

/* Of the list of queues; the same for each limit that gets the entry. */
static LWLock *
lock_of(const JobqLimitState *state)
{
	uintptr_t	number = (uintptr_t) state / sizeof(JobqLimitState);

	return jobq_lock(JOBQ_LOCK_LIMIT_QUEUES + number % JOBQ_NUM_LIMIT_LOCKS);
}

/* See limit_state.h. */
JobqLimitState *
jobq_limit_state_find(int32 limit)
{
	JobqLimitKey key;
	JobqLimitState *state;

	make_key(&key, limit);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LIMITS), LW_SHARED);
	state = hash_search(jobq_shared_limits, &key, HASH_FIND, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_LIMITS));
	return state;
}

/*
 * Prepares a new entry.  A process with an old pointer may have a slot that it is
 * about to give back, so the gate is reset only.
 */
static void
make(JobqLimitState *state, Oid owner)
{
	state->role = owner;
	(*jobq_role_counter(jobq_shared->limit_roles, owner))++;
	jobq_gate_reset(&state->gate);
	jobq_rate_reset(&state->rate);
	pg_atomic_init_u32(&state->look, LOOK_NOT_WANTED);
	pg_atomic_init_u32(&state->nqueues, 0);
	state->more = false;
	state->dropped = false;
}

/*
 * See limit_state.h.  A role gets at most as many entries as are free, so that a
 * role without entries finds room.
 */
JobqLimitState *
jobq_limit_state(int32 limit, Oid owner)
{
	JobqLimitKey key;
	JobqLimitState *state = jobq_limit_state_find(limit);
	bool		found;

	if (state != NULL)
		return state;
	make_key(&key, limit);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LIMITS), LW_EXCLUSIVE);
	state = hash_search(jobq_shared_limits, &key,
						has_room(owner) ? HASH_ENTER_NULL : HASH_FIND,
						&found);
	if (state != NULL && !found)
		make(state, owner);
	jobq_shared->limits_lack_room = state == NULL;
	LWLockRelease(jobq_lock(JOBQ_LOCK_LIMITS));
	return state;
}

/* No job has a slot of it or has started, so its gates need no count. */
void
jobq_limit_state_new(int32 limit, Oid owner)
{
	JobqLimitState *state = jobq_limit_state(limit, owner);

	if (state == NULL)
		return;
	jobq_rate_learn(&state->rate, 0);
	if (jobq_gate_is_empty(&state->gate))
		(void) jobq_gate_count_end(&state->gate,
								   jobq_gate_count_begin(&state->gate));
}

/* Whether the entry of a dropped limit can be removed. */
static bool
is_unused(JobqLimitState *state)
{
	return jobq_gate_is_empty(&state->gate) &&
		pg_atomic_read_u32(&state->pins) == 0;
}

/* Removes an entry; under the lock. */
static void
remove_state(JobqLimitState *state)
{
	(*jobq_role_counter(jobq_shared->limit_roles, state->role))--;
	jobq_shared->limits_lack_room = false;
	(void) hash_search(jobq_shared_limits, &state->key, HASH_REMOVE, NULL);
}

/*
 * The limit is gone; under the lock.  As for a queue (queue_state.c), the entry
 * gets a key that no limit has, before `dropped` is set.
 */
static void
end_state(JobqLimitState *state)
{
	JobqLimitKey key = state->key;

	do
		key.ended = ++jobq_shared->ended_limits;
	while (key.ended == 0 ||
		   !hash_update_hash_key(jobq_shared_limits, state, &key));
	pg_write_barrier();
	state->dropped = true;
	pg_memory_barrier();
	if (is_unused(state))
		remove_state(state);
}

/* See limit_state.h. */
void
jobq_limit_state_forget(int32 limit)
{
	JobqLimitKey key;
	JobqLimitState *state;

	make_key(&key, limit);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LIMITS), LW_EXCLUSIVE);
	state = hash_search(jobq_shared_limits, &key, HASH_FIND, NULL);
	if (state != NULL)
		end_state(state);
	LWLockRelease(jobq_lock(JOBQ_LOCK_LIMITS));
}

/* Of a database that was dropped, or in which the extension is created anew. */
void
jobq_limit_states_forget(Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqLimitState *state;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_LIMITS), LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_limits);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->key.dboid == dboid && !state->dropped)
			end_state(state);
		else if (state->key.dboid == dboid && is_unused(state))
			remove_state(state);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_LIMITS));
}

/* See limit_state.h. */
bool
jobq_limit_state_is_of(const JobqLimitState *state, int32 limit)
{
	return state->key.limit == limit && state->key.dboid == MyDatabaseId &&
		!state->dropped;
}

/*
 * Removes the entry of a dropped limit once it is unused.  Another process may
 * have done that already, and the entry may be another limit's.
 */
static void
remove_if_unused(const JobqLimitState *seen)
{
	JobqLimitKey key;
	JobqLimitState *state;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_LIMITS), LW_EXCLUSIVE);
	key = seen->key;
	state = hash_search(jobq_shared_limits, &key, HASH_FIND, NULL);
	if (state == seen && state->dropped && is_unused(state))
		remove_state(state);
	LWLockRelease(jobq_lock(JOBQ_LOCK_LIMITS));
}

/* See limit_state.h. */
bool
jobq_limit_state_leave(JobqLimitState *state, uint32 slots)
{
	bool		empty;
	bool		starved = jobq_gate_leave(&state->gate, slots, &empty);

	/* from here on the entry may be another limit's */
	if (!empty || !state->dropped)
		return starved;
	remove_if_unused(state);
	return false;
}

/* See limit_state.h. */
bool
jobq_limit_state_pin(JobqLimitState *state, int32 limit)
{
	(void) pg_atomic_fetch_add_u32(&state->pins, 1);
	if (jobq_limit_state_is_of(state, limit))
		return true;
	jobq_limit_state_unpin(state);
	return false;
}

/* See limit_state.h. */
void
jobq_limit_state_unpin(JobqLimitState *state)
{
	if (pg_atomic_fetch_sub_u32(&state->pins, 1) == 1 && state->dropped)
		remove_if_unused(state);
}

/*
 * The place of a queue in the list, or the one that it gets; -1: there is none.
 * Under the list's lock.
 */
static int
place_of(JobqLimitState *state, int32 queue)
{
	int			n = (int) pg_atomic_read_u32(&state->nqueues);
	int			place = n < JOBQ_MAX_TURNED_AWAY ? n : -1;

	for (int i = 0; i < n; i++)
	{
		if (state->queues[i].queue == queue)
			return i;
		if (place < 0 && state->queues[i].told)
			place = i;
	}
	return place;
}

/* See limit_state.h. */
bool
jobq_limit_state_turn_away(JobqLimitState *state, int max_running,
						   const JobqTurnedAway *queue)
{
	int			place;

	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	place = place_of(state, queue->queue);
	if (place < 0)
		state->more = true;
	else
	{
		state->queues[place] = *queue;
		state->queues[place].told = false;
		if (place == (int) pg_atomic_read_u32(&state->nqueues))
			pg_atomic_write_u32(&state->nqueues, place + 1);
	}
	LWLockRelease(lock_of(state));
	return jobq_gate_remember_starved(&state->gate, max_running);
}

/* See limit_state.h. */
bool
jobq_limit_state_take_back(JobqLimitState *state, int32 queue)
{
	bool		found = false;
	int			n;

	if (pg_atomic_read_u32(&state->nqueues) == 0)
		return false;
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	n = (int) pg_atomic_read_u32(&state->nqueues);
	for (int i = 0; i < n && !found; i++)
	{
		if (state->queues[i].queue != queue)
			continue;
		state->queues[i] = state->queues[n - 1];
		pg_atomic_write_u32(&state->nqueues, n - 1);
		found = true;
	}
	LWLockRelease(lock_of(state));
	return found;
}

/*
 * See limit_state.h.  A queue that is added later sets `starved` again.  Since the
 * slots were given back, another database's limit may have got the entry.
 */
int
jobq_limit_state_call(JobqLimitState *state, JobqTurnedAway *queues, bool *more)
{
	int			ncalled = 0;
	int			n;

	*more = false;
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	if (state->key.dboid != MyDatabaseId)
	{
		LWLockRelease(lock_of(state));
		return 0;
	}
	(void) jobq_gate_forget_starved(&state->gate);
	n = (int) pg_atomic_read_u32(&state->nqueues);
	for (int i = 0; i < n; i++)
	{
		if (state->queues[i].told)
			continue;
		state->queues[i].told = true;
		queues[ncalled++] = state->queues[i];
	}
	*more = state->more;
	state->more = false;
	LWLockRelease(lock_of(state));
	if (*more)
		jobq_limit_state_request_look(state);
	return ncalled;
}

/* See limit_state.h. */
void
jobq_limit_state_request_look(JobqLimitState *state)
{
	(void) pg_atomic_exchange_u32(&state->look, LOOK_WANTED);
}

/* See limit_state.h. */
bool
jobq_limit_state_begin_look(JobqLimitState *state)
{
	uint32		wanted = LOOK_WANTED;

	if (pg_atomic_read_u32(&state->look) == LOOK_NOT_WANTED)
		return false;
	(void) pg_atomic_compare_exchange_u32(&state->look, &wanted, LOOK_BEGUN);
	return true;
}

/* See limit_state.h; a look that was requested meanwhile stays so. */
void
jobq_limit_state_end_look(JobqLimitState *state)
{
	uint32		begun = LOOK_BEGUN;

	(void) pg_atomic_compare_exchange_u32(&state->look, &begun,
										  LOOK_NOT_WANTED);
}

/* See limit_state.h; a hint. */
bool
jobq_limit_states_lack_room(void)
{
	return jobq_shared->limits_lack_room;
}
