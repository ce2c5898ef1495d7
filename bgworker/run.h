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
#include "share.h"
#include "worker_slot.h"

typedef enum JobqRunResult
{
	JOBQ_RUN_DONE,				/* a job, whatever came of it */
	JOBQ_RUN_NOTHING,			/* there is none */
	JOBQ_RUN_FAILED,			/* jobq itself; try again later */
	JOBQ_RUN_SPOILED,			/* the same, after a job was run: wait, and
								 * leave */
	JOBQ_RUN_HELD,				/* what comes of jobs cannot be written down:
								 * try again soon */
	JOBQ_RUN_FROZEN,			/* nothing may be written here: leave */
	JOBQ_RUN_NO_ROLE,			/* it was dropped: leave */
	JOBQ_RUN_NOT_INSTALLED		/* leave */
} JobqRunResult;

extern void jobq_run_set_up(const JobqWorkerRef *worker, Oid role);
extern JobqRunResult jobq_run_next(void);
extern bool jobq_run_note_termination(bool is_fault);
extern void jobq_run_note_undone(void);

/* find.c: the jobs of a role's queues, in one transaction */
typedef struct JobqFinder
{
	Oid			role;
	MemoryContext context;
	JobqTable  *jobs;			/* NULL: not open yet */
	bool		is_filled;
	uint64		number;			/* of the queues at which the next was made */
	List	   *queues;			/* the role's */
} JobqFinder;

typedef struct JobqFound
{
	JobqJob		job;			/* locked */
	const JobqQueue *queue;
	const JobqSharing *sharing; /* NULL: the first job of its transaction */
	bool		more;			/* there seem to be further ones */
	bool		may_clear;		/* flags of queues that are looked at */
	bool		counted;		/* a terminated attempt was written down */
} JobqFound;

extern void jobq_find_begin(JobqFinder *finder, Oid role,
							MemoryContext context);
extern bool jobq_find_job(JobqFinder *finder, JobqFound *found);
extern bool jobq_find_another_job(JobqFinder *finder,
								  const JobqSharing *sharing,
								  JobqFound *found);
extern void jobq_find_end(JobqFinder *finder);

/* This process was told of jobs in a queue. */
extern void jobq_find_owe(int32 queue);

/* It takes a job of one: returns another that it was told of, and forgets it. */
extern int32 jobq_find_owed(int32 taken);

#endif							/* JOBQ_RUN_H */
