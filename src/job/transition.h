/*-------------------------------------------------------------------------
 *
 * transition.h
 *	  Changes of a job's state.
 *
 * IDENTIFICATION
 *	  src/job/transition.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TRANSITION_H
#define JOBQ_TRANSITION_H

#include "job/failure.h"
#include "job/history.h"

/* A job that ends and leaves nothing behind. */
extern const JobqEnd jobq_no_result;

/*
 * Transitions.  Each requires a locked row, and changes or deletes it.  Those
 * that return false also accept a row as it was read: if another transaction
 * has locked or changed it, they do nothing and return false.
 */
extern void jobq_job_insert(JobqTable *jobs, const JobqQueue *queue,
							const Datum *values, const bool *nulls);
extern void jobq_job_note_ready(JobqTable *jobs, const JobqQueue *queue,
								const Datum *values, const bool *nulls);
extern bool jobq_job_claim(JobqTable *jobs, JobqJob *job,
						   const JobqQueue *queue, int64 lease,
						   TimestampTz until, const char *worker);
extern bool jobq_job_complete_as_seen(JobqTable *jobs, JobqJob *job,
									  const JobqQueue *queue,
									  const JobqEnd *end);
extern bool jobq_job_take(JobqTable *jobs, JobqJob *job,
						  const JobqQueue *queue);
extern void jobq_job_complete(JobqTable *jobs, JobqJob *job,
							  const JobqQueue *queue,
							  const JobqEnd *end);
extern JobqState jobq_job_fail(JobqTable *jobs, JobqJob *job,
							   const JobqQueue *queue,
							   const JobqFailure *failure);
extern void jobq_job_cancel(JobqTable *jobs, JobqJob *job,
							const JobqQueue *queue, const char *reason);
extern void jobq_job_expire(JobqTable *jobs, JobqJob *job,
							const JobqQueue *queue);
extern void jobq_job_release(JobqTable *jobs, JobqJob *job,
							 const JobqQueue *queue, int64 delay);
extern void jobq_job_snooze(JobqTable *jobs, JobqJob *job,
							const JobqQueue *queue, int64 delay);
extern bool jobq_job_extend(JobqTable *jobs, JobqJob *job, TimestampTz until,
							Datum progress, bool progress_is_null);
extern void jobq_job_replace(JobqTable *jobs, JobqJob *job,
							 const JobqQueue *queue, Datum *values,
							 bool *nulls);

/*
 * Whether a job that is to be tried again keeps its place in a group whose jobs run
 * one after the other, and holds those behind it until then.
 */
extern bool jobq_job_keeps_place(const JobqJob *job, const JobqQueue *queue);

extern void jobq_job_drop_key(JobqTable *jobs, JobqJob *job,
							  const JobqQueue *queue);
extern void jobq_job_move(JobqTable *jobs, JobqJob *job,
						  const JobqQueue *queue, TimestampTz run_at);
extern void jobq_job_remove(JobqTable *jobs, JobqJob *job);

#endif							/* JOBQ_TRANSITION_H */
