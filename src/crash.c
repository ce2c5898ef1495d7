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
#include "on_dead.h"
#include "worker_slot.h"

#include "miscadmin.h"
#include "utils/snapmgr.h"

/* Whoever finds the job next is to count the attempt. */
static void
leave_to_others(int64 job_id, int32 attempt, TimestampTz started_at, int pid)
{
	JobqTermination termination = {0};

	termination.dboid = MyDatabaseId;
	termination.job_id = job_id;
	termination.attempt = attempt;
	termination.started_at = started_at;
	termination.pid = pid;
	termination.crashed = true;
	jobq_worker_note_termination(&termination);
}

/*
 * Counts an attempt that ended with the server.  Nothing happens if the job
 * is gone, held by a lease, or has gone on to another attempt.  Waits for
 * nobody: if somebody has the job locked, who has it after him counts it.
 */
void
jobq_job_crashed(int64 job_id, int32 attempt, TimestampTz started_at, int pid)
{
	JobqTable  *jobs;
	JobqJob		job;
	JobqFailure failure = {0};
	JobqFindResult found;
	const JobqQueue *queue;

	PushActiveSnapshot(GetLatestSnapshot());
	jobs = jobq_table_open(JOBQ_REL_JOB);
	found = jobq_job_lock(jobs, job_id, JOBQ_NO_WAIT, &job);
	queue = found == JOBQ_FOUND && job.state == JOBQ_STATE_PENDING &&
		jobq_job_current_attempt(&job) == attempt ?
		jobq_queue_by_id(job.queue) : NULL;
	if (found == JOBQ_BUSY ||
		(queue != NULL && !jobq_on_dead_is_free(queue)))
		leave_to_others(job_id, attempt, started_at, pid);
	else if (queue != NULL)
	{
		job.started_at = started_at;
		jobq_job_crash_failure(&failure);
		failure.pid = pid;
		(void) jobq_job_fail(jobs, &job, queue, &failure);
	}
	jobq_table_close(jobs);
	PopActiveSnapshot();
}
