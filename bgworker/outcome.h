/*-------------------------------------------------------------------------
 *
 * outcome.h
 *	  What came of running a job.
 *
 * IDENTIFICATION
 *	  bgworker/outcome.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_OUTCOME_H
#define JOBQ_OUTCOME_H

#include "job.h"

typedef struct JobqOutcome
{
	int64		job_id;
	int32		attempt;
	int32		queue;
	char	   *queue_name;
	TimestampTz started_at;
	TimestampTz finished_at;	/* its own code */
	ErrorData  *error;			/* NULL: success */
	bool		has_result;
	Datum		result;			/* jsonb */
	bool		timed_out;		/* it was interrupted for that */
	bool		cancelled;		/* the same */
	int64		retry_in;		/* what the job said, -1: nothing */
} JobqOutcome;

/* Completes, fails or cancels the job, which is locked. */
extern void jobq_outcome_record(const JobqOutcome *outcome, JobqTable *jobs,
								JobqJob *job, const JobqQueue *queue,
								bool may_run_functions);

/* Tells the server's log, if that is wanted. */
extern bool jobq_outcome_is_logged(const JobqOutcome *outcome);
extern void jobq_outcome_log(const JobqOutcome *outcome);

/* As much of it as the log needs, in the current memory context. */
extern JobqOutcome *jobq_outcome_copy(const JobqOutcome *outcome);

#endif							/* JOBQ_OUTCOME_H */
