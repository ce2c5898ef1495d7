/*-------------------------------------------------------------------------
 *
 * record.c
 *	  Recording the outcomes of jobs whose code has been run.
 *
 * IDENTIFICATION
 *	  bgworker/executor/record.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/record.h"

#include "base/table_find.h"
#include "bgworker/executor/batch.h"
#include "bgworker/executor/session.h"
#include "bgworker/executor/temporary.h"
#include "bgworker/worker.h"
#include "job/failure.h"
#include "job/transition.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/async_commit.h"
#include "shared/clock.h"
#include "shared/slot.h"
#include "shared/slot_job.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

/* Time limit of a backoff_function.  After it, no more of a batch's are called. */
#define BACKOFF_TIMEOUT_MS 5000

void
jobq_record_begin(void)
{
	jobq_worker_begin();
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	XactDeferrable = false;
}

/*
 * Locks and reads the row of a job that was run in this transaction again.
 * The row has not moved unless the job itself changed it.
 */
static bool
lock_again(JobqRun *run, JobqTable *jobs, bool where_it_was, JobqJob *job)
{
	if (where_it_was)
	{
		TupleTableSlot *slot = jobq_table_slot(jobs);

		if (jobq_table_lock(jobs, &run->tid, SnapshotAny, slot) == JOBQ_FOUND)
		{
			jobq_job_read(job, slot);
			return true;
		}
	}
	return jobq_job_lock(jobs, run->outcome.job_id, JOBQ_WAIT, job) ==
		JOBQ_FOUND;
}

/*
 * Locks and reads the row of a job that was run, and returns its queue.
 * Returns NULL if the job has finished itself or was taken over by others.
 */
static const JobqQueue *
lock_own_job(JobqRun *run, JobqTable *jobs, bool where_it_was, JobqJob *job)
{
	if (!lock_again(run, jobs, where_it_was, job))
		return NULL;
	if (run->lease != 0 ?
		job->state != JOBQ_STATE_RUNNING || job->lease != run->lease :
		job->state != JOBQ_STATE_PENDING ||
		jobq_job_current_attempt(job) != run->outcome.attempt)
		return NULL;
	if (run->lease == 0)
		job->started_at = run->outcome.started_at;
	return jobq_queue_by_id(job->queue);
}

/*
 * Calls the owner's backoff_function with a time limit.  If it is interrupted,
 * jobq_run_next() records the job without it.
 */
static bool
ask_backoff(JobqRun *run, const JobqJob *job, const JobqQueue *queue,
			JobqFailure *failure)
{
	bool		asked;

	if (queue->backoff_function == NULL)
		return false;
	run->outcome.asks_backoff = true;
	jobq_execute_begin_limit(run, BACKOFF_TIMEOUT_MS);
	asked = jobq_job_ask_backoff(job, queue, failure);
	jobq_execute_end_limit();
	run->outcome.asks_backoff = false;
	return asked;
}

/*
 * Finishes a job that was run, in the current transaction, which is that of
 * its code or (`afresh`) another one.
 */
static void
record_job(JobqRun *run, JobqTable *jobs, bool afresh, bool may_run_functions)
{
	JobqJob		job;
	JobqFailure failure = {0};
	const JobqQueue *queue;

	/*
	 * a job claimed only by its row lock is left as if it had not been
	 * started
	 */
	if (run->outcome.evicted && run->lease == 0)
		return;
	queue = lock_own_job(run, jobs, !afresh, &job);
	if (queue == NULL)
		return;
	if (jobq_outcome_is_failure(&run->outcome, &failure))
	{
		if (run->outcome.asks_backoff)
			jobq_job_note_backoff_error(&job, queue, ERRCODE_QUERY_CANCELED,
										"it was interrupted", &failure);
		else if (may_run_functions && ask_backoff(run, &job, queue, &failure))
			queue = lock_own_job(run, jobs, false, &job);
		if (queue == NULL)
			return;
	}

	/* the note of the attempt, which a crash leaves, goes with the commit */
	if (run->outcome.attempt >= jobq_job_max_attempts(&job, queue))
		jobq_async_commit_insist();
	jobq_outcome_record(&run->outcome, jobs, &job, queue, &failure);
	jobq_table_put_slot_back(jobs, job.slot);
}

void
jobq_record(JobqRun *run, JobqTable *jobs, bool afresh, bool may_run_functions)
{
	int64		until = jobq_stopwatch() + BACKOFF_TIMEOUT_MS * INT64CONST(1000);

	/* reading toasted values requires a snapshot */
	PushActiveSnapshot(GetLatestSnapshot());
	if (jobq_run_is_batch(run))
		jobq_batch_set_outcomes(run);
	for (int i = 0; i < jobq_run_nparts(run); i++)
	{
		JobqRun    *part = jobq_run_part(run, i);

		record_job(part, jobs, afresh,
				   may_run_functions && jobq_stopwatch() < until);
		jobq_outcome_describe(&part->outcome, run->context);
	}
	PopActiveSnapshot();
}

void
jobq_record_afresh(JobqRun *run, const JobqWorkerRef *worker,
				   bool may_run_functions)
{
	JobqTable  *jobs;

	jobq_record_begin();
	if (jobq_worker_lock_extension() == JOBQ_INSTALLED)
	{
		jobq_session_reset();
		jobs = jobq_table_open(JOBQ_REL_JOB);
		jobq_record(run, jobs, true, may_run_functions);
		jobq_table_close(jobs);
	}
	CommitTransactionCommand();
	jobq_slot_forget_job(worker);
	jobq_session_release();
	for (int i = 0; i < jobq_run_nparts(run); i++)
		jobq_outcome_log(&jobq_run_part(run, i)->outcome);
	if (run->lease != 0 && run->noticed)
		jobq_temporary_remove();
}
