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

/* The id of the current job; 0 if there is none. */
extern int64 jobq_current_job_id(void);

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
