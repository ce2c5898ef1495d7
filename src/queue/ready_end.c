/*-------------------------------------------------------------------------
 *
 * ready_end.c
 *	  What the end of a transaction does for the jobs that it has noted.
 *
 * The functions are called for notes (note.h) of the kinds in ready.c and ready_new.c.
 *
 * IDENTIFICATION
 *	  src/queue/ready_end.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/ready_end.h"

#include "queue/queue_cache.h"
#include "shared/gate.h"
#include "shared/mark.h"
#include "shared/roster.h"

static void
leave_gates(const JobqReadyNote *ready, int tickets, int in_group)
{
	JobqGates	gates = jobq_queue_wake_gates(&ready->queue);

	if (in_group > 0)
		jobq_queue_wake_leave_group(ready->group, in_group, &ready->queue);
	if (tickets > 0)
		jobq_queue_wake_leave_gates(&gates, tickets, &ready->queue);
}

/* Commit: the job was claimed and ended in this transaction. */
void
jobq_ready_end_leave(const JobqNote *note, TimestampTz now)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);

	leave_gates(ready, ready->tickets + ready->lent,
				ready->in_group + ready->lent_in_group);
}

/* Abort: lent tickets are taken back by their lenders. */
void
jobq_ready_end_leave_claimed(const JobqNote *note, TimestampTz now)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);

	leave_gates(ready, ready->tickets, ready->in_group);
}

/*
 * Whether one of the jobs may start.  If its group runs as many as it may, a worker
 * is woken when one of those ends.
 */
static bool
may_start(const JobqReadyNote *ready)
{
	JobqQueueState *state;

	if (ready->place.group == NULL)
		return true;
	state = jobq_queue_wake_state(&ready->queue);
	return state == NULL ||
		jobq_roster_is_in_turn(state, ready->place.group);
}

/*
 * Commit: wakes workers for jobs that are due, and has the coordinator woken
 * when the others are.
 */
void
jobq_ready_end_wake(const JobqNote *note, TimestampTz now)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);

	if (ready->place.key.run_at > now)
	{
		jobq_queue_wake_at(&ready->queue, ready->place.key.run_at);
		return;
	}
	if (may_start(ready))
		jobq_queue_wake_later(&ready->queue, ready->njobs);
	/* the coordinator finds out when the next one is due */
	if (ready->last_run_at > now)
		jobq_queue_wake_at(&ready->queue, now);
}

/*
 * Announces jobs that are claimable and visible to snapshots taken from now
 * on.
 */
void
jobq_ready_end_lower(const JobqNote *note, TimestampTz now)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);
	JobqQueueState *state = jobq_queue_wake_state(&ready->queue);

	if (state != NULL && ready->place.group != NULL)
		jobq_roster_lower(state, &ready->place, now);
	else if (state != NULL)
		(void) jobq_lane_lower(&state->stream, &ready->place, now);
}

/* Whether the locked job that a note is about has been changed. */
bool
jobq_ready_end_is_settled(const JobqNote *note)
{
	return jobq_note_const_data(note, JobqReadyNote)->settled > 0;
}

/*
 * A job of a group was changed: claims may have waited for it, so as not to overtake
 * it.
 */
static void
unblock(const JobqReadyNote *ready, TimestampTz now)
{
	JobqQueueState *state = jobq_queue_wake_state(&ready->queue);

	if (state != NULL &&
		(ready->queue.limits_groups || jobq_roster_keeps_order(state)) &&
		jobq_roster_unblock(state, &ready->place, now))
		jobq_queue_wake_later(&ready->queue, 1);
}

/* Commit, of a locked job: it is claimable again unless it was changed. */
void
jobq_ready_end_lower_locked(const JobqNote *note, TimestampTz now)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);

	if (!jobq_ready_end_is_settled(note))
		jobq_ready_end_lower(note, now);
	else if (ready->place.group != NULL)
		unblock(ready, now);
}

/* The same, for the workers. */
void
jobq_ready_end_wake_locked(const JobqNote *note, TimestampTz now)
{
	if (!jobq_ready_end_is_settled(note))
		jobq_ready_end_wake(note, now);
}

/* See ready_end.h. */
void
jobq_ready_end_refuse_limited(const JobqQueueNote *note, bool in_group)
{
	const JobqQueue *queue = jobq_queue_by_id(note->queue);
	bool		limited = queue != NULL && queue->max_running != JOBQ_UNLIMITED;

	if (note->limit == NULL && !limited &&
		(!in_group || queue == NULL || !jobq_queue_limits_groups(queue)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 note->limit != NULL ?
			 errmsg("cannot PREPARE a transaction that has claimed a job of a queue with a shared limit") :
			 errmsg("cannot PREPARE a transaction that has claimed a job of a queue with %s",
					limited ? "max_running" :
					queue->max_running_per_group != JOBQ_UNLIMITED ?
					"max_running_per_group" : "options of groups"),
			 errdetail("After a crash, nothing would show that the job is running."),
			 errhint("Commit the claim, and prepare another transaction.")));
}

/* The places of jobs are not marked: all lanes of the queue are reset. */
void
jobq_ready_end_mark(const JobqNote *note)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);
	bool		in_group = ready->in_group + ready->lent_in_group > 0;

	if (ready->tickets + ready->lent > 0 || in_group)
		jobq_ready_end_refuse_limited(&ready->queue, in_group);
	jobq_mark(JOBQ_MARK_JOBS, ready->queue.queue);
}

/* Jobs that a prepared transaction holds are no longer counted. */
void
jobq_ready_end_leave_prepared(const JobqNote *note)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);

	leave_gates(ready, ready->tickets, ready->in_group);
}
