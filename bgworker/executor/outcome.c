/*-------------------------------------------------------------------------
 *
 * outcome.c
 *	  The outcome of running a job.
 *
 * IDENTIFICATION
 *	  bgworker/executor/outcome.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/outcome.h"

#include "guc.h"
#include "job/attempt.h"
#include "job/cancel_request.h"
#include "job/history.h"
#include "job/transition.h"
#include "jobq.h"
#include "shared/wake.h"

#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Maximum length of an error's texts in the server's log, in bytes. */
#define MAX_LOGGED_LENGTH 1000

/* Whether the job itself has decided what its failure means. */
static bool
has_wish(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_JOBQ_RETRY_IN ||
		error->sqlerrcode == ERRCODE_JOBQ_DISCARD ||
		error->sqlerrcode == ERRCODE_JOBQ_SNOOZE;
}

/*
 * A job that fails after its timeout counts as timed out, even if it replaced
 * the error that interrupted it.
 */
static void
describe_failure(const JobqOutcome *outcome, JobqFailure *failure)
{
	const ErrorData *error = outcome->error;

	memset(failure, 0, sizeof(*failure));
	failure->outcome = JOBQ_FAILURE_FAILED;
	failure->sqlstate = jobq_failure_sqlstate(error->sqlerrcode);
	failure->message = error->message;
	failure->detail = error->detail;
	failure->hint = error->hint;
	failure->context = error->context;
	failure->retryable = error->sqlerrcode != ERRCODE_JOBQ_DISCARD;
	failure->retry_in = outcome->delay;
	failure->snoozed = error->sqlerrcode == ERRCODE_JOBQ_SNOOZE &&
		outcome->delay >= 0;
	failure->waits_for_nobody = true;
	if (outcome->evicted)
	{
		failure->sqlstate = jobq_failure_sqlstate(ERRCODE_QUERY_CANCELED);
		failure->message = "the job was interrupted because its queue was being dropped";
		failure->retryable = true;
		failure->retry_in = 0;
		failure->snoozed = false;
	}
	if (!outcome->timed_out || outcome->evicted || has_wish(error))
		return;
	jobq_job_timeout_failure(failure);
	if (error->sqlerrcode != ERRCODE_QUERY_CANCELED)
		failure->detail = psprintf("It ended with SQLSTATE %s: %s",
								   unpack_sql_state(error->sqlerrcode),
								   error->message);
}

bool
jobq_outcome_is_failure(JobqOutcome *outcome, JobqFailure *failure)
{
	if (outcome->error == NULL)
		return false;

	/* the executor may not have been told yet */
	if (!outcome->cancelled)
		outcome->cancelled = jobq_cancel_is_requested(outcome->job_id);
	if (outcome->cancelled)
		return false;
	describe_failure(outcome, failure);
	return true;
}

void
jobq_outcome_record(JobqOutcome *outcome, JobqTable *jobs, JobqJob *job,
					const JobqQueue *queue, const JobqFailure *failure)
{
	/* the request for it is still there */
	if (outcome->cancelled)
		jobq_at_commit_wake(JOBQ_WAKE_CANCEL);

	if (outcome->error == NULL)
	{
		JobqEnd		end = {
			.result = outcome->result,
			.result_is_null = !outcome->has_result
		};

		jobq_job_complete(jobs, job, queue, &end);
	}
	else if (outcome->cancelled)
		jobq_job_cancel(jobs, job, queue, NULL);
	else if (failure->snoozed)
	{
		outcome->snoozed = true;
		jobq_job_snooze(jobs, job, queue, failure->retry_in);
	}
	else
		outcome->fate = jobq_job_describe_fate(jobq_job_fail(jobs, job, queue,
															 failure),
											   job, queue);
}

static bool
is_logged(const JobqOutcome *outcome)
{
	return jobq_log_jobs == JOBQ_LOG_ALL ||
		(jobq_log_jobs == JOBQ_LOG_FAILURES && outcome->error != NULL &&
		 (!outcome->evicted || outcome->fate != NULL) &&
		 !outcome->cancelled && !outcome->snoozed);
}

/*
 * The database, whose name cannot change while this process is in it.  Needs a
 * transaction the first time.
 */
const char *
jobq_outcome_database(void)
{
	static char *name = NULL;

	if (name == NULL)
		name = MemoryContextStrdup(TopMemoryContext,
								   get_database_name(MyDatabaseId));
	return name;
}

/* Truncates a text so that the log does not grow too fast. */
static char *
bounded(const char *text)
{
	int			length = strlen(text);

	if (length <= MAX_LOGGED_LENGTH)
		return pstrdup(text);
	return psprintf("%s...",
					pnstrdup(text, pg_mbcliplen(text, length,
												MAX_LOGGED_LENGTH)));
}

/* The same for a job that has failed: one message with a detail. */
static void
describe_failed(JobqOutcome *outcome)
{
	const char *own_detail = outcome->error->detail_log;
	JobqFailure failure;

	describe_failure(outcome, &failure);
	if (own_detail == NULL)
		own_detail = failure.detail;
	outcome->log_message =
		psprintf("job " INT64_FORMAT " of queue \"%s\" failed, attempt %d: %s",
				 outcome->job_id, outcome->queue_name, outcome->attempt,
				 bounded(failure.message));
	outcome->log_detail =
		psprintf("SQLSTATE %s in database \"%s\"%s%s.%s%s",
				 failure.sqlstate, jobq_outcome_database(),
				 outcome->fate != NULL ? "; " : "",
				 outcome->fate != NULL ? outcome->fate : "",
				 own_detail != NULL ? " " : "",
				 own_detail != NULL ? bounded(own_detail) : "");
}

void
jobq_outcome_describe(JobqOutcome *outcome, MemoryContext context)
{
	MemoryContext oldcontext;

	if (!is_logged(outcome))
		return;
	oldcontext = MemoryContextSwitchTo(context);
	if (outcome->error == NULL || outcome->cancelled ||
		outcome->snoozed || (outcome->evicted && outcome->fate == NULL))
		outcome->log_detail = psprintf("It is in database \"%s\".",
									   jobq_outcome_database());
	if (outcome->error == NULL)
		outcome->log_message =
			psprintf("job " INT64_FORMAT " of queue \"%s\" completed, attempt %d, %.3f ms",
					 outcome->job_id, outcome->queue_name, outcome->attempt,
					 (outcome->finished_at - outcome->started_at) / 1000.0);
	else if (outcome->evicted && outcome->fate == NULL)
		outcome->log_message =
			psprintf("job " INT64_FORMAT " of queue \"%s\" was interrupted because its queue is being dropped",
					 outcome->job_id, outcome->queue_name);
	else if (outcome->snoozed)
		outcome->log_message =
			psprintf("job " INT64_FORMAT " of queue \"%s\" was snoozed for %.3f s: %s",
					 outcome->job_id, outcome->queue_name,
					 outcome->delay / 1000000.0,
					 bounded(outcome->error->message));
	else if (outcome->cancelled)
		outcome->log_message =
			psprintf("job " INT64_FORMAT " of queue \"%s\" was cancelled while it ran",
					 outcome->job_id, outcome->queue_name);
	else
		describe_failed(outcome);
	MemoryContextSwitchTo(oldcontext);
}

JobqOutcome *
jobq_outcome_copy(const JobqOutcome *outcome)
{
	JobqOutcome *copy = palloc0(sizeof(JobqOutcome));

	copy->log_message = pstrdup(outcome->log_message);
	if (outcome->log_detail != NULL)
		copy->log_detail = pstrdup(outcome->log_detail);
	if (outcome->error != NULL)
	{
		copy->error = palloc0(sizeof(ErrorData));
		copy->error->sqlerrcode = outcome->error->sqlerrcode;
	}
	return copy;
}

void
jobq_outcome_log(const JobqOutcome *outcome)
{
	if (outcome->log_message == NULL)
		return;
	ereport(LOG,
			(outcome->error != NULL ? errcode(outcome->error->sqlerrcode) : 0,
			 errmsg_internal("%s", outcome->log_message),
			 outcome->log_detail != NULL ?
			 errdetail_internal("%s", outcome->log_detail) : 0,
			 errhidestmt(true), errhidecontext(true)));
}
