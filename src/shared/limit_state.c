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
 * An entry (entry.c) is made when the limit is created, or by the first process that
 * needs it after a start.  A limit without an entry starts no jobs.  Nothing here
 * allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/limit_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/limit_state.h"

#include "shared/entry.h"
#include "shared/rate.h"

#include "miscadmin.h"

/* Values of JobqLimitState.look. */
enum
{
	LOOK_NOT_WANTED,
	LOOK_WANTED,
	LOOK_BEGUN
};

/* Values of JobqLimitState.counts_groups. */
enum
{
	GROUPS_NOT_COUNTED,
	GROUPS_LINKED,				/* queues are being linked; what the gate
								 * knows may be without them */
	GROUPS_COUNTED				/* what the gate knows, it knows of groups */
};

/* Of its list of queues and its groups; the same for each limit that gets the entry. */
static LWLock *
lock_of(const JobqLimitState *state)
{
	uintptr_t	number = (uintptr_t) state / sizeof(JobqLimitState);

	return jobq_lock(JOBQ_LOCK_LIMIT_QUEUES + number % JOBQ_NUM_LIMIT_LOCKS);
}

/* See JobqEntryKind, as of those that follow. */
static void
make(JobqEntry *entry)
{
	JobqLimitState *state = (JobqLimitState *) entry;

	jobq_gate_reset(&state->gate);
	jobq_rate_reset(&state->rate);
	jobq_shared->limit_number += 2;
	state->number = jobq_shared->limit_number | 1;
	pg_atomic_init_u32(&state->counts_groups, GROUPS_NOT_COUNTED);
	pg_atomic_init_u32(&state->look, LOOK_NOT_WANTED);
	pg_atomic_init_u32(&state->nqueues, 0);
	state->more = false;
}

static bool
is_unused(JobqEntry *entry)
{
	return jobq_gate_is_empty(&((JobqLimitState *) entry)->gate);
}

static const JobqEntryKind limit_kind = {
	.area = JOBQ_AREA_LIMITS,
	.lock = JOBQ_LOCK_LIMITS,
	.entries = offsetof(JobqShared, limits),
	.make = make,
	.is_unused = is_unused
};

/* See limit_state.h. */
JobqLimitState *
jobq_limit_state_find(int32 limit)
{
	return (JobqLimitState *) jobq_entry_find(&limit_kind, limit);
}

/* See limit_state.h. */
JobqLimitState *
jobq_limit_state(int32 limit, Oid owner)
{
	return (JobqLimitState *) jobq_entry_find_or_make(&limit_kind, limit, owner);
}

/* No job has a slot of it or has started, so its gates need no count. */
void
jobq_limit_state_new(int32 limit, Oid owner, bool counts_groups)
{
	JobqLimitState *state = jobq_limit_state(limit, owner);

	if (state == NULL)
		return;
	if (counts_groups)
		pg_atomic_write_u32(&state->counts_groups, GROUPS_COUNTED);
	jobq_entry_open_gates(&state->gate, &state->rate);
}

/*
 * See limit_state.h.  A pass that begins after the gate has been told links the queues;
 * claims that come meanwhile do not trust the gate yet.
 */
void
jobq_limit_state_count_groups(JobqLimitState *state)
{
	uint32		value = GROUPS_NOT_COUNTED;

	if (!pg_atomic_compare_exchange_u32(&state->counts_groups, &value,
										GROUPS_LINKED))
		return;
	jobq_gate_miss(&state->gate);
	pg_atomic_write_u32(&state->counts_groups, GROUPS_COUNTED);
}

/* See limit_state.h. */
bool
jobq_limit_state_knows_groups(JobqLimitState *state)
{
	if (pg_atomic_read_u32(&state->counts_groups) != GROUPS_COUNTED)
		return false;
	pg_memory_barrier();
	return jobq_gate_is_counted(&state->gate);
}

/* See limit_state.h. */
LWLock *
jobq_limit_state_lock(const JobqLimitState *state)
{
	return lock_of(state);
}

/* See limit_state.h. */
void
jobq_limit_state_forget(int32 limit)
{
	jobq_entry_forget(&limit_kind, limit);
}

/* Of a database that was dropped, or in which the extension is created anew. */
void
jobq_limit_states_forget(Oid dboid)
{
	jobq_entries_forget(&limit_kind, dboid);
}

/* See limit_state.h. */
bool
jobq_limit_state_is_of(const JobqLimitState *state, int32 limit)
{
	return jobq_entry_is_of(&state->entry, limit);
}

/* See limit_state.h. */
bool
jobq_limit_state_leave(JobqLimitState *state, uint32 slots)
{
	return jobq_entry_leave(&limit_kind, &state->entry, &state->gate, slots);
}

/* See limit_state.h. */
bool
jobq_limit_state_pin(JobqLimitState *state, int32 limit)
{
	return jobq_entry_pin(&limit_kind, &state->entry, limit);
}

/* See limit_state.h. */
void
jobq_limit_state_unpin(JobqLimitState *state)
{
	jobq_entry_unpin(&limit_kind, &state->entry);
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
	if (state->entry.key.dboid != MyDatabaseId)
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
	return jobq_shared->limits.lack_room;
}
