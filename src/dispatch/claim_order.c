/*-------------------------------------------------------------------------
 *
 * claim_order.c
 *	  Whether a job that cannot be claimed keeps those behind it from being started.
 *
 * That is so in a group whose jobs are not overtaken: the first one may be locked, or
 * wait to be tried again.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim_order.h"

#include "job/transition.h"
#include "queue/ready.h"
#include "queue/ticket.h"
#include "shared/async_commit.h"
#include "shared/roster.h"
#include "shared/wake.h"

#include "access/xact.h"

/*
 * Reads the job at a place of a group as it is now, not as it was found.  Returns
 * false if it is not a ready job of the group any more.  *now_at becomes where it is.
 */
static bool
read_again(JobqClaimScan *scan, const JobqPlace *place, JobqPlace *now_at,
		   JobqJob *job)
{
	bool		found;

	if (scan->locked == NULL)
		scan->locked = jobq_table_slot(scan->jobs);
	/* it may have ended, or expired, by what this command has done */
	CommandCounterIncrement();
	found = jobq_job_find(scan->jobs, place->key.id, scan->locked, job) &&
		job->state == JOBQ_STATE_PENDING && job->run_at <= scan->now &&
		job->queue == scan->queue->id;
	if (found)
		jobq_job_place(job->values, job->nulls, &scan->locked->tts_tid,
					   now_at);
	ExecClearTuple(scan->locked);
	return found && now_at->group != NULL &&
		strcmp(now_at->group, scan->dispatch.group) == 0;
}

/* Whether the lanes lead to a job that was moved, so that it comes in its order. */
static bool
is_met_later(const JobqClaimScan *scan, const JobqPlace *place,
			 const JobqPlace *now_at)
{
	return scan->mode == JOBQ_CLAIM_LANES &&
		(now_at->priority != place->priority ||
		 jobq_key_compare(&now_at->key, &place->key) != 0) &&
		jobq_roster_covers(scan->queue->state, now_at);
}

/* Whether jobs that wait to be tried again hold those behind them. */
static bool
waits_for_retries(const JobqClaimScan *scan)
{
	return scan->in_order &&
		scan->queue->group_on_failure != JOBQ_FAILED_SKIP;
}

/*
 * A job at that place, whose row was read last, waits to be tried again, and does not
 * hold those behind it any more: a claim moves it to that time.  A look does not; the
 * coordinator looks again then.
 */
static void
pass_over_held(JobqClaimScan *scan, const JobqPlace *place,
			   TimestampTz until)
{
	JobqJob		job;

	if (scan->hold == JOBQ_CLAIM_LOOK)
	{
		scan->next_run_at = Min(scan->next_run_at, until);
		jobq_wake_for_queue_at(scan->queue->state, until);
		return;
	}
	jobq_ready_reserve(scan->dispatch.group);
	jobq_ready_note_locked(scan->queue, place);
	if (!jobq_claim_lock_row(scan))
		return;
	jobq_async_commit_forbid();
	jobq_job_read(&job, scan->locked);
	jobq_job_move(scan->jobs, &job, scan->queue, until);
	ExecClearTuple(scan->locked);
}

/*
 * Passes over the job at that place of a group, whose row may be in the slot, if it
 * waits to be tried again and holds nobody; whether it has.  If it moves the job,
 * it leaves a note of it.
 */
static bool
passes_over(JobqClaimScan *scan, const JobqPlace *place, TupleTableSlot *slot)
{
	JobqJob		job;

	if (TTS_EMPTY(slot) || waits_for_retries(scan))
		return false;
	jobq_job_read(&job, slot);
	if (job.id != place->key.id || !jobq_job_is_held(&job, scan->now))
		return false;
	pass_over_held(scan, place, job.lease_until);
	return true;
}

/* Whether the job at that place of a group keeps those behind it from being started. */
static bool
blocks_others(JobqClaimScan *scan, const JobqPlace *place)
{
	JobqPlace	now_at;
	JobqJob		job;
	bool		is_held;

	if (!scan->in_order ||
		!read_again(scan, place, &now_at, &job) ||
		is_met_later(scan, place, &now_at))
		return false;
	is_held = jobq_job_is_held(&job, scan->now);
	/* who has made it so tells of it */
	if (is_held && !waits_for_retries(scan))
		return false;
	scan->blocked_until = is_held ? job.lease_until :
		scan->now + jobq_ticket_busy_delay();
	scan->blocked_priority = place->priority;
	scan->next_run_at = Min(scan->next_run_at, scan->blocked_until);
	jobq_wake_for_queue_at(scan->queue->state, scan->blocked_until);
	return true;
}

/* See claim_order.h. */
bool
jobq_claim_is_blocked(JobqClaimScan *scan, const JobqPlace *place,
					  TupleTableSlot *slot)
{
	return scan->dispatch.group != NULL &&
		!passes_over(scan, place, slot) && blocks_others(scan, place);
}

/* See claim_order.h. */
bool
jobq_claim_is_blocked_at(JobqClaimScan *scan, const JobqPlace *place)
{
	JobqPlace	back = *place;
	bool		result;

	if (scan->dispatch.group == NULL ||
		passes_over(scan, place, scan->dispatch.slot))
		return false;

	/* an error while it is read again puts it back, too */
	if (scan->in_order)
	{
		jobq_ready_reserve(scan->dispatch.group);
		jobq_ready_note_locked(scan->queue, place);
	}
	result = blocks_others(scan, place);
	if (scan->in_order)
		(void) jobq_ready_withdraw();
	if (!result)
		return false;
	ItemPointerSetInvalid(&back.tid);
	(void) jobq_lane_lower(scan->dispatch.stream, &back, scan->now);
	return true;
}
