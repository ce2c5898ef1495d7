/*-------------------------------------------------------------------------
 *
 * current_job.h
 *	  What a job in an executor can learn about itself and decide about its
 *	  end.
 *
 * IDENTIFICATION
 *	  src/job/current_job.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CURRENT_JOB_H
#define JOBQ_CURRENT_JOB_H

#include "job/job.h"

/*
 * The current job, from begin to end.  Keeps a copy of it in the given
 * context, which must live until the end.
 */
extern void jobq_current_job_begin(const JobqJob *job, const JobqQueue *queue,
								   MemoryContext context);
extern void jobq_current_job_end(void);

/* The same for a batch; the first job stands for it. */
extern void jobq_current_job_begin_batch(const JobqJob *jobs, int njobs,
										 const JobqQueue *queue,
										 MemoryContext context);

/* Whether this is the current job, or one of the current batch. */
extern bool jobq_current_job_is(int64 id);

/* The jobs of the current batch, or NULL. */
extern const JobqJob *jobq_current_job_batch(int *njobs);

/* They as an array, of type jobq.job[]. */
extern Datum jobq_current_job_batch_rows(void);

/* The context that lives until the end. */
extern MemoryContext jobq_current_job_context(void);

/* Raises 42501 unless the current user may decide about the current job. */
extern void jobq_current_job_check_mine(const char *function);

/* The current job as a datum of type jobq.job; 0 if there is none. */
extern Datum jobq_current_job_row(void);

/* For the executor's error context, under the job's code. */
extern void jobq_current_job_check_error(void);

/*
 * Called before the end: turns an error of retry_in(), discard() or snooze()
 * that a procedural language has raised again back into the original one, and
 * one that only looks like it into an ordinary one.
 */
extern void jobq_current_job_recognize(ErrorData *error);

/*
 * The delay that the last call of retry_in() or snooze() asked for, if it has
 * raised this SQLSTATE: microseconds, -1: none.
 */
extern int64 jobq_current_job_delay(int sqlerrcode);

#endif							/* JOBQ_CURRENT_JOB_H */
