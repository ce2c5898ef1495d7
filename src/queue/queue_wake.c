/*-------------------------------------------------------------------------
 *
 * queue_wake.c
 *	  Waking the workers of a queue, and making the coordinator look at it.
 *
 * What is said of a queue in a note (note.h) is from the time when the note was
 * added.  At the end of the transaction, consecutive wake-ups for one queue are
 * put together.
 *
 * IDENTIFICATION
 *	  src/queue/queue_wake.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_wake.h"

#include "queue/queue_cache.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/gate.h"
#include "shared/limit_state.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/promise.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/rate.h"
#include "shared/slot.h"
#include "shared/throttle.h"
#include "shared/waiter.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "miscadmin.h"

/* The queue whose workers must be woken, and the number of jobs. */
static const JobqQueueNote *pending = NULL;
static int	pending_jobs = 0;

/* See queue_wake.h. */
void
jobq_queue_wake_describe(JobqQueueNote *note, const JobqQueue *queue)
{
	note->state = queue->state;
	note->queue = queue->id;
	note->owner = jobq_queue_has_executors(queue) ? queue->owner : InvalidOid;
	note->notify = queue->notify;
	note->at_rest = queue->paused || !queue->at_home;
	note->has_rate = queue->has_rate;
	note->limit_has_rate = queue->limit_has_rate;
	note->limits_groups = jobq_queue_limits_groups(queue);
	note->max_running = queue->max_running;
	note->limit_max_running = queue->limit_max_running;
	note->shared_limit = queue->shared_limit;
	note->limit = queue->limit;
	note->position = jobq_queue_cache_position(queue);
}

/* See queue_wake.h. */
bool
jobq_queue_wake_is_same(const JobqQueueNote *a, const JobqQueueNote *b)
{
	return a->queue == b->queue && a->state == b->state &&
		a->owner == b->owner && a->notify == b->notify &&
		a->at_rest == b->at_rest && a->limits_groups == b->limits_groups &&
		a->has_rate == b->has_rate && a->max_running == b->max_running &&
		a->limit_max_running == b->limit_max_running &&
		a->limit_has_rate == b->limit_has_rate &&
		a->shared_limit == b->shared_limit && a->limit == b->limit;
}

/* See queue_wake.h. */
void
jobq_queue_wake_look(JobqQueueState *state)
{
	if (state == NULL)
	{
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NO_ROOM);
		return;
	}
	jobq_wake_for_queue_at(state, jobq_now());
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_WORK);
}

/*
 * See queue_wake.h.  Idle executors take one job each; the coordinator is told of
 * the rest, once until it has looked.
 */
void
jobq_queue_wake_now(JobqQueueState *state, int32 queue, Oid owner,
					bool notify, int njobs)
{
	JobqDatabase *database = jobq_database();

	if (OidIsValid(owner))
	{
		while (njobs > 0 && jobq_slot_wake(MyDatabaseId, owner, queue))
			njobs--;
		if (njobs <= 0)
			return;
		if (state == NULL)
			jobq_wake_coordinator(database, JOBQ_WAKE_NO_ROOM);
		else if (pg_atomic_exchange_u32(&state->work, 1) == 0)
			jobq_wake_coordinator(database, JOBQ_WAKE_WORK);
		return;
	}

	if (state == NULL)
	{
		jobq_wake_coordinator(database, JOBQ_WAKE_NO_ROOM);
		return;
	}
	if (pg_atomic_read_u32(&state->waiting) > 0)
		jobq_waiters_wake(MyDatabaseId, queue, njobs);
	if (notify && pg_atomic_exchange_u32(&state->notify, 1) == 0)
		jobq_wake_coordinator(database, JOBQ_WAKE_NOTIFY);
}

/*
 * The entry of a note's queue, which may have been created since the note was
 * added; NULL if there is none.
 */
JobqQueueState *
jobq_queue_wake_state(const JobqQueueNote *note)
{
	return note->state != NULL ? note->state :
		jobq_queue_state_find(note->queue);
}

/* Whether the queue, or the limit that it shares, has been changed since. */
static bool
has_changed(int32 queue, int32 limit, uint64 position)
{
	return jobq_queue_changed_since(queue, position) ||
		(limit != JOBQ_NO_LIMIT && jobq_queue_changed_since(-limit, position));
}

/*
 * If the queue has been changed since the note was added (resumed, given a
 * handler), the note may be wrong, and the coordinator may have looked for
 * that change before these jobs were visible: it must look again.
 */
static void
look_if_changed(const JobqQueueNote *note)
{
	if (has_changed(note->queue, note->shared_limit, note->position))
		jobq_queue_wake_look(jobq_queue_wake_state(note));
}

/* See queue_wake.h. */
bool
jobq_queue_wake_turn_away(const JobqQueueNote *note)
{
	JobqTurnedAway queue = {
		.state = jobq_queue_wake_state(note),.position = note->position,
		.queue = note->queue,.owner = note->owner,.notify = note->notify
	};

	return jobq_limit_state_turn_away(note->limit, note->limit_max_running,
									  &queue);
}

/*
 * How many more jobs a gate lets in, at most njobs.  The coordinator counts the
 * running ones if the gate does not know them: nobody else might ask for that.
 */
static int
room_in(JobqGate *gate, int max_running, int njobs)
{
	int			room = (int) jobq_gate_room(gate, max_running, njobs);

	if (room == 0 && !jobq_gate_is_counted(gate))
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_COUNT);
	return room;
}

/* How many slots the limit has left that the queue shares, at most njobs. */
static int
room_left(const JobqQueueNote *note, int njobs)
{
	return room_in(&note->limit->gate, note->limit_max_running, njobs);
}

/* The same, for a commit; if it is fewer, workers are woken when there are more. */
static int
room_of_limit(const JobqQueueNote *note, int njobs)
{
	TimestampTz wake_at;

	if (note->limit == NULL)
	{
		/* the coordinator tries to find room for the limit */
		jobq_queue_wake_look(jobq_queue_wake_state(note));
		return 0;
	}
	if (note->limit_has_rate &&
		!jobq_rate_may_be_open(&note->limit->rate, &wake_at))
	{
		jobq_wake_for_queue_at(jobq_queue_wake_state(note), wake_at);
		return 0;
	}
	if (room_left(note, njobs) < njobs)
		(void) jobq_queue_wake_turn_away(note);
	return room_left(note, njobs);
}

/* How many of the queue's jobs may start now, at most njobs. */
static int
room_of(const JobqQueueNote *note, int njobs)
{
	JobqQueueState *state = note->state;
	TimestampTz wake_at;

	if (state != NULL && jobq_throttle_is_set(state) &&
		jobq_throttle_holds(state, &wake_at))
		return 0;
	if (!jobq_queue_is_limited(note) && !note->has_rate)
		return njobs;
	state = jobq_queue_wake_state(note);
	if (note->has_rate && state != NULL &&
		!jobq_rate_may_be_open(&state->rate, &wake_at))
	{
		jobq_wake_for_queue_at(state, wake_at);
		return 0;
	}
	if (state == NULL)
		return 0;
	njobs = room_in(&state->gate, note->max_running, njobs);
	return note->shared_limit == JOBQ_NO_LIMIT || njobs == 0 ? njobs :
		room_of_limit(note, njobs);
}

/* Wakes the workers of the pending queue, if there is one. */
static void
wake_pending(void)
{
	const JobqQueueNote *note = pending;
	int			njobs;

	pending = NULL;
	if (note == NULL)
		return;
	look_if_changed(note);
	if (note->at_rest)
		return;
	njobs = room_of(note, pending_jobs);
	if (njobs > 0)
		jobq_queue_wake_now(note->state, note->queue, note->owner, note->notify,
							njobs);
}

/* See queue_wake.h.  Jobs of the previous note's queue are added to them. */
void
jobq_queue_wake_later(const JobqQueueNote *note, int njobs)
{
	if (pending == NULL || !jobq_queue_wake_is_same(pending, note))
	{
		wake_pending();
		pending = note;
		pending_jobs = 0;
	}
	pending_jobs += njobs;
}

/*
 * See queue_wake.h.  For a job that is not due, the coordinator is woken when
 * it is.
 */
void
jobq_queue_wake_at(const JobqQueueNote *note, TimestampTz when)
{
	if (!note->at_rest)
		jobq_wake_for_queue_at(jobq_queue_wake_state(note), when);
	look_if_changed(note);
}

/* See queue_wake.h. */
void
jobq_queue_wake_call(JobqLimitState *limit, int njobs)
{
	JobqTurnedAway queues[JOBQ_MAX_TURNED_AWAY];
	bool		more;
	int			n = jobq_limit_state_call(limit, queues, &more);

	for (int i = 0; i < n; i++)
	{
		const JobqTurnedAway *queue = &queues[i];

		if (has_changed(queue->queue, limit->entry.key.id, queue->position))
			jobq_queue_wake_look(jobq_queue_state_find(queue->queue));
		else
			jobq_queue_wake_now(queue->state, queue->queue, queue->owner,
								queue->notify, njobs);
	}
	if (more)
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_LIMITS);
}

/* Gives back slots of the limit that a queue shared; NULL: it shared none. */
static void
leave_limit(JobqLimitState *limit, uint32 slots)
{
	if (limit != NULL && jobq_limit_state_leave(limit, slots))
		jobq_queue_wake_call(limit, (int) slots);
}

/* See queue_wake.h. */
void
jobq_queue_wake_leave_gates(const JobqGates *gates, uint32 tickets,
							const JobqQueueNote *note)
{
	JobqQueueState *queue = gates->queue;
	bool		same;

	if (gates->group != NULL)
		jobq_queue_wake_leave_group(gates->group, (int) tickets, note);
	if (queue == NULL)
		return;
	same = note->queue == queue->entry.key.id;
	if (jobq_queue_state_leave(queue, tickets))
	{
		if (!same)
			jobq_queue_wake_look(queue);
		else if (tickets > 1 || note->shared_limit != JOBQ_NO_LIMIT ||
				 !jobq_promise_make(queue))
			jobq_queue_wake_later(note, (int) tickets);
	}
	leave_limit(gates->limit, tickets);
}

/* See queue_wake.h. */
void
jobq_queue_wake_leave_group(JobqGroup *group, int tickets,
							const JobqQueueNote *note)
{
	JobqQueueState *queue = group->key.queue;
	bool		same = note->queue == queue->entry.key.id;

	/* from here on the group may be gone */
	if (!jobq_queue_state_leave_group(group, tickets, jobq_now()))
		return;
	if (same)
		jobq_queue_wake_later(note, 1);
	else
		jobq_queue_wake_look(queue);
}

/* See queue_wake.h. */
bool
jobq_queue_wake_return(const JobqGates *gates)
{
	bool		result = jobq_queue_state_leave(gates->queue, 1);

	leave_limit(gates->limit, 1);
	return result;
}

/* See queue_wake.h. */
void
jobq_queue_wake_leave(const JobqGates *gates)
{
	if (gates->group != NULL)
	{
		JobqQueueState *queue = gates->group->key.queue;

		if (jobq_queue_state_leave_group(gates->group, 1, jobq_now()) &&
			queue->entry.key.dboid == MyDatabaseId)
			jobq_queue_wake_look(queue);
	}
	if (gates->queue != NULL && jobq_queue_wake_return(gates) &&
		gates->queue->entry.key.dboid == MyDatabaseId)
		jobq_queue_wake_look(gates->queue);
}

/* Commit, of a note that a queue is to be looked at. */
static void
wake_for_look(const JobqNote *note, TimestampTz now)
{
	jobq_queue_wake_later(jobq_note_const_data(note, JobqQueueNote), 1);
}

static void
mark_look(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_LOOK, jobq_note_const_data(note, JobqQueueNote)->queue);
}

static const JobqNoteKind look_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = wake_for_look},
	.mark = mark_look
};

/* See queue_wake.h. */
void
jobq_at_commit_look(const JobqQueue *queue)
{
	jobq_queue_wake_describe(jobq_note_data(jobq_note_add(&look_kind),
											JobqQueueNote), queue);
}

/* Commit, of a note with the id of a queue. */
static void
look_again(const JobqNote *note, TimestampTz now)
{
	int32		queue = *jobq_note_const_data(note, int32);

	jobq_queue_wake_look(jobq_queue_state_find(queue));
}

static void
mark_look_again(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_LOOK, *jobq_note_const_data(note, int32));
}

static const JobqNoteKind look_again_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = look_again},
	.mark = mark_look_again
};

/* See queue_wake.h. */
void
jobq_at_commit_look_again(int32 queue)
{
	*jobq_note_data(jobq_note_add(&look_again_kind), int32) = queue;
}

/* Commit: drops the lanes of all queues of this database. */
static void
reset_lanes(const JobqNote *note, TimestampTz now)
{
	jobq_queue_states_reset_lanes(MyDatabaseId);
}

static void
mark_reset(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_ALL, 0);
}

static const JobqNoteKind reset_kind = {
	.commit = {[JOBQ_NOTE_LANES] = reset_lanes},
	.mark = mark_reset
};

/* See queue_wake.h. */
void
jobq_at_commit_reset_lanes(void)
{
	(void) jobq_note_add(&reset_kind);
}

/* Called after the notes of a transaction are processed. */
static void
after_notes(XactEvent event)
{
	wake_pending();
}

/* A rollback has given jobs back: their workers are woken at once. */
static void
after_sub_notes(SubXactEvent event, int level)
{
	wake_pending();
}

/* Called once, by _PG_init. */
void
jobq_queue_wake_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_WAKES,
						 JOBQ_XACT_AT_END, after_notes, after_sub_notes);
}
