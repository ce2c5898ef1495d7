/*-------------------------------------------------------------------------
 *
 * job.h
 *	  Jobs, and every change of a job's state.
 *
 * All transitions are made here, against the table in common/jobstate.  A
 * function that changes a job wants it locked by the caller's transaction
 * (jobq_job_lock() or the claim functions), and notes what must happen when
 * the transaction commits (wake-ups, leases) by itself.
 *
 * IDENTIFICATION
 *	  src/job.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_JOB_H
#define JOBQ_JOB_H

#include "common/jobstate.h"
#include "lane.h"
#include "queue.h"
#include "table.h"

/*
 * A row of jobq_store.job, locked.  values[] point into the slot, and have
 * NULL where a field has the value that stands for none.
 */
typedef struct JobqJob
{
	int64		id;
	int64		lease;			/* 0: none */
	TimestampTz run_at;
	TimestampTz enqueued_at;
	TimestampTz lease_until;	/* DT_NOBEGIN: no lease */
	TimestampTz started_at;		/* DT_NOBEGIN: never */
	TimestampTz expires_at;		/* JOBQ_NEVER: not */
	int32		queue;
	int32		attempt;
	int32		max_attempts;	/* 0: the queue's */
	JobqState	state;
	int16		priority;
	TupleTableSlot *slot;
	Datum		values[Natts_job];
	bool		nulls[Natts_job];
} JobqJob;

/* Why an attempt did not succeed.  Strings may be NULL. */
typedef struct JobqFailure
{
	const char *outcome;		/* 'failed', 'timed out', 'lease lost',
								 * 'crashed', 'interrupted' */
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	Datum		data;			/* jsonb, 0: none */
	bool		retryable;
	int64		retry_in;		/* microseconds, -1: by the queue's backoff */
	int			pid;			/* of who ran the job, 0: this process */
	bool		recorded;		/* it is in jobq_store.attempt */
	bool		is_logged;		/* by who counts it: its executor is gone */
	bool		waits_for_nobody;	/* see jobq_job_fail() */
} JobqFailure;

extern void jobq_job_read(JobqJob *job, TupleTableSlot *slot);
extern bool jobq_job_find(JobqTable *jobs, int64 id, TupleTableSlot *slot,
						  JobqJob *job);
extern void jobq_job_peek(JobqJob *job, TupleTableSlot *slot);
extern void jobq_job_set_enqueued_at(Datum *values, bool *nulls,
									 TimestampTz enqueued_at);
extern JobqFindResult jobq_job_lock(JobqTable *jobs, int64 id,
									JobqWaitPolicy wait, JobqJob *job);
extern JobqFindResult jobq_job_lock_for(JobqTable *jobs, int64 id,
										JobqWaitPolicy wait, int privilege,
										const int64 *lease, JobqJob *job);
extern JobqFindResult jobq_job_lock_row(JobqTable *jobs,
										TupleTableSlot *seen,
										Snapshot snapshot,
										TupleTableSlot *locked,
										JobqJob *job);
extern void jobq_job_place(const Datum *values, const ItemPointerData *tid,
						   JobqPlace *place);
extern int64 jobq_job_timeout(const JobqJob *job, const JobqQueue *queue);
extern int	jobq_job_max_attempts(const JobqJob *job, const JobqQueue *queue);
extern int	jobq_job_current_attempt(const JobqJob *job);
extern void jobq_job_lease_failure(JobqFailure *failure, bool session_ended);
extern void jobq_job_crash_failure(JobqFailure *failure);
extern void jobq_job_timeout_failure(JobqFailure *failure);
extern void jobq_job_explain_lease_end(JobqJob *job, const JobqQueue *queue,
									   JobqFailure *failure);
extern bool jobq_job_ends_by_timeout(const JobqJob *job,
									 const JobqQueue *queue);
extern void jobq_job_termination_failure(const JobqTermination *termination,
										 JobqFailure *failure);
extern bool jobq_job_was_terminated(JobqJob *job, JobqFailure *failure);
extern bool jobq_job_ask_backoff(const JobqJob *job, const JobqQueue *queue,
								 JobqFailure *failure);
extern void jobq_job_note_backoff_error(const JobqJob *job,
										const JobqQueue *queue,
										int sqlerrcode, const char *message,
										JobqFailure *failure);

/*
 * Transitions.  Each wants the row locked, and leaves it changed or gone.
 * Those that return false do with a row as it was seen: if somebody else has
 * it in his hands, or has changed it, they have done nothing.
 */
extern void jobq_job_insert(JobqTable *jobs, const JobqQueue *queue,
							const Datum *values, const bool *nulls);
extern bool jobq_job_claim(JobqTable *jobs, JobqJob *job, int64 lease,
						   TimestampTz until, const char *worker);
extern bool jobq_job_complete_held(JobqTable *jobs, JobqJob *job,
								   const JobqQueue *queue, Datum result,
								   bool result_is_null);
extern bool jobq_job_take(JobqTable *jobs, JobqJob *job,
						  const JobqQueue *queue);
extern void jobq_job_complete(JobqTable *jobs, JobqJob *job,
							  const JobqQueue *queue, Datum result,
							  bool result_is_null);
extern JobqState jobq_job_fail(JobqTable *jobs, JobqJob *job,
							   const JobqQueue *queue,
							   const JobqFailure *failure);
extern void jobq_job_cancel(JobqTable *jobs, JobqJob *job,
							const JobqQueue *queue, const char *reason);
extern void jobq_job_expire(JobqTable *jobs, JobqJob *job,
							const JobqQueue *queue);
extern void jobq_job_release(JobqTable *jobs, JobqJob *job,
							 const JobqQueue *queue, int64 delay);
extern void jobq_job_extend(JobqTable *jobs, JobqJob *job, TimestampTz until,
							Datum progress, bool progress_is_null);
extern void jobq_job_replace(JobqTable *jobs, JobqJob *job,
							 const JobqQueue *queue, Datum *values,
							 bool *nulls);
extern void jobq_job_move(JobqTable *jobs, JobqJob *job,
						  const JobqQueue *queue, TimestampTz run_at);
extern void jobq_job_remove(JobqTable *jobs, JobqJob *job);
extern void jobq_job_forget_attempts(int64 job_id);

/* The job as a jobq.job composite; values are flattened. */
extern void jobq_job_form_row(const JobqJob *job, const JobqQueue *queue,
							  Datum *values, bool *nulls);

#endif							/* JOBQ_JOB_H */
