/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Attempts that did not succeed, in jobq_store.attempt.
 *
 * IDENTIFICATION
 *	  src/job/attempt.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/attempt.h"

#include "base/scan.h"
#include "base/table_find.h"
#include "compat.h"
#include "guc.h"
#include "shared/clock.h"

#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

/*
 * Records an attempt that did not succeed.  Uses the job's id, queue,
 * started_at and worker.
 */
void
jobq_job_record_attempt(const JobqJob *job, const JobqFailure *failure,
						int attempt)
{
	JobqTable  *attempts = jobq_table_open(JOBQ_REL_ATTEMPT);
	Datum		values[Natts_attempt] = {0};
	bool		nulls[Natts_attempt];
	const struct
	{
		int			attnum;
		const char *string;
	}			strings[] = {
		{Anum_attempt_outcome, jobq_failure_outcome_name(failure->outcome)},
		{Anum_attempt_sqlstate, failure->sqlstate},
		{Anum_attempt_message, failure->message},
		{Anum_attempt_detail, failure->detail},
		{Anum_attempt_hint, failure->hint},
		{Anum_attempt_context, failure->context},
	};

	memset(nulls, true, sizeof(nulls));
	memset(nulls, false, Anum_attempt_queue * sizeof(bool));
	values[Anum_attempt_job_id - 1] = Int64GetDatum(job->id);
	values[Anum_attempt_finished_at - 1] = TimestampTzGetDatum(jobq_now());
	values[Anum_attempt_attempt - 1] = Int32GetDatum(attempt);
	values[Anum_attempt_queue - 1] = Int32GetDatum(job->queue);
	if (job->started_at != DT_NOBEGIN)
	{
		values[Anum_attempt_started_at - 1] =
			TimestampTzGetDatum(job->started_at);
		nulls[Anum_attempt_started_at - 1] = false;
	}
	values[Anum_attempt_worker - 1] = job->values[Anum_job_worker - 1];
	nulls[Anum_attempt_worker - 1] = job->nulls[Anum_job_worker - 1];
	for (int i = 0; i < lengthof(strings); i++)
	{
		if (strings[i].string == NULL)
			continue;
		values[strings[i].attnum - 1] =
			PointerGetDatum(jobq_bounded_text(strings[i].string));
		nulls[strings[i].attnum - 1] = false;
	}
	values[Anum_attempt_data - 1] = failure->data;
	nulls[Anum_attempt_data - 1] = failure->data == (Datum) 0;
	jobq_table_insert(attempts, values, nulls);
	jobq_table_close(attempts);
}

/* Begins to read the recorded attempts of a job. */
static void
begin_scan(JobqScan *scan, JobqTable *attempts, int64 job_id)
{
	ScanKeyData key;

	ScanKeyInit(&key, Anum_attempt_job_id, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(job_id));
	jobq_scan_begin(scan, attempts, jobq_primary_key_index(attempts->rel),
					&key, 1);
}

/*
 * Deletes the recorded attempts of a job that is being deleted, except rows
 * that others have locked because they are deleting them.
 */
void
jobq_job_forget_attempts(int64 job_id)
{
	JobqTable  *attempts = jobq_table_open(JOBQ_REL_ATTEMPT);
	TupleTableSlot *locked = jobq_table_slot(attempts);
	JobqScan	scan;

	begin_scan(&scan, attempts, job_id);
	while (jobq_scan_next(&scan))
	{
		if (jobq_table_lock(attempts, &scan.slot->tts_tid, scan.snapshot,
							locked) == JOBQ_FOUND)
			jobq_table_delete(attempts, locked);
	}
	jobq_scan_end(&scan);
	jobq_table_close(attempts);
}

/* A column of type text, palloc'd, or NULL. */
static const char *
text_column(TupleTableSlot *slot, int attnum)
{
	return slot->tts_isnull[attnum - 1] ? NULL :
		TextDatumGetCString(slot->tts_values[attnum - 1]);
}

/* Whether a row is about the job's current attempt. */
static bool
is_present_attempt(const JobqJob *job, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	return DatumGetInt32(slot->tts_values[Anum_attempt_attempt - 1]) ==
		job->attempt &&
		!slot->tts_isnull[Anum_attempt_started_at - 1] &&
		DatumGetTimestampTz(slot->tts_values[Anum_attempt_started_at - 1]) ==
		job->started_at;
}

/* See attempt.h. */
bool
jobq_job_attempt_is_recorded(const JobqJob *job)
{
	JobqTable  *attempts = jobq_table_open(JOBQ_REL_ATTEMPT);
	bool		found = false;
	JobqScan	scan;

	begin_scan(&scan, attempts, job->id);
	while (!found && jobq_scan_next(&scan))
		found = is_present_attempt(job, scan.slot);
	jobq_scan_end(&scan);
	jobq_table_close(attempts);
	return found;
}

/*
 * Reads how the attempt of a job that is running has ended, if that is written
 * down; the outcome, which is wanted for that only, is not set.  In that case it
 * was the last one.
 */
static bool
read_attempt(const JobqJob *job, JobqFailure *failure)
{
	JobqTable  *attempts = jobq_table_open(JOBQ_REL_ATTEMPT);
	bool		found = false;
	JobqScan	scan;

	begin_scan(&scan, attempts, job->id);
	while (!found && jobq_scan_next(&scan))
		found = is_present_attempt(job, scan.slot);
	if (found)
	{
		memset(failure, 0, sizeof(*failure));
		failure->sqlstate = text_column(scan.slot, Anum_attempt_sqlstate);
		failure->message = text_column(scan.slot, Anum_attempt_message);
		failure->recorded = true;
	}
	jobq_scan_end(&scan);
	jobq_table_close(attempts);
	return found;
}

/* Text for the log about a job that jobq_job_fail() has left in this state. */
const char *
jobq_job_describe_fate(JobqState state, const JobqJob *job, const JobqQueue *queue)
{
	if (state == JOBQ_STATE_RUNNING)
		return "the job is dead once its queue's on_dead queue is no longer being dropped";
	if (state != JOBQ_STATE_PENDING)
		return "the job is dead";
	return psprintf("attempt %d of %d follows in %.3f s", job->attempt + 1,
					jobq_job_max_attempts(job, queue),
					Max(job->run_at - jobq_now(), 0) / 1000000.0);
}

/*
 * Logs an attempt on behalf of its executor, which is gone.  jobq_job_fail()
 * has counted the attempt and left the job in this state.
 */
void
jobq_job_log_failure(JobqState state, const JobqJob *job,
					 const JobqQueue *queue, const JobqFailure *failure)
{
	if (!failure->is_logged || jobq_log_jobs == JOBQ_LOG_NONE)
		return;
	ereport(LOG_SERVER_ONLY,
			(errmsg("job " INT64_FORMAT " of queue \"%s\" failed, attempt %d: %s",
					job->id, queue->name, job->attempt, failure->message),
			 errdetail("SQLSTATE %s in database \"%s\"; %s.",
					   failure->sqlstate, get_database_name(MyDatabaseId),
					   jobq_job_describe_fate(state, job, queue)),
			 errhidestmt(true), errhidecontext(true)));
}

/*
 * Says why a lease that has run out was lost: the attempt may have ended earlier
 * (put_off_death()), its executor was terminated, or the job's timeout limited the
 * lease.
 */
void
jobq_job_explain_lease_end(JobqJob *job, const JobqQueue *queue,
						   JobqFailure *failure)
{
	memset(failure, 0, sizeof(*failure));
	if (job->lease_until == job->started_at &&
		read_attempt(job, failure))
		return;
	if (jobq_job_was_terminated(job, failure, NULL))
		return;
	jobq_job_lease_failure(failure, job->lease_until == JOBQ_NEVER);
	if (jobq_job_ends_by_timeout(job, queue))
	{
		jobq_job_timeout_failure(failure);
		failure->detail = psprintf("The lease ended with the timeout of %.3f s.",
								   jobq_job_timeout(job, queue) / 1000000.0);
		failure->hint = "Heartbeats do not extend a lease beyond the timeout.";
	}
}
