/*-------------------------------------------------------------------------
 *
 * failure.h
 *	  Why an attempt did not succeed, and when to try again.
 *
 * IDENTIFICATION
 *	  src/job/failure.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FAILURE_H
#define JOBQ_FAILURE_H

#include "job/job.h"
#include "shared/note.h"

/* How an attempt has ended that did not succeed; names are in failure.c. */
typedef enum JobqFailureOutcome
{
	JOBQ_FAILURE_FAILED,
	JOBQ_FAILURE_TIMED_OUT,
	JOBQ_FAILURE_LEASE_LOST,
	JOBQ_FAILURE_CRASHED,
	JOBQ_FAILURE_INTERRUPTED,
	JOBQ_NUM_FAILURE_OUTCOMES
} JobqFailureOutcome;

/* Why an attempt did not succeed.  Strings may be NULL. */
typedef struct JobqFailure
{
	JobqFailureOutcome outcome;
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	Datum		data;			/* jsonb, 0: none */
	bool		retryable;
	int64		retry_in;		/* microseconds, -1: by the queue's backoff */
	int			pid;			/* PID of the process that ran the job, 0:
								 * this process */
	bool		recorded;		/* it is in jobq_store.attempt */
	bool		is_logged;		/* by the process that counts it: its executor
								 * is gone */
	bool		snoozed;		/* it asked to be run later, by retry_in; the
								 * attempt does not count */
	bool		waits_for_nobody;	/* see jobq_job_fail() */
} JobqFailure;

extern const char *jobq_failure_outcome_name(JobqFailureOutcome outcome);
extern char *jobq_failure_sqlstate(int sqlerrcode);
extern text *jobq_bounded_text(const char *string);
extern void jobq_job_lease_failure(JobqFailure *failure, bool session_ended);
extern void jobq_job_timeout_failure(JobqFailure *failure);
extern bool jobq_job_was_terminated(JobqJob *job, JobqFailure *failure,
									int *error);
extern bool jobq_job_may_be_uncounted(JobqJob *job, const JobqQueue *queue);

/*
 * Whether the executor that has run the job had its outcome rolled back, and is about to
 * record it in another transaction.  Nobody else counts the attempt or claims the job:
 * it is as if it were locked.  The executor tells of it afterwards.
 */
extern bool jobq_job_is_being_recorded(const JobqJob *job);

/*
 * What is claimed without locking it first: the attempt, and whether it was held by a lease
 * that has run out, or would be.
 */
typedef struct JobqClaimed
{
	int			attempt;
	bool		by_lease;
} JobqClaimed;

/*
 * For claims that find a job, ask whether an attempt of it is to be counted, and change the
 * row if nobody has since.  An executor that has run the job in between has noted the
 * attempt before it let go of the row, so it is found now: raises 40001.
 */
extern void jobq_job_check_claimed(const JobqJob *job, const JobqQueue *queue,
								   const JobqClaimed *claimed);

extern void jobq_job_termination_failure(const JobqTermination *termination,
										 JobqFailure *failure);
extern bool jobq_job_ask_backoff(const JobqJob *job, const JobqQueue *queue,
								 JobqFailure *failure);
extern void jobq_job_note_backoff_error(const JobqJob *job,
										const JobqQueue *queue,
										int sqlerrcode, const char *message,
										JobqFailure *failure);

#endif							/* JOBQ_FAILURE_H */
