/*-------------------------------------------------------------------------
 *
 * transition.c
 *	  Changes of a job's state.
 *
 * Only this file changes states: it is the only caller of jobstate.c.
 *
 * IDENTIFICATION
 *	  src/job/transition.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/transition.h"

#include "base/lease_number.h"
#include "compat.h"
#include "job/attempt.h"
#include "job/cancel_request.h"
#include "job/ended.h"
#include "queue/group_option.h"
#include "queue/group_stop.h"
#include "queue/lease_end.h"
#include "queue/lease_note.h"
#include "queue/ready.h"
#include "shared/clock.h"
#include "shared/slot_job.h"
#include "shared/unfinished.h"
#include "shared/wake.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/builtins.h"

const JobqEnd jobq_no_result = {.result_is_null = true};

/* The job will be claimable when the row written last is committed. */
void
jobq_job_note_ready(JobqTable *jobs, const JobqQueue *queue,
					const Datum *values, const bool *nulls)
{
	JobqPlace	place;

	jobq_job_place(values, nulls, &jobs->written, &place);
	jobq_at_commit_ready(queue, &place);
}

/* Applies an event to the job's state; what is not in the table is a bug. */
static void
apply(JobqJob *job, JobqEvent event)
{
	JobqState	to;

	if (!jobq_state_apply(job->state, event, &to))
		elog(ERROR, "job " INT64_FORMAT " cannot %s in state %s", job->id,
			 jobq_event_name(event), jobq_state_name(job->state, true));
	job->state = to;
}

/* Ends the lease that holds the job, if any. */
static void
end_lease(JobqJob *job, const JobqQueue *queue)
{
	if (job->state == JOBQ_STATE_RUNNING)
		jobq_at_commit_lease_end(queue, job->id, job->lease,
								 !job->nulls[Anum_job_in_batch - 1]);
}

/*
 * The current attempt is over: counts it, and names the process as the job's
 * worker, unless that was done when the job was claimed.
 */
static void
close_attempt(JobqJob *job, int pid)
{
	job->attempt = jobq_job_current_attempt(job);
	jobq_job_name_worker(job, pid);
}

/* Inserts a new job; values[] make a whole row in state pending. */
void
jobq_job_insert(JobqTable *jobs, const JobqQueue *queue, const Datum *values,
				const bool *nulls)
{
	jobq_table_insert(jobs, values, nulls);
	jobq_count_jobs(queue, 1);
	jobq_job_note_ready(jobs, queue, values, nulls);
}

/*
 * Gives a pending job to the holder of the lease until `until`; JOBQ_NEVER
 * binds it to this session.  Counts the attempt, which began at
 * job->started_at.
 */
bool
jobq_job_claim(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
			   int64 lease, TimestampTz until, const char *worker)
{
	bool		bound = until == JOBQ_NEVER;
	JobqTickets tickets = {JOBQ_TICKET_NONE};

	apply(job, JOBQ_EVENT_CLAIM);
	job->attempt++;
	job->lease = lease;
	job->lease_until = until;
	jobq_job_write_back(job);
	job->values[Anum_job_in_batch - 1] = BoolGetDatum(true);
	job->nulls[Anum_job_in_batch - 1] = !jobq_queue_has_batches(queue);
	job->nulls[Anum_job_worker - 1] = worker == NULL;
	if (worker != NULL)
		job->values[Anum_job_worker - 1] = CStringGetTextDatum(worker);
	if (jobq_table_try_update(jobs, job->slot, job->values,
							  job->nulls) != JOBQ_FOUND)
		return false;
	if (queue->state != NULL)
		tickets = jobq_ready_pull_tickets(job->id);
	jobq_ready_settle(job->id);
	if (!jobq_at_commit_claim(queue, job->id, lease, until, &tickets))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 bound ?
				 errmsg("no shared memory left for a session-bound claim") :
				 errmsg("no shared memory left for a claim from queue \"%s\", which has a limit",
						queue->name),
				 errdetail("A role can hold no more leases than it leaves free for others."),
				 bound ?
				 errhint("Increase jobq.shared_memory, or claim with a lease that runs out.") :
				 errhint("Increase jobq.shared_memory, or claim fewer jobs at a time.")));
	return true;
}

/* Deletes the job's row, after writing it to history. */
static void
finish(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
	   const JobqEnd *end)
{
	jobq_job_ended(jobs, job, queue, end);
	jobq_table_delete(jobs, job->slot);
}

/*
 * Completes a job held by a lease.  Deletes the row as it was read, without
 * locking it first; returns false if the row has been changed since or is
 * locked.
 */
bool
jobq_job_complete_as_seen(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
						  const JobqEnd *end)
{
	if (jobq_table_try_delete(jobs, job->slot) != JOBQ_FOUND)
		return false;
	end_lease(job, queue);
	apply(job, JOBQ_EVENT_COMPLETE);
	jobq_job_ended(jobs, job, queue, end);
	return true;
}

/*
 * Completes a pending job that this transaction runs itself.  Deletes the row
 * at once, even if it is not locked; returns false if the row has been changed
 * or is locked.
 */
bool
jobq_job_take(JobqTable *jobs, JobqJob *job, const JobqQueue *queue)
{
	if (jobq_table_try_delete(jobs, job->slot) != JOBQ_FOUND)
		return false;
	close_attempt(job, MyProcPid);
	apply(job, JOBQ_EVENT_TAKE);
	jobq_job_ended(jobs, job, queue, &jobq_no_result);
	return true;
}

/* Completes a job held by a lease, or one that ran inside this transaction. */
void
jobq_job_complete(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				  const JobqEnd *end)
{
	bool		leased = job->state == JOBQ_STATE_RUNNING;

	close_attempt(job, MyProcPid);
	end_lease(job, queue);
	apply(job, leased ? JOBQ_EVENT_COMPLETE : JOBQ_EVENT_TAKE);
	finish(jobs, job, queue, end);
}

/* Microseconds until the next attempt. */
static int64
retry_delay(const JobqQueue *queue, const JobqFailure *failure, int attempt)
{
	if (failure->retry_in >= 0)
		return failure->retry_in;
	return jobq_backoff_delay(&queue->backoff, attempt,
							  pg_prng_double(&pg_global_prng_state));
}

/* Whether the jobs of the job's group run one after the other. */
static bool
is_in_order(const JobqJob *job, const JobqQueue *queue)
{
	bool		paused;

	if (job->nulls[Anum_job_group_key - 1])
		return false;
	return jobq_group_max_running(queue,
								  TextDatumGetCString(job->values[Anum_job_group_key - 1]),
								  &paused) == 1;
}

/* See transition.h. */
bool
jobq_job_keeps_place(const JobqJob *job, const JobqQueue *queue)
{
	return queue->group_on_failure != JOBQ_FAILED_SKIP &&
		is_in_order(job, queue);
}

/* The job dies, or is going to: no other one of its group starts, if that is wanted. */
static void
stop_group(const JobqJob *job, const JobqQueue *queue)
{
	char	   *name;

	if (queue->group_on_failure != JOBQ_FAILED_STOP ||
		!is_in_order(job, queue))
		return;
	name = TextDatumGetCString(job->values[Anum_job_group_key - 1]);
	jobq_group_stop(queue->id, name, job->id);
	jobq_at_commit_group_changed(queue->id, name);
}

/*
 * Makes a started job pending again.  It was started in time, so it no longer
 * expires.  If it keeps its place, it holds those behind it until `run_at`.
 */
static void
give_back(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
		  JobqEvent event, TimestampTz run_at)
{
	bool		holds = jobq_job_keeps_place(job, queue);

	apply(job, event);
	job->lease = 0;
	job->lease_until = holds && run_at > jobq_now() ? run_at : DT_NOBEGIN;
	if (!holds)
		job->run_at = run_at;
	job->started_at = DT_NOBEGIN;
	job->expires_at = JOBQ_NEVER;
	jobq_job_write_back(job);
	job->nulls[Anum_job_in_batch - 1] = true;
	job->nulls[Anum_job_worker - 1] = true;
	job->nulls[Anum_job_expires_at - 1] = true;
	jobq_table_update(jobs, job->slot, job->values, job->nulls);
	jobq_ready_settle(job->id);
	jobq_job_note_ready(jobs, queue, job->values, job->nulls);
}

/*
 * Leaves a dead job that cannot be reported now to the coordinator, as a job
 * whose lease has run out.  The end of its attempt has been recorded already.
 */
static void
put_off_death(JobqTable *jobs, JobqJob *job)
{
	if (job->state == JOBQ_STATE_PENDING)
		apply(job, JOBQ_EVENT_CLAIM);
	job->lease = jobq_lease_new();
	job->lease_until = job->started_at;
	jobq_job_write_back(job);
	job->nulls[Anum_job_in_batch - 1] = true;
	jobq_table_update(jobs, job->slot, job->values, job->nulls);
	jobq_ready_settle(job->id);
	jobq_at_commit_lease(job->id, job->lease, job->lease_until, JOBQ_NO_QUEUE);
}

/*
 * Fails an attempt: the job becomes pending again with a delay, or dead if it
 * may not be retried or has no attempts left.  Returns the new state.
 *
 * Reporting a dead job locks the on_dead queue against being dropped.  An
 * executor does not wait for a transaction that is dropping it: the job stays
 * in state running, with a lease that has run out, until the coordinator can
 * lock that queue.
 */
JobqState
jobq_job_fail(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
			  const JobqFailure *failure)
{
	bool		leased = job->state == JOBQ_STATE_RUNNING;
	TimestampTz run_at = job->run_at;
	int64		delay = -1;
	JobqEnd		end = jobq_no_result;

	close_attempt(job, failure->pid != 0 ? failure->pid : MyProcPid);
	if (!failure->recorded)
		jobq_job_record_attempt(job, failure, job->attempt);
	if (failure->retryable &&
		job->attempt < jobq_job_max_attempts(job, queue))
		delay = retry_delay(queue, failure, job->attempt);

	end_lease(job, queue);
	if (delay < 0)
		stop_group(job, queue);
	if (delay < 0 && failure->waits_for_nobody && !jobq_job_may_die(queue))
	{
		put_off_death(jobs, job);
		return job->state;
	}
	if (delay < 0)
	{
		apply(job, JOBQ_EVENT_DIE);
		end.error = failure->message;
		end.sqlstate = failure->sqlstate;
		finish(jobs, job, queue, &end);
		return job->state;
	}

	if (delay > 0 || !leased || jobq_run_at_is_mirrored(job->run_at))
		run_at = jobq_now() + delay;
	give_back(jobs, job, queue, JOBQ_EVENT_RETRY, run_at);
	return job->state;
}

/*
 * Cancels a job.  If no reason is given, uses that of its cancel_request, if
 * any.
 */
void
jobq_job_cancel(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				const char *reason)
{
	JobqFailure failure;
	JobqEnd		end = jobq_no_result;

	if (reason == NULL)
		reason = jobq_cancel_reason(job->id);
	if (job->state == JOBQ_STATE_RUNNING)
		jobq_at_commit_interrupt(job->id, job->lease);
	else if (job->started_at != DT_NOBEGIN ||
			 jobq_job_was_terminated(job, &failure, NULL))
	{
		/* it was running, inside this transaction or a terminated one */
		close_attempt(job, MyProcPid);
	}
	end_lease(job, queue);
	apply(job, JOBQ_EVENT_CANCEL);
	end.error = reason;
	finish(jobs, job, queue, &end);
}

/* Expires a job whose time to live has passed. */
void
jobq_job_expire(JobqTable *jobs, JobqJob *job, const JobqQueue *queue)
{
	apply(job, JOBQ_EVENT_EXPIRE);
	finish(jobs, job, queue, &jobq_no_result);
}

/*
 * Releases a job that is held by a lease; the attempt does not count.  The
 * delay is in microseconds; with 0 the job keeps its old run_at.
 */
void
jobq_job_release(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				 int64 delay)
{
	end_lease(job, queue);
	job->attempt = Max(job->attempt - 1, 0);
	give_back(jobs, job, queue, JOBQ_EVENT_RELEASE,
			  delay > 0 ? jobq_now() + delay : job->run_at);
}

/*
 * Gives back a job that has asked to be run later; the attempt does not count.
 * It may be held by a lease or by this transaction.  The delay is in
 * microseconds.
 */
void
jobq_job_snooze(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				int64 delay)
{
	end_lease(job, queue);
	if (job->state == JOBQ_STATE_RUNNING)
		job->attempt = Max(job->attempt - 1, 0);
	give_back(jobs, job, queue, JOBQ_EVENT_RETRY, jobq_now() + delay);
}

/*
 * Changes the end of the lease, and the progress unless it is NULL.  Returns whether
 * the row has moved to another block.  The caller notes the new end.
 */
bool
jobq_job_extend(JobqTable *jobs, JobqJob *job, TimestampTz until,
				Datum progress, bool progress_is_null)
{
	job->lease_until = until;
	jobq_job_write_back(job);
	if (!progress_is_null)
	{
		job->values[Anum_job_progress - 1] = progress;
		job->nulls[Anum_job_progress - 1] = false;
	}
	jobq_table_update(jobs, job->slot, job->values, job->nulls);
	return ItemPointerGetBlockNumber(&jobs->written) !=
		ItemPointerGetBlockNumber(&job->slot->tts_tid);
}

/*
 * Replaces the row of a pending job to change its time, priority or payload.
 * The new row is in values[]; the time at which the job was enqueued is kept.
 */
void
jobq_job_replace(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				 Datum *values, bool *nulls)
{
	jobq_job_set_enqueued_at(values, nulls, job->enqueued_at);
	apply(job, JOBQ_EVENT_EDIT);
	jobq_table_update(jobs, job->slot, values, nulls);
	jobq_ready_settle(job->id);
	jobq_job_note_ready(jobs, queue, values, nulls);
	/* the row has moved, and expire.c may have passed its old place */
	if (job->attempt == 0 && !nulls[Anum_job_expires_at - 1])
		jobq_at_commit_expiry(DatumGetTimestampTz(values[Anum_job_expires_at - 1]));
}

/* Takes the unique key from a job that does not run in a transaction. */
void
jobq_job_drop_key(JobqTable *jobs, JobqJob *job, const JobqQueue *queue)
{
	job->nulls[Anum_job_unique_key - 1] = true;
	if (job->state == JOBQ_STATE_PENDING)
		jobq_job_replace(jobs, job, queue, job->values, job->nulls);
	else
		jobq_table_update(jobs, job->slot, job->values, job->nulls);
}

/* Moves a pending job to another time; its time to live begins then. */
void
jobq_job_move(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
			  TimestampTz run_at)
{
	if (job->expires_at != JOBQ_NEVER)
	{
		int64		ttl = job->expires_at - jobq_run_at_real(job->run_at);
		bool		never = ttl >= END_TIMESTAMP - run_at;

		job->values[Anum_job_expires_at - 1] =
			TimestampTzGetDatum(never ? JOBQ_NEVER : run_at + ttl);
		job->nulls[Anum_job_expires_at - 1] = never;
	}
	job->values[Anum_job_run_at - 1] = TimestampTzGetDatum(run_at);
	job->nulls[Anum_job_lease_until - 1] = true;
	jobq_job_replace(jobs, job, queue, job->values, job->nulls);
}

/* Deletes a job that is not running, without trace. */
void
jobq_job_remove(JobqTable *jobs, JobqJob *job)
{
	Assert(job->state != JOBQ_STATE_RUNNING);
	jobq_job_removed(job);
	jobq_table_delete(jobs, job->slot);
}
