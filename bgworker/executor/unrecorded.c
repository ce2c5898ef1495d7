/*-------------------------------------------------------------------------
 *
 * unrecorded.c
 *	  What to do while outcomes of jobs cannot be recorded.
 *
 * This happens if the disk is full or an index is broken, for example.  Jobs
 * run meanwhile would be run in vain: their effects in the database are rolled
 * back, while those outside are not.  So the first executor that cannot record
 * an outcome notes that for the whole database, and no executor there starts
 * another job until one of them has verified that rows can be written to all
 * tables involved.  It writes such rows and rolls back.
 *
 * The attempt of that first job counts like that of a terminated executor
 * (blame.c).
 *
 * The same is done if an executor cannot note what it is about to run: a crash
 * of the server, likely when a disk is full, would leave no trace of the
 * attempt.  That job is put off, too.  And while a note that is needed cannot be read
 * (unread_note.c), nobody knows which jobs may be run; the coordinator says when they may.
 *
 * IDENTIFICATION
 *	  bgworker/executor/unrecorded.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/unrecorded.h"

#include "bgworker/executor/crash_note.h"
#include "bgworker/executor/session.h"
#include "bgworker/worker.h"
#include "job/attempt.h"
#include "job/failure.h"
#include "job/history.h"
#include "job/transition.h"
#include "job/unread_note.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/slot.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Notes an error that keeps jobs from being started: code, or errno of a file. */
static void
note(int sqlerrcode, int file_errno)
{
	JobqDatabase *database = jobq_database();
	uint64		none = 0;

	pg_atomic_write_u32(&database->unrecorded_errno, (uint32) file_errno);
	pg_atomic_write_u32(&database->unrecorded_code, (uint32) sqlerrcode);
	(void) pg_atomic_compare_exchange_u64(&database->unrecorded_since, &none,
										  (uint64) jobq_now());
}

/*
 * Notes that an outcome could not be recorded because of an error with this
 * code.
 */
void
jobq_unrecorded_note(int sqlerrcode)
{
	note(sqlerrcode, 0);
}

/* Notes that this executor cannot note what it runs. */
void
jobq_unrecorded_note_file(void)
{
	note(0, jobq_crash_note_error());
}

/* Whether no job may be started, here or in the whole database. */
bool
jobq_unrecorded_is_noted(void)
{
	return jobq_crash_note_error() != 0 || jobq_unread_since() != 0 ||
		pg_atomic_read_u64(&jobq_database()->unrecorded_since) != 0;
}

/*
 * Writes the rows that are written when a job is retried and when it finishes,
 * for a job without a queue and with an unused id.
 */
static void
write_rows(void)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqJob		job = {0};
	JobqFailure failure = {0};

	job.id = -(int64) MyProcPid;
	job.run_at = jobq_now();
	job.started_at = DT_NOBEGIN;
	job.state = JOBQ_STATE_COMPLETED;
	memset(job.nulls, true, sizeof(job.nulls));
	job.values[Anum_job_id - 1] = Int64GetDatum(job.id);
	job.values[Anum_job_run_at - 1] = TimestampTzGetDatum(job.run_at);
	job.values[Anum_job_queue - 1] = Int32GetDatum(job.queue);
	job.values[Anum_job_priority - 1] = Int16GetDatum(job.priority);
	job.values[Anum_job_state - 1] = Int16GetDatum((int16) job.state);
	job.values[Anum_job_attempt - 1] = Int32GetDatum(job.attempt);
	memset(job.nulls, false, Anum_job_attempt * sizeof(bool));
	job.values[Anum_job_payload - 1] =
		DirectFunctionCall1(jsonb_in, CStringGetDatum("null"));
	job.nulls[Anum_job_payload - 1] = false;
	failure.outcome = JOBQ_FAILURE_FAILED;

	jobq_table_insert(jobs, job.values, job.nulls);
	jobq_job_record_attempt(&job, &failure, 1);
	jobq_history_add(jobs, &job, &jobq_no_result);
	jobq_table_close(jobs);
}

/* The same in a transaction, which is rolled back. */
static void
try_rows(void)
{
	jobq_worker_begin();
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	if (jobq_worker_lock_extension() == JOBQ_INSTALLED)
	{
		PushActiveSnapshot(GetLatestSnapshot());
		write_rows();
		PopActiveSnapshot();
	}
	AbortCurrentTransaction();
}

/*
 * Whether notes can be written and outcomes recorded again.  If so, jobs may be
 * started, and the database's other executors are woken; otherwise, the error
 * is logged.
 */
bool
jobq_unrecorded_try(void)
{
	JobqDatabase *database = jobq_database();
	uint64		since = pg_atomic_read_u64(&database->unrecorded_since);
	volatile bool result = false;

	/* the coordinator tries again */
	if (jobq_unread_since() != 0)
		return false;
	if (!jobq_crash_note_try())
	{
		jobq_unrecorded_note_file();
		/* a note may stand there that has yet to be counted */
		jobq_wake_coordinator(database, JOBQ_WAKE_NOTES);
		return false;
	}
	PG_TRY();
	{
		try_rows();
		result = true;
	}
	PG_CATCH();
	{
		jobq_session_log_error();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	if (!result)
		return false;
	/* unless recording an outcome has failed since this began */
	if (pg_atomic_compare_exchange_u64(&database->unrecorded_since, &since, 0))
		jobq_workers_look(MyDatabaseId);
	return !jobq_unrecorded_is_noted();
}
