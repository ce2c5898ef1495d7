/*-------------------------------------------------------------------------
 *
 * run.h
 *	  Finding the next job of a role and running it.
 *
 * IDENTIFICATION
 *	  bgworker/run.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RUN_H
#define JOBQ_RUN_H

#include "job.h"
#include "worker_slot.h"

typedef enum JobqRunResult
{
	JOBQ_RUN_DONE,				/* a job, whatever came of it */
	JOBQ_RUN_NOTHING,			/* there is none */
	JOBQ_RUN_FAILED,			/* jobq itself; try again later */
	JOBQ_RUN_NOT_INSTALLED		/* leave */
} JobqRunResult;

extern void jobq_run_set_up(const JobqWorkerRef *worker, Oid role);
extern JobqRunResult jobq_run_next(void);
extern bool jobq_run_is_in_user_code(void);

/* find.c: the next job of a role's queues, locked; its table is open */
typedef struct JobqFound
{
	JobqTable  *jobs;
	JobqJob		job;
	const JobqQueue *queue;
	bool		more;			/* there seem to be further ones */
	bool		may_clear;		/* flags of queues that are looked at */
	bool		counted;		/* a terminated attempt was written down:
								 * commit, and look again */
} JobqFound;

extern bool jobq_find_job(Oid role, JobqFound *found);

#endif							/* JOBQ_RUN_H */
