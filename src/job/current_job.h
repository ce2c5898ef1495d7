/*-------------------------------------------------------------------------
 *
 * current_job.h
 *	  What an executor's job can find out about itself and say about its end.
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
 * The job that is being run, from begin to end.  Keeps a copy of it in the
 * given context, which must live until then.
 */
extern void jobq_current_job_begin(const JobqJob *job, const JobqQueue *queue,
								   MemoryContext context);
extern void jobq_current_job_end(void);

/* Its id; 0 if there is none. */
extern int64 jobq_current_job_id(void);

/* It as a datum of type jobq.job; 0 if there is none. */
extern Datum jobq_current_job_row(void);

/*
 * Before its end: an error that has ended its code and is that of retry_in()
 * or discard(), raised again by a language, is made theirs.
 */
extern void jobq_current_job_recognize(ErrorData *error);

/* What the last call of retry_in() said: microseconds, -1: none. */
extern int64 jobq_current_job_retry_in(void);

#endif							/* JOBQ_CURRENT_JOB_H */
