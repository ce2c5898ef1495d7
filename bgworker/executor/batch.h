/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  Jobs that are given to one call of a handler.
 *
 * IDENTIFICATION
 *	  bgworker/executor/batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_BATCH_H
#define JOBQ_BATCH_H

#include "bgworker/executor/execute.h"

/*
 * Makes a run of the first job one of all, which are locked.  Allocates in its
 * context.
 */
extern void jobq_batch_make(JobqRun *run, const JobqJob *jobs, int njobs,
							const JobqQueue *queue);

/* Notes the jobs for the case of a crash; see jobq_crash_note_write(). */
extern bool jobq_batch_write_crash_note(const JobqRun *run);

/* The batch's code has ended: sets the outcomes of its jobs. */
extern void jobq_batch_set_outcomes(JobqRun *run);

#endif							/* JOBQ_BATCH_H */
