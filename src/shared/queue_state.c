/*-------------------------------------------------------------------------
 *
 * queue_state.c
 *	  The queues in shared memory.
 *
 * IDENTIFICATION
 *	  src/shared/queue_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/queue_state.h"

#include "shared/area.h"
#include "shared/lane.h"
#include "shared/note.h"
#include "shared/rate.h"
#include "shared/roster.h"
#include "shared/roster_memory.h"
#include "shared/roster_pick.h"

#include "access/xact.h"
#include "miscadmin.h"

/* Whether a role may have one more entry; under the lock. */
static bool
has_queue_room(Oid role)
{
	long		left = jobq_area_room(JOBQ_AREA_QUEUES) - hash_get_num_entries(jobq_shared_queues);

	return left > 0 &&
		*jobq_role_counter(jobq_shared->queue_roles, role) < left;
}

/*
 * The lock of a queue's stream.  Chosen by the entry's address, which stays the
 * same when another queue gets the entry.
 */
static LWLock *
lock_of(const JobqQueueState *state)
{
	uintptr_t	number = (uintptr_t) state / sizeof(JobqQueueState);

	return jobq_lock(JOBQ_LOCK_LANES + number % JOBQ_NUM_LANE_LOCKS);
}

/* Removes the entry of a dropped queue, which is unused; under the lock. */
static void
remove_state(JobqQueueState *state)
{
	Assert(state->dropped);
	Assert(dlist_is_empty(&state->roster.all));
	(*jobq_role_counter(jobq_shared->queue_roles, state->role))--;
	(void) hash_search(jobq_shared_queues, &state->key, HASH_REMOVE, NULL);
}

static void
make_queue_key(JobqQueueKey *key, int32 queue)
{
	memset(key, 0, sizeof(*key));
	key->dboid = MyDatabaseId;
	key->queue = queue;
}

/* The entry of a queue of this database, NULL if there is none. */
JobqQueueState *
jobq_queue_state_find(int32 queue)
{
	JobqQueueKey key;
	JobqQueueState *state;

	make_queue_key(&key, queue);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	state = hash_search(jobq_shared_queues, &key, HASH_FIND, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return state;
}

/*
 * Finds a queue of this database or makes an entry; NULL if there is no room.
 * A role gets at most as many entries as are free, so that one alone gets
 * half of them, and a role without entries finds room.
 */
JobqQueueState *
jobq_queue_state(int32 queue, Oid owner)
{
	JobqQueueKey key;
	JobqQueueState *state = jobq_queue_state_find(queue);
	bool		found;

	if (state != NULL)
		return state;

	make_queue_key(&key, queue);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_EXCLUSIVE);
	state = hash_search(jobq_shared_queues, &key,
						has_queue_room(owner) ? HASH_ENTER_NULL : HASH_FIND,
						&found);
	if (state != NULL && !found)
	{
		state->role = owner;
		(*jobq_role_counter(jobq_shared->queue_roles, owner))++;
		pg_atomic_init_u32(&state->work, 0);
		pg_atomic_init_u32(&state->notify, 0);
		pg_atomic_init_u64(&state->next_look, (uint64) DT_NOBEGIN);
		pg_atomic_init_u32(&state->waiting, 0);
		pg_atomic_init_u32(&state->unshared, JOBQ_UNSHARED_AT_FIRST);
		pg_atomic_init_u32(&state->drops, 0);
		jobq_gate_reset(&state->gate);
		jobq_rate_reset(&state->rate);
		pg_atomic_init_u64(&state->throttle.until, 0);
		pg_atomic_init_u64(&state->throttle.delay, 0);
		state->dropped = false;
		pg_atomic_init_u32(&state->counted, 0);
		pg_atomic_init_u64(&state->count, 0);
		state->count_version = 0;
		jobq_roster_make(state, lock_of(state), owner);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return state;
}

/*
 * Whether jobq_queue_state() would find an entry of the queue by now, or make one; a
 * hint.
 */
bool
jobq_queue_state_may_be_made(int32 queue, Oid owner)
{
	JobqQueueKey key;
	bool		result;

	make_queue_key(&key, queue);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	result = has_queue_room(owner) ||
		hash_search(jobq_shared_queues, &key, HASH_FIND, NULL) != NULL;
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return result;
}

/*
 * Makes the entry of a queue that this transaction has created.  None of its jobs
 * is running or has started, so its gates need no count.
 */
void
jobq_queue_state_new(int32 queue, Oid owner)
{
	JobqQueueState *state = jobq_queue_state(queue, owner);

	if (state == NULL)
		return;
	jobq_rate_learn(&state->rate, 0);
	if (jobq_gate_is_empty(&state->gate))
		(void) jobq_gate_count_end(&state->gate,
								   jobq_gate_count_begin(&state->gate));
}

/*
 * Whether the entry of a dropped queue can be removed.  A job may have a ticket of a
 * group and none of the queue: one that shares the transaction of another job.
 */
static bool
is_unused(JobqQueueState *state)
{
	return jobq_gate_is_empty(&state->gate) &&
		jobq_roster_running(state) == 0 &&
		pg_atomic_read_u32(&state->pins) == 0;
}

/*
 * The queue is gone; called under the lock.  Gives the entry a key that no queue
 * has, since after CREATE EXTENSION another queue may have this one's id.  The key
 * is changed before `dropped` is set, for the process that gives back the last
 * ticket.
 */
static void
end_state(JobqQueueState *state)
{
	JobqQueueKey key = state->key;

	jobq_lanes_end(&state->stream);
	jobq_roster_reset(state);
	do
		key.ended = ++jobq_shared->ended_queues;
	while (key.ended == 0 ||
		   !hash_update_hash_key(jobq_shared_queues, state, &key));
	pg_write_barrier();
	state->dropped = true;
	pg_memory_barrier();
	if (is_unused(state))
		remove_state(state);
}

/*
 * Forgets a queue of this database.  If tickets of its gate are out, or it is
 * pinned, the entry stays until the last of them is given back.  Otherwise another
 * queue could get the entry: its gate would be wrong, and processes that look for
 * this queue's jobs would remove its candidates.
 */
void
jobq_queue_state_forget(int32 queue)
{
	JobqQueueKey key;
	JobqQueueState *state;

	make_queue_key(&key, queue);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_EXCLUSIVE);
	state = hash_search(jobq_shared_queues, &key, HASH_FIND, NULL);
	if (state != NULL)
		end_state(state);
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
}

/*
 * Removes the entry of a dropped queue once it is unused.  Another process may
 * have done that already, and the entry may be another queue's.
 */
static void
remove_if_unused(const JobqQueueState *seen)
{
	JobqQueueKey key;
	JobqQueueState *state;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_EXCLUSIVE);
	key = seen->key;
	state = hash_search(jobq_shared_queues, &key, HASH_FIND, NULL);
	if (state == seen && state->dropped && is_unused(state))
		remove_state(state);
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
}

/* Whether an entry that the caller has a ticket of, or pinned, is that queue's. */
bool
jobq_queue_state_is_of(const JobqQueueState *state, int32 queue)
{
	return state->key.queue == queue && state->key.dboid == MyDatabaseId &&
		!state->dropped;
}

/*
 * Keeps the entry from being reused; false if that has happened already, or the
 * queue is gone.
 */
bool
jobq_queue_state_pin(JobqQueueState *state, int32 queue)
{
	(void) pg_atomic_fetch_add_u32(&state->pins, 1);
	if (jobq_queue_state_is_of(state, queue))
		return true;
	jobq_queue_state_unpin(state);
	return false;
}

/* May be called by callbacks. */
void
jobq_queue_state_unpin(JobqQueueState *state)
{
	if (pg_atomic_fetch_sub_u32(&state->pins, 1) == 1 && state->dropped)
		remove_if_unused(state);
}

/*
 * Gives back tickets of the queue's gate.  Returns whether the caller must wake a
 * worker.  May be called by commit and abort callbacks.
 */
bool
jobq_queue_state_leave(JobqQueueState *state, uint32 tickets)
{
	bool		empty;
	bool		starved = jobq_gate_leave(&state->gate, tickets, &empty);

	/* from here on the entry may be another queue's */
	if (!empty || !state->dropped)
		return starved;
	remove_if_unused(state);
	return false;
}

/*
 * Has the entry removed if it is unused, after tickets of its groups have been given
 * back.  It may be another queue's by now.  Returns whether the queue is gone.
 */
static bool
end_if_dropped(JobqQueueState *state)
{
	if (!state->dropped)
		return false;
	remove_if_unused(state);
	return true;
}

/* See queue_state.h. */
bool
jobq_queue_state_leave_group(JobqGroup *group, int tickets, TimestampTz now)
{
	JobqQueueState *state = group->key.queue;
	bool		wake = jobq_roster_leave(group, tickets, now);

	return !end_if_dropped(state) && wake;
}

/* See queue_state.h. */
bool
jobq_queue_state_put_back_group(const JobqGroupTicket *ticket,
								TimestampTz until, TimestampTz now)
{
	JobqQueueState *state = ticket->group->key.queue;
	bool		told = jobq_roster_put_back(ticket, until, now);

	return !end_if_dropped(state) && told;
}

/*
 * The role with most entries of queues in all databases, InvalidOid if there
 * are none; *taken: how many, *room: how many there are in all.
 */
Oid
jobq_queue_states_use(long *taken, long *room)
{
	Oid			result = InvalidOid;
	HASH_SEQ_STATUS status;
	JobqQueueState *state;

	*taken = 0;
	*room = jobq_area_room(JOBQ_AREA_QUEUES);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	hash_seq_init(&status, jobq_shared_queues);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		uint32		count = *jobq_role_counter(jobq_shared->queue_roles,
											   state->role);

		if (count > *taken)
		{
			*taken = count;
			result = state->role;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return result;
}

/*
 * Forgets the queues of a database that has been dropped, or in which the
 * extension is created anew.
 */
void
jobq_queue_states_forget(Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqQueueState *queue;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_queues);
	while ((queue = hash_seq_search(&status)) != NULL)
	{
		if (queue->key.dboid == dboid && !queue->dropped)
			end_state(queue);
		else if (queue->key.dboid == dboid && is_unused(queue))
			remove_state(queue);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
}

/* See queue_state.h. */
void
jobq_queue_state_forget_count(JobqQueueState *state)
{
	if (pg_atomic_read_u32(&state->counted) == 0)
		return;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_COUNTS), LW_EXCLUSIVE);
	state->count_kind = JOBQ_COUNT_UNKNOWN;
	state->count_version++;
	LWLockRelease(jobq_lock(JOBQ_LOCK_COUNTS));
}

/* See queue_state.h.  Takes the lock, and below it those of each queue. */
void
jobq_queue_states_reset_lanes(Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqQueueState *state;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	hash_seq_init(&status, jobq_shared_queues);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->key.dboid == dboid)
		{
			jobq_lanes_reset(&state->stream);
			jobq_queue_state_forget_count(state);
			jobq_roster_reset(state);
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
}

/* Queues that the transaction creates: ids, from the first to the last. */
typedef struct MadeNote
{
	int32		first;
	int32		last;
} MadeNote;

/* Their creation was rolled back; no other transaction has seen them. */
static void
forget_made(const JobqNote *note)
{
	const MadeNote *made = jobq_note_const_data(note, MadeNote);

	for (int64 id = made->first; id <= made->last; id++)
		jobq_queue_state_forget((int32) id);
}

static void
forget_rolled_back(const JobqNote *note, TimestampTz now)
{
	forget_made(note);
}

static const JobqNoteKind made_kind = {
	.abort = {[JOBQ_NOTE_WAKES] = forget_rolled_back},
	.prepare = forget_made
};

void
jobq_at_rollback_forget_queue(int32 queue)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	MadeNote   *made;

	/* queues that are created together have consecutive ids */
	for (int i = n - 1; i >= 0 && i >= n - 4; i--)
	{
		made = jobq_note_data(&notes[i], MadeNote);
		if (notes[i].kind == &made_kind && notes[i].level == level &&
			made->last == queue - 1)
		{
			made->last = queue;
			return;
		}
	}
	made = jobq_note_data(jobq_note_add(&made_kind), MadeNote);
	made->first = queue;
	made->last = queue;
}
