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
 * a file for each of these jobs, and wakes the coordinator, which records them,
 * perhaps after a restart of the server.  If a file cannot be written, as on a full
 * disk, the job is left in shared memory, in a ring of JOBQ_MAX_UNDONE entries; if
 * that takes too long, the oldest ones are overwritten.  If the server crashes, the
 * executor's note contains the jobs (bgworker/executor/crash_note.c).
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
#include "job/crash_directory.h"
#include "job/crash_file.h"
#include "job/failure.h"
#include "queue/queue_cache.h"
#include "shared/database.h"
#include "shared/note.h"
#include "shared/wake.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* The most files whose jobs are recorded in one transaction. */
#define BATCH 256

/* The file of a job, to be removed when the job is recorded. */
typedef struct UndoneFile
{
	int64		job_id;
	TimestampTz started_at;
} UndoneFile;

static void remove_file(const JobqNote *note, TimestampTz now);

static const JobqNoteKind file_kind = {
	.commit = {[JOBQ_NOTE_LEASES] = remove_file},
};

/* Returns false if the file cannot be written. */
static bool
write_file(const JobqUndone *job)
{
	JobqCrashRecord record = {0};

	record.magic = JOBQ_CRASH_RECORD_MAGIC;
	record.dboid = job->dboid;
	record.queue = job->queue;
	record.job_id = job->job_id;
	record.started_at = job->started_at;
	record.cause = job->cause;
	record.timeline = GetWALInsertionTimeLine();
	record.attempt = job->attempt;
	record.pid = job->pid;
	return jobq_crash_file_write_undone(&record);
}

static void
enter(const JobqUndone *job)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	jobq_shared->undone[jobq_shared->next_undone] = *job;
	jobq_shared->next_undone =
		(jobq_shared->next_undone + 1) % JOBQ_MAX_UNDONE;
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
}

/* Leaves the jobs to the coordinator, which records them. */
void
jobq_undone_note(const JobqUndone *jobs, int njobs)
{
	JobqDatabase *database;

	for (int i = 0; i < njobs; i++)
	{
		if (!write_file(&jobs[i]))
			enter(&jobs[i]);
	}
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
	bool		has_file;
} Recording;

/* When it has been recorded; a job whose file stays is not recorded again. */
static void
remove_file(const JobqNote *note, TimestampTz now)
{
	const UndoneFile *file = jobq_note_const_data(note, UndoneFile);

	(void) jobq_crash_file_remove_undone(MyDatabaseId, file->job_id,
										 file->started_at);
}

/* Records a job that has a file, unless that has been done or its queue is gone. */
static void
record_file(JobqJob *job, const JobqUndone *undone)
{
	UndoneFile *file;

	job->started_at = undone->started_at;
	job->attempt = undone->attempt;
	if (jobq_queue_by_id(undone->queue) != NULL &&
		!jobq_job_attempt_is_recorded(job))
		record(job, undone);
	file = jobq_note_data(jobq_note_add(&file_kind), UndoneFile);
	file->job_id = undone->job_id;
	file->started_at = undone->started_at;
}

/* For jobq_subtransaction(). */
static void
record_alone(void *arg)
{
	Recording  *recording = arg;

	if (recording->has_file)
		record_file(&recording->job, recording->undone);
	else
		record(&recording->job, recording->undone);
}

/* Records a job that an executor has left; false if that has failed. */
static bool
record_one(const JobqUndone *undone, bool has_file, bool careful)
{
	Recording	recording = {.undone = undone,.has_file = has_file};

	recording.job.id = undone->job_id;
	recording.job.queue = undone->queue;
	if (careful)
		return jobq_subtransaction_for_job(record_alone, &recording, "record",
										   undone->job_id);
	record_alone(&recording);
	return true;
}

/* Records jobs that have files, as jobq_undone_record_all() does. */
static bool
record_files(bool careful, bool *more)
{
	int			error;
	List	   *notes = jobq_crash_directory_read_undone(MyDatabaseId, &error);
	int			nrecorded = 0;
	bool		all = error == 0;
	ListCell   *lc;

	foreach(lc, notes)
	{
		const JobqCrashNote *note = lfirst(lc);
		JobqUndone	undone = {0};

		undone.dboid = MyDatabaseId;
		undone.queue = note->queue;
		undone.job_id = note->job_id;
		undone.started_at = note->started_at;
		undone.cause = note->cause;
		undone.attempt = note->attempt;
		undone.pid = note->pid;
		if (!record_one(&undone, true, careful))
			all = false;
		else if (++nrecorded == BATCH)
		{
			*more = lnext(notes, lc) != NULL;
			break;
		}
	}
	list_free_deep(notes);
	return all;
}

/* The same of those in shared memory. */
static bool
record_entries(bool careful)
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
			record_one(&copy[i], false, careful))
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
 * Records those that executors of this database have left.  With `careful` an
 * error in one is in no other's way: false if there was one, which is to be
 * recorded later, or if some files cannot be read.  If *more is set, call it again
 * after the commit.
 */
bool
jobq_undone_record_all(bool careful, bool *more)
{
	bool		all = record_files(careful, more);

	return record_entries(careful) && all;
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
