/*-------------------------------------------------------------------------
 *
 * failure.c
 *	  Why an attempt did not succeed, and when to try again.
 *
 * IDENTIFICATION
 *	  src/job/failure.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/failure.h"

#include "base/json_object.h"
#include "job/uncounted.h"
#include "jobq.h"
#include "queue/handler.h"
#include "shared/slot_job.h"
#include "shared/termination.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

/* As the view jobq.attempts shows them. */
static const char *const outcome_names[JOBQ_NUM_FAILURE_OUTCOMES] = {
	[JOBQ_FAILURE_FAILED] = "failed",
	[JOBQ_FAILURE_TIMED_OUT] = "timed out",
	[JOBQ_FAILURE_LEASE_LOST] = "lease lost",
	[JOBQ_FAILURE_CRASHED] = "crashed",
	[JOBQ_FAILURE_INTERRUPTED] = "interrupted",
};

const char *
jobq_failure_outcome_name(JobqFailureOutcome outcome)
{
	return outcome_names[outcome];
}

/* The SQLSTATE of an error code, palloc'd. */
char *
jobq_failure_sqlstate(int sqlerrcode)
{
	return pstrdup(unpack_sql_state(sqlerrcode));
}

/* A string as text, truncated to a length suitable for the log. */
text *
jobq_bounded_text(const char *string)
{
	int			len = strlen(string);

	if (len > JOBQ_MAX_ERROR_LENGTH)
		len = pg_mbcliplen(string, len, JOBQ_MAX_ERROR_LENGTH);
	return cstring_to_text_with_len(string, len);
}

/* What backoff_function is told about the failure. */
static Datum
failure_as_jsonb(const JobqFailure *failure)
{
	JobqJsonObject object;

	jobq_json_begin(&object);
	jobq_json_add_string(&object, "sqlstate", failure->sqlstate);
	jobq_json_add_string(&object, "message", failure->message);
	jobq_json_add_string(&object, "detail", failure->detail);
	jobq_json_add_string(&object, "hint", failure->hint);
	return jobq_json_end(&object);
}

/*
 * Falls back on the queue's backoff options after its function has failed.
 * Reports that in the log and in the attempt's detail.
 */
void
jobq_job_note_backoff_error(const JobqJob *job, const JobqQueue *queue,
							int sqlerrcode, const char *message,
							JobqFailure *failure)
{
	const char *bounded = text_to_cstring(jobq_bounded_text(message));

	ereport(LOG,
			(errcode(sqlerrcode),
			 errmsg("backoff_function of queue \"%s\" failed for job " INT64_FORMAT ": %s",
					queue->name, job->id, bounded),
			 errdetail("The queue's backoff is used instead."),
			 errhidestmt(true), errhidecontext(true)));
	failure->detail =
		psprintf("%s%sThe queue's backoff_function failed with SQLSTATE %s: %s",
				 failure->detail != NULL ? failure->detail : "",
				 failure->detail != NULL ? "\n" : "",
				 unpack_sql_state(sqlerrcode), bounded);
}

/*
 * Calls the queue's backoff_function, if there is one to call, and stores its
 * result in *failure.  Returns true if it was called: the job may have
 * changed, and must be locked and checked again.
 */
bool
jobq_job_ask_backoff(const JobqJob *job, const JobqQueue *queue,
					 JobqFailure *failure)
{
	int			attempt = jobq_job_current_attempt(job);
	Datum		told = failure->data;
	ErrorData  *error;
	int64		delay;

	if (queue->backoff_function == NULL || !failure->retryable ||
		failure->retry_in >= 0 ||
		attempt >= jobq_job_max_attempts(job, queue))
		return false;
	if (told == (Datum) 0)
		told = failure_as_jsonb(failure);
	error = jobq_backoff_function_call(queue->backoff_function, queue->owner,
									   attempt, told, &delay);
	if (error != NULL)
		jobq_job_note_backoff_error(job, queue, error->sqlerrcode,
									error->message, failure);
	else if (delay < 0)
		failure->retryable = false;
	else
		failure->retry_in = delay;
	return true;
}

/* Fills in why a lease was lost. */
void
jobq_job_lease_failure(JobqFailure *failure, bool session_ended)
{
	memset(failure, 0, sizeof(*failure));
	failure->outcome = JOBQ_FAILURE_LEASE_LOST;
	failure->sqlstate = jobq_failure_sqlstate(ERRCODE_JOBQ_LEASE_LOST);
	failure->message = session_ended ?
		"the session that held the job ended" :
		"the lease ran out before the job was finished";
	failure->retryable = true;
	failure->retry_in = 0;
}

/* Fills in that the timeout has ended an attempt. */
void
jobq_job_timeout_failure(JobqFailure *failure)
{
	failure->outcome = JOBQ_FAILURE_TIMED_OUT;
	failure->sqlstate = jobq_failure_sqlstate(ERRCODE_QUERY_CANCELED);
	failure->message = "the job ran longer than its timeout";
}

/* Fills in that an attempt has ended with the server. */
static void
fill_in_crash(JobqFailure *failure)
{
	memset(failure, 0, sizeof(*failure));
	failure->outcome = JOBQ_FAILURE_CRASHED;
	failure->sqlstate = jobq_failure_sqlstate(ERRCODE_CRASH_SHUTDOWN);
	failure->message = "the server crashed while the job was running";
	failure->retryable = true;
	failure->retry_in = -1;
}

/*
 * Fills in how an attempt ended if its executor was terminated, could not record the
 * outcome, or ended with the server.
 */
void
jobq_job_termination_failure(const JobqTermination *termination,
							 JobqFailure *failure)
{
	fill_in_crash(failure);
	failure->pid = termination->pid;
	failure->is_logged = true;
	if (termination->crashed)
		return;
	if (termination->unrecorded != 0)
	{
		failure->outcome = JOBQ_FAILURE_FAILED;
		failure->sqlstate = jobq_failure_sqlstate(termination->unrecorded);
		failure->message = termination->leased ?
			"the outcome of the job could not be recorded, although what it committed stays" :
			"the outcome of the job could not be recorded, so what it did was rolled back";
		failure->hint = "See the server log for the error.";
		return;
	}
	failure->sqlstate = jobq_failure_sqlstate(ERRCODE_ADMIN_SHUTDOWN);
	failure->message = "the background worker was terminated while the job was running";
	if (termination->timed_out)
		jobq_job_timeout_failure(failure);
}

/*
 * Whether an attempt of a job is one that has ended and is not counted yet; by lease: the
 * job was running.  If not, *error is 0, or says why that is not known: files cannot be
 * read (errno).
 */
static bool
find_attempt(const JobqJob *job, int attempt, bool by_lease,
			 JobqTermination *termination, int *error)
{
	bool		found;

	*error = 0;
	if (!jobq_uncounted_may_exist() || jobq_uncounted_is_forgotten(job->id))
		return false;
	found = jobq_uncounted_find(job->id, attempt, termination, error);

	/* else that was an earlier job with this id, or another attempt */
	return found && termination->started_at >= job->enqueued_at &&
		termination->leased == by_lease;
}

/* The same for the unfinished attempt. */
static bool
find_uncounted(const JobqJob *job, JobqTermination *termination, int *error)
{
	return find_attempt(job, jobq_job_current_attempt(job),
						job->state == JOBQ_STATE_RUNNING, termination, error);
}

/*
 * Whether an executor was terminated during the unfinished attempt, or has not
 * recorded it.  If so, the job is unchanged since, and *failure says how the attempt
 * has ended.  If not, *error (unless NULL) is like that of find_uncounted().
 */
bool
jobq_job_was_terminated(JobqJob *job, JobqFailure *failure, int *error)
{
	JobqTermination termination;
	int			unread = 0;
	bool		found = find_uncounted(job, &termination, &unread);

	if (error != NULL)
		*error = unread;
	if (!found)
		return false;
	job->started_at = termination.started_at;
	jobq_job_name_worker(job, termination.pid);
	jobq_job_termination_failure(&termination, failure);
	return true;
}

/*
 * The same for a process that does not count the attempt: whether it must leave the job as
 * it is, since an attempt of it is not counted yet, or that is not known, and executors run
 * jobs of its queue.
 */
bool
jobq_job_may_be_uncounted(JobqJob *job, const JobqQueue *queue)
{
	JobqFailure failure;
	int			error;

	return jobq_job_was_terminated(job, &failure, &error) ||
		(error != 0 && jobq_queue_has_executors(queue));
}

/* See failure.h. */
bool
jobq_job_is_being_recorded(const JobqJob *job)
{
	JobqTermination termination;
	int			error;

	return jobq_slots_are_recording() &&
		find_uncounted(job, &termination, &error) &&
		jobq_slot_records(&termination);
}

/* See failure.h. */
void
jobq_job_check_claimed(const JobqJob *job, const JobqQueue *queue,
					   const JobqClaimed *claimed)
{
	JobqTermination termination;
	int			error;

	if (find_attempt(job, claimed->attempt, claimed->by_lease, &termination, &error) ||
		(error != 0 && jobq_queue_has_executors(queue)))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("job " INT64_FORMAT " may have been run by a background worker while it was being claimed",
						job->id),
				 errdetail("That attempt may have ended with the worker."),
				 errhint("Call the function again.")));
}
