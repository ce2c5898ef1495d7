/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Jobs that are given to one call of a handler.
 *
 * IDENTIFICATION
 *	  bgworker/executor/batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/batch.h"

#include "bgworker/executor/crash_note.h"
#include "job/batch_failure.h"
#include "jobq.h"

#include "utils/memutils.h"

/* See batch.h. */
void
jobq_batch_make(JobqRun *run, const JobqJob *jobs, int njobs,
				const JobqQueue *queue)
{
	run->nparts = njobs;
	run->parts = MemoryContextAllocZero(run->context,
										njobs * sizeof(JobqRun));
	run->may_share = false;
	run->timeout = 0;
	for (int i = 0; i < njobs; i++)
	{
		JobqRun    *part = &run->parts[i];
		int64		timeout = jobq_job_timeout(&jobs[i], queue);

		part->context = run->context;
		part->state = run->state;
		part->tid = jobs[i].slot->tts_tid;
		part->outcome = run->outcome;
		part->outcome.job_id = jobs[i].id;
		part->outcome.attempt = jobq_job_current_attempt(&jobs[i]);
		if (timeout > 0 && (run->timeout == 0 || timeout < run->timeout))
			run->timeout = timeout;
	}
}

/* See batch.h. */
bool
jobq_batch_write_crash_note(const JobqRun *run)
{
	JobqNotedJob *jobs = palloc(run->nparts * sizeof(JobqNotedJob));
	bool		result;

	for (int i = 0; i < run->nparts; i++)
	{
		jobs[i].job_id = run->parts[i].outcome.job_id;
		jobs[i].attempt = run->parts[i].outcome.attempt;
		jobs[i].started_at = run->parts[i].outcome.started_at;
	}
	result = jobq_crash_note_write_batch(jobs, run->nparts);
	pfree(jobs);
	return result;
}

/* The failure that fail_job() has declared, as an error of the job. */
static ErrorData *
make_error(const JobqBatchFailure *failure, MemoryContext context)
{
	ErrorData  *error = MemoryContextAllocZero(context, sizeof(ErrorData));

	error->elevel = ERROR;
	error->assoc_context = context;
	error->message = MemoryContextStrdup(context, failure->message);
	if (!failure->retryable)
		error->sqlerrcode = ERRCODE_JOBQ_DISCARD;
	else if (failure->retry_in >= 0)
		error->sqlerrcode = ERRCODE_JOBQ_RETRY_IN;
	else
		error->sqlerrcode = ERRCODE_RAISE_EXCEPTION;
	return error;
}

/* See batch.h. */
void
jobq_batch_set_outcomes(JobqRun *run)
{
	const JobqOutcome *whole = &run->outcome;

	for (int i = 0; i < run->nparts; i++)
	{
		JobqRun    *part = &run->parts[i];
		JobqOutcome *outcome = &part->outcome;
		const JobqBatchFailure *failure = whole->error != NULL ? NULL :
		jobq_batch_failure(i);

		part->code_was_run = run->code_was_run;
		outcome->finished_at = whole->finished_at;
		outcome->timed_out = whole->timed_out;
		outcome->evicted = whole->evicted;
		outcome->error = whole->error;
		outcome->delay = whole->delay;
		outcome->has_result = run->results != NULL &&
			!run->results[i].isnull;
		if (outcome->has_result)
			outcome->result = run->results[i].value;
		if (failure == NULL)
			continue;
		outcome->error = make_error(failure, run->context);
		outcome->delay = failure->retry_in;
	}
}
