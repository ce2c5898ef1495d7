/*-------------------------------------------------------------------------
 *
 * blame.h
 *	  Which attempt counts if jobs that were run are not recorded.
 *
 * IDENTIFICATION
 *	  bgworker/executor/blame.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_BLAME_H
#define JOBQ_BLAME_H

#include "bgworker/executor/execute.h"
#include "bgworker/executor/share.h"
#include "job/undone.h"

/* The jobs whose own code was run in a transaction. */
typedef struct JobqRanJobs
{
	int			count;
	bool		looking;		/* for another one */
	bool		evicted;		/* the last one: it was not finished */
	JobqQueueState *states[JOBQ_SHARE_MAX_JOBS];	/* of their queues */
	JobqUndone	jobs[JOBQ_SHARE_MAX_JOBS];	/* should it be rolled back */
} JobqRanJobs;

extern void jobq_blame_set_up(const JobqWorkerRef *worker);

/* What is remembered while a transaction lasts, which adds to *ran. */
extern void jobq_blame_begin(JobqRanJobs *ran);
extern void jobq_blame_add(JobqRanJobs *ran, const JobqRun *run);
extern void jobq_blame_share(void);
extern void jobq_blame_close(void);
extern void jobq_blame_end(void);

/* When the process exits */
extern bool jobq_blame_note_termination(bool is_fault);
extern void jobq_blame_note_undone(void);

/*
 * After an error that was not a job's own.  The first is called before the
 * rollback, the others after it; jobq_blame_job() returns whether the failure
 * could be recorded.
 */
extern void jobq_blame_note_attempt(const JobqRun *run,
									const ErrorData *error);
extern bool jobq_blame_job(JobqRun *run);
extern void jobq_blame_none(JobqRanJobs *ran, const ErrorData *error);

#endif							/* JOBQ_BLAME_H */
