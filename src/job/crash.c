/*-------------------------------------------------------------------------
 *
 * crash.c
 *	  Attempts that ended with their executor, or with the server.
 *
 * The row of a job that was running inside a transaction shows no trace of
 * such an attempt.  The executor leaves a note in a file
 * (bgworker/executor/crash_note.c) and, while the server runs, an entry in shared
 * memory (termination.c).  Each such attempt counts; otherwise, a job that
 * crashes the server would do so forever, and a job to be tried once would be
 * tried again.
 *
 * IDENTIFICATION
 *	  src/job/crash.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/crash.h"

#include "job/attempt.h"
#include "job/cancel_request.h"
#include "job/ended.h"
#include "job/failure.h"
#include "job/transition.h"
#include "job/uncounted.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/slot_job.h"
#include "shared/termination.h"

#include "miscadmin.h"
#include "utils/snapmgr.h"

/*
 * Counts the attempt of a pending, locked job.  Returns false if the job's
 * on_dead queue is being dropped.
 */
static bool
count(JobqTable *jobs, JobqJob *job, const JobqTermination *termination)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);
	JobqFailure failure;
	JobqState	state;

	if (queue == NULL)
		return true;
	job->started_at = termination->started_at;
	if (jobq_cancel_is_requested(job->id))
	{
		jobq_job_cancel(jobs, job, queue, NULL);
		return true;
	}
	if (!jobq_job_may_die(queue))
		return false;
	jobq_job_termination_failure(termination, &failure);
	state = jobq_job_fail(jobs, job, queue, &failure);
	jobq_job_log_failure(state, job, queue, &failure);
	return true;
}

/*
 * Counts an attempt that has ended with its executor or with the server.
 * Returns true if nothing is left to count when this transaction has
 * committed: the attempt is counted now, was counted before, or the job is
 * gone.  Never waits: returns false if the job is locked, is being recorded by its
 * executor, or is still held by a lease that has run out.  retry() may have had the
 * attempt forgotten since the caller has read of it: then it does not count.
 */
bool
jobq_attempt_count(const JobqTermination *termination)
{
	JobqTable  *jobs;
	JobqJob		job;
	JobqFindResult found;
	bool		result = true;

	if (jobq_slot_records(termination))
		return false;
	PushActiveSnapshot(GetLatestSnapshot());
	jobs = jobq_table_open(JOBQ_REL_JOB);
	found = jobq_job_lock(jobs, termination->job_id, JOBQ_NO_WAIT, &job);
	if (found == JOBQ_BUSY)
		result = false;
	else if (found == JOBQ_FOUND &&
			 jobq_job_current_attempt(&job) == termination->attempt &&
			 termination->started_at >= job.enqueued_at &&
			 termination->leased == (job.state == JOBQ_STATE_RUNNING) &&
			 jobq_uncounted_is_noted(termination->job_id,
									 termination->attempt))
		result = !termination->leased && count(jobs, &job, termination);
	jobq_table_close(jobs);
	PopActiveSnapshot();
	return result;
}
