/*-------------------------------------------------------------------------
 *
 * run.h
 *	  Finding the next job of a role and running it.
 *
 * IDENTIFICATION
 *	  bgworker/executor/run.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RUN_H
#define JOBQ_RUN_H

#include "shared/slot.h"

typedef enum JobqRunResult
{
	JOBQ_RUN_DONE,				/* a job was run, whatever its outcome */
	JOBQ_RUN_NOTHING,			/* there is none */
	JOBQ_RUN_FAILED,			/* jobq itself; try again later */
	JOBQ_RUN_SPOILED,			/* the same, after a job was run: wait, and
								 * leave */
	JOBQ_RUN_HELD,				/* outcomes cannot be recorded: try again soon */
	JOBQ_RUN_FROZEN,			/* nothing may be written here: leave */
	JOBQ_RUN_NO_ROLE,			/* it was dropped, or may not connect: leave */
	JOBQ_RUN_NOT_INSTALLED		/* leave */
} JobqRunResult;

/* before_job is called before each job, in its transaction. */
extern void jobq_run_set_up(const JobqWorkerRef *worker, Oid role,
							void (*before_job) (void));
extern JobqRunResult jobq_run_next(void);

#endif							/* JOBQ_RUN_H */
