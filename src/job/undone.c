/*-------------------------------------------------------------------------
 *
 * undone.c
 *	  Jobs that had finished when the transaction that they shared with others
 *	  was rolled back.
 *
 * They are run again, and the attempt does not count, since they did not cause
 * the rollback.  But their effects outside the database have happened and will
 * happen again, so jobq.attempts shows the attempt with outcome "interrupted".
 *
 * The executor cannot write to tables while it rolls back or exits.  It leaves
 * the jobs in shared memory, in a ring of JOBQ_MAX_UNDONE entries, and wakes
 * the coordinator, which records them.  If that takes too long, the oldest
 * ones are overwritten; if the server crashes, the executor's note contains
 * them (bgworker/executor/crash_note.c).
 *
 * IDENTIFICATION
 *	  src/job/undone.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/undone.h"

#include "base/subtransaction.h"
#include "job/attempt.h"
#include "job/failure.h"
#include "queue/queue_cache.h"
#include "shared/database.h"
#include "shared/wake.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* Leaves the jobs to the coordinator, which records them. */
void
jobq_undone_note(const JobqUndone *jobs, int njobs)
{
	JobqDatabase *database;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	for (int i = 0; i < njobs; i++)
	{
		jobq_shared->undone[jobq_shared->next_undone] = jobs[i];
		jobq_shared->next_undone =
			(jobq_shared->next_undone + 1) % JOBQ_MAX_UNDONE;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	database = jobq_database_find(MyDatabaseId);
	if (njobs > 0 && database != NULL)
		jobq_wake_coordinator(database, JOBQ_WAKE_UNDONE);
}

/* Records that a job was interrupted; its row is read, or made up. */
static void
record(JobqJob *job, const JobqUndone *undone)
{
	JobqFailure failure = {0};

	job->started_at = undone->started_at;
	job->values[Anum_job_worker - 1] =
		CStringGetTextDatum(psprintf("pid %d", undone->pid));
	job->nulls[Anum_job_worker - 1] = false;
	failure.outcome = JOBQ_FAILURE_INTERRUPTED;
	failure.message = "the transaction that the job shared with others was rolled back";
	failure.detail = undone->cause == 0 ?
		"The job had finished. It is run again, and the attempt does not count." :
		psprintf("The background worker ended while running job " INT64_FORMAT ". This job had finished; it is run again, and the attempt does not count.",
				 undone->cause);
	failure.hint = "What a job does outside the database may happen twice. A job's last attempt does not share a transaction.";
	jobq_job_record_attempt(job, &failure, undone->attempt);
}

/* A job to be recorded. */
typedef struct Recording
{
	JobqJob		job;
	const JobqUndone *undone;
} Recording;

/* For jobq_subtransaction(). */
static void
record_alone(void *arg)
{
	Recording  *recording = arg;

	record(&recording->job, recording->undone);
}

/* Records a job that an executor has left; false if that has failed. */
static bool
record_one(const JobqUndone *undone, bool careful)
{
	Recording	recording = {.undone = undone};

	recording.job.id = undone->job_id;
	recording.job.queue = undone->queue;
	if (careful)
		return jobq_subtransaction_for_job(record_alone, &recording, "record",
										   undone->job_id);
	record_alone(&recording);
	return true;
}

/*
 * Records those that executors of this database have left.  With `careful` an
 * error in one is in no other's way: false if there was one, which is to be
 * recorded later.
 */
bool
jobq_undone_record_all(bool careful)
{
	JobqUndone *copy = palloc(sizeof(jobq_shared->undone));
	bool		all = true;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_SHARED);
	memcpy(copy, jobq_shared->undone, sizeof(jobq_shared->undone));
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));

	for (int i = 0; i < JOBQ_MAX_UNDONE; i++)
	{
		if (copy[i].dboid != MyDatabaseId ||
			jobq_queue_by_id(copy[i].queue) == NULL ||
			record_one(&copy[i], careful))
			continue;
		copy[i].dboid = InvalidOid; /* it stays */
		all = false;
	}

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_UNDONE; i++)
	{
		/* unless another one has come in its place */
		if (copy[i].dboid == MyDatabaseId &&
			memcmp(&copy[i], &jobq_shared->undone[i], sizeof(JobqUndone)) == 0)
			jobq_shared->undone[i].dboid = InvalidOid;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	pfree(copy);
	return all;
}

/*
 * The same for a job whose note was found after a crash, if it was not
 * committed, that is, if there has been no other attempt since.
 */
void
jobq_undone_by_crash(const JobqUndone *undone)
{
	JobqTable  *jobs;
	JobqJob		job;

	PushActiveSnapshot(GetLatestSnapshot());
	jobs = jobq_table_open(JOBQ_REL_JOB);
	if (jobq_job_find(jobs, undone->job_id, jobq_table_slot(jobs), &job) &&
		job.state == JOBQ_STATE_PENDING &&
		jobq_job_current_attempt(&job) == undone->attempt)
		record(&job, undone);
	jobq_table_close(jobs);
	PopActiveSnapshot();
}
