/*-------------------------------------------------------------------------
 *
 * outcome.h
 *	  The outcome of running a job.
 *
 * IDENTIFICATION
 *	  bgworker/executor/outcome.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_OUTCOME_H
#define JOBQ_OUTCOME_H

#include "job/failure.h"

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
	bool		timed_out;		/* it was interrupted for that, and failed */
	bool		cancelled;		/* it was interrupted for that */
	bool		evicted;		/* the same, see JOBQ_EVICTED, and failed */
	int64		delay;			/* if it has failed: what it asked for by
								 * retry_in() or snooze(), -1: nothing */
	bool		snoozed;		/* that was recorded */
	bool		asks_backoff;	/* the queue's backoff_function is being run,
								 * or was interrupted */
	const char *fate;			/* for the server's log: what happens to the
								 * job, if its failure was recorded */
	char	   *log_message;	/* NULL: it is not logged */
	char	   *log_detail;		/* may be NULL */
} JobqOutcome;

/*
 * Whether the attempt has failed, and was not cancelled; fills *failure then, in
 * the current memory context.
 */
extern bool jobq_outcome_is_failure(JobqOutcome *outcome,
									JobqFailure *failure);

/*
 * Completes, fails (by what jobq_outcome_is_failure() has said) or cancels the
 * job, which is locked.
 */
extern void jobq_outcome_record(JobqOutcome *outcome, JobqTable *jobs,
								JobqJob *job, const JobqQueue *queue,
								const JobqFailure *failure);

/*
 * Prepares the log message, if one is wanted, in a memory context.  Called in
 * the transaction that has recorded the outcome.
 */
extern void jobq_outcome_describe(JobqOutcome *outcome,
								  MemoryContext context);

/* Copies the parts needed for the log into the current memory context. */
extern JobqOutcome *jobq_outcome_copy(const JobqOutcome *outcome);

/* After that transaction has been committed. */
extern void jobq_outcome_log(const JobqOutcome *outcome);

/* The name of the database; in a transaction, or after a first call in one. */
extern const char *jobq_outcome_database(void);

#endif							/* JOBQ_OUTCOME_H */
