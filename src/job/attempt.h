/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  Attempts that did not succeed, in jobq_store.attempt.
 *
 * IDENTIFICATION
 *	  src/job/attempt.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ATTEMPT_H
#define JOBQ_ATTEMPT_H

#include "job/failure.h"

extern void jobq_job_record_attempt(const JobqJob *job,
									const JobqFailure *failure, int attempt);
extern void jobq_job_log_failure(JobqState state, const JobqJob *job,
								 const JobqQueue *queue,
								 const JobqFailure *failure);
extern const char *jobq_job_describe_fate(JobqState state, const JobqJob *job,
										  const JobqQueue *queue);

/*
 * Whether jobq.attempts has the attempt of the job that began at its started_at, however
 * it has ended.
 */
extern bool jobq_job_attempt_is_recorded(const JobqJob *job);
extern void jobq_job_forget_attempts(int64 job_id);
extern void jobq_job_explain_lease_end(JobqJob *job, const JobqQueue *queue,
									   JobqFailure *failure);

#endif							/* JOBQ_ATTEMPT_H */
