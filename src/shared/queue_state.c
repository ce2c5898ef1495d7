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
#include "shared/entry.h"
#include "shared/lane.h"
#include "shared/note.h"
#include "shared/rate.h"
#include "shared/roster.h"
#include "shared/roster_memory.h"
#include "shared/roster_pick.h"

#include "access/xact.h"

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

/* See JobqEntryKind, as of those that follow. */
static void
make(JobqEntry *entry)
{
	JobqQueueState *state = (JobqQueueState *) entry;

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
	pg_atomic_init_u32(&state->counted, 0);
	pg_atomic_init_u64(&state->count, 0);
	state->count_version = 0;
	jobq_roster_make(state, lock_of(state), entry->role);
}

static void
end(JobqEntry *entry)
{
	JobqQueueState *state = (JobqQueueState *) entry;

	jobq_lanes_end(&state->stream);
	jobq_roster_reset(state);
}

/*
 * A job may have a ticket of a group and none of the queue: one that shares the
 * transaction of another job.
 */
static bool
is_unused(JobqEntry *entry)
{
	JobqQueueState *state = (JobqQueueState *) entry;

	return jobq_gate_is_empty(&state->gate) && jobq_roster_running(state) == 0;
}

static const JobqEntryKind queue_kind = {
	.area = JOBQ_AREA_QUEUES,
	.lock = JOBQ_LOCK_QUEUES,
	.entries = offsetof(JobqShared, queues),
	.make = make,
	.end = end,
	.is_unused = is_unused
};

/* The entry of a queue of this database, NULL if there is none. */
JobqQueueState *
jobq_queue_state_find(int32 queue)
{
	return (JobqQueueState *) jobq_entry_find(&queue_kind, queue);
}

/* The same, which is made if necessary; NULL if there is no room. */
JobqQueueState *
jobq_queue_state(int32 queue, Oid owner)
{
	return (JobqQueueState *) jobq_entry_find_or_make(&queue_kind, queue, owner);
}

/*
 * Whether jobq_queue_state() would find an entry of the queue by now, or make one; a
 * hint.
 */
bool
jobq_queue_state_may_be_made(int32 queue, Oid owner)
{
	return jobq_entry_may_be_made(&queue_kind, queue, owner);
}

/*
 * Makes the entry of a queue that this transaction has created.  None of its jobs
 * is running or has started, so its gates need no count.
 */
void
jobq_queue_state_new(int32 queue, Oid owner)
{
	JobqQueueState *state = jobq_queue_state(queue, owner);

	if (state != NULL)
		jobq_entry_open_gates(&state->gate, &state->rate);
}

/* Forgets a queue of this database. */
void
jobq_queue_state_forget(int32 queue)
{
	jobq_entry_forget(&queue_kind, queue);
}

/*
 * Forgets the queues of a database that has been dropped, or in which the
 * extension is created anew.
 */
void
jobq_queue_states_forget(Oid dboid)
{
	jobq_entries_forget(&queue_kind, dboid);
}

/* Whether an entry that the caller has a ticket of, or pinned, is that queue's. */
bool
jobq_queue_state_is_of(const JobqQueueState *state, int32 queue)
{
	return jobq_entry_is_of(&state->entry, queue);
}

/*
 * Keeps the entry from being reused; false if that has happened already, or the
 * queue is gone.
 */
bool
jobq_queue_state_pin(JobqQueueState *state, int32 queue)
{
	return jobq_entry_pin(&queue_kind, &state->entry, queue);
}

/* May be called by callbacks. */
void
jobq_queue_state_unpin(JobqQueueState *state)
{
	jobq_entry_unpin(&queue_kind, &state->entry);
}

/*
 * Gives back tickets of the queue's gate.  Returns whether the caller must wake a
 * worker.  May be called by commit and abort callbacks.
 */
bool
jobq_queue_state_leave(JobqQueueState *state, uint32 tickets)
{
	return jobq_entry_leave(&queue_kind, &state->entry, &state->gate, tickets);
}

/*
 * Has the entry removed if it is unused, after tickets of its groups have been given
 * back.  It may be another queue's by now.  Returns whether the queue is gone.
 */
static bool
end_if_dropped(JobqQueueState *state)
{
	if (!state->entry.dropped)
		return false;
	jobq_entry_remove_if_unused(&queue_kind, &state->entry);
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
	hash_seq_init(&status, jobq_area_table(JOBQ_AREA_QUEUES));
	while ((state = hash_seq_search(&status)) != NULL)
	{
		uint32		count = *jobq_role_counter(jobq_shared->queues.roles,
											   state->entry.role);

		if (count > *taken)
		{
			*taken = count;
			result = state->entry.role;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return result;
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
	hash_seq_init(&status, jobq_area_table(JOBQ_AREA_QUEUES));
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->entry.key.dboid == dboid)
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
