/*-------------------------------------------------------------------------
 *
 * outcome.c
 *	  What came of running a job.
 *
 * IDENTIFICATION
 *	  bgworker/outcome.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "outcome.h"
#include "xact.h"

#include "utils/timestamp.h"

/* Whether the job ended because it was interrupted. */
static bool
was_interrupted(const JobqOutcome *outcome)
{
	return outcome->error != NULL &&
		outcome->error->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

static void
describe_failure(const JobqOutcome *outcome, JobqFailure *failure)
{
	const ErrorData *error = outcome->error;

	memset(failure, 0, sizeof(*failure));
	failure->outcome = "failed";
	failure->sqlstate = unpack_sql_state(error->sqlerrcode);
	failure->message = error->message;
	failure->detail = error->detail;
	failure->hint = error->hint;
	failure->context = error->context;
	failure->retryable = error->sqlerrcode != ERRCODE_JOBQ_DISCARD;
	failure->retry_in = error->sqlerrcode == ERRCODE_JOBQ_RETRY_IN ?
		outcome->retry_in : -1;
	if (outcome->timed_out && was_interrupted(outcome))
		jobq_job_timeout_failure(failure);
}

void
jobq_outcome_record(const JobqOutcome *outcome, JobqTable *jobs, JobqJob *job,
					const JobqQueue *queue, bool may_run_functions)
{
	JobqFailure failure;

	/* the request for it is still there */
	if (outcome->cancelled)
		jobq_at_commit_wake(JOBQ_WAKE_CANCEL);

	if (outcome->error == NULL)
		jobq_job_complete(jobs, job, queue, outcome->result,
						  !outcome->has_result);
	else if (outcome->cancelled && was_interrupted(outcome))
		jobq_job_cancel(jobs, job, queue, NULL);
	else
	{
		describe_failure(outcome, &failure);
		failure.may_run_functions = may_run_functions;
		(void) jobq_job_fail(jobs, job, queue, &failure);
	}
}

bool
jobq_outcome_is_logged(const JobqOutcome *outcome)
{
	return jobq_log_jobs == JOBQ_LOG_ALL ||
		(jobq_log_jobs == JOBQ_LOG_FAILURES && outcome->error != NULL);
}

JobqOutcome *
jobq_outcome_copy(const JobqOutcome *outcome)
{
	JobqOutcome *copy = palloc(sizeof(JobqOutcome));

	*copy = *outcome;
	copy->queue_name = pstrdup(outcome->queue_name);
	copy->has_result = false;
	copy->result = (Datum) 0;
	if (outcome->error != NULL)
	{
		const ErrorData *error = outcome->error;

		copy->error = palloc0(sizeof(ErrorData));
		copy->error->sqlerrcode = error->sqlerrcode;
		copy->error->message = pstrdup(error->message);
		if (error->detail != NULL)
			copy->error->detail = pstrdup(error->detail);
		if (error->detail_log != NULL)
			copy->error->detail_log = pstrdup(error->detail_log);
	}
	return copy;
}

void
jobq_outcome_log(const JobqOutcome *outcome)
{
	if (!jobq_outcome_is_logged(outcome))
		return;
	if (outcome->error == NULL)
		ereport(LOG,
				(errmsg("job " INT64_FORMAT " of queue \"%s\" completed, attempt %d, %.3f ms",
						outcome->job_id, outcome->queue_name,
						outcome->attempt,
						(outcome->finished_at - outcome->started_at) / 1000.0),
				 errhidestmt(true), errhidecontext(true)));
	else if (outcome->cancelled && was_interrupted(outcome))
		ereport(LOG,
				(errmsg("job " INT64_FORMAT " of queue \"%s\" was cancelled while it ran",
						outcome->job_id, outcome->queue_name),
				 errhidestmt(true), errhidecontext(true)));
	else
		ereport(LOG,
				(errcode(outcome->error->sqlerrcode),
				 errmsg("job " INT64_FORMAT " of queue \"%s\" failed, attempt %d: %s",
						outcome->job_id, outcome->queue_name,
						outcome->attempt, outcome->error->message),
				 outcome->error->detail_log != NULL ?
				 errdetail_internal("%s", outcome->error->detail_log) :
				 outcome->error->detail != NULL ?
				 errdetail_internal("%s", outcome->error->detail) : 0,
				 errhidestmt(true), errhidecontext(true)));
}
