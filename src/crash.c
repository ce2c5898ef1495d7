/*-------------------------------------------------------------------------
 *
 * crash.c
 *	  Jobs that were running inside a transaction when the server crashed.
 *
 * Their rows show no trace of it; the note that the executor left in a file
 * does (bgworker/crash_note.c).  Each such attempt counts, or else a job that
 * crashes the server would do so for ever.
 *
 * IDENTIFICATION
 *	  src/crash.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job.h"
#include "maintenance.h"

#include "utils/snapmgr.h"

/*
 * Counts an attempt that ended with the server.  Nothing happens if the job
 * is gone, held by a lease, or has gone on to another attempt.  Waits for
 * whoever has the row locked.
 */
void
jobq_job_crashed(int64 job_id, int32 attempt, TimestampTz started_at, int pid)
{
	JobqTable  *jobs;
	JobqJob		job;
	JobqFailure failure = {0};
	const JobqQueue *queue;

	PushActiveSnapshot(GetLatestSnapshot());
	jobs = jobq_table_open(JOBQ_REL_JOB);
	if (jobq_job_lock(jobs, job_id, JOBQ_WAIT, &job) == JOBQ_FOUND &&
		job.state == JOBQ_STATE_PENDING &&
		jobq_job_current_attempt(&job) == attempt &&
		(queue = jobq_queue_by_id(job.queue)) != NULL)
	{
		job.started_at = started_at;
		failure.outcome = "crashed";
		failure.sqlstate = "57P02";
		failure.message = "the server crashed while the job was running";
		failure.retryable = true;
		failure.retry_in = -1;
		failure.pid = pid;
		(void) jobq_job_fail(jobs, &job, queue, &failure);
	}
	jobq_table_close(jobs);
	PopActiveSnapshot();
}
