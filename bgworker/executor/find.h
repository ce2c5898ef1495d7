/*-------------------------------------------------------------------------
 *
 * find.h
 *	  The next job of an executor.
 *
 * IDENTIFICATION
 *	  bgworker/executor/find.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIND_H
#define JOBQ_FIND_H

#include "nodes/pg_list.h"

#include "bgworker/executor/share.h"
#include "queue/start.h"

/* The jobs of a role's queues, in one transaction */
typedef struct JobqFinder
{
	Oid			role;
	TimestampTz begun_at;		/* of the transaction, see JobqSharing */
	MemoryContext context;
	JobqTable  *jobs;			/* NULL: not open yet */
	bool		is_filled;
	uint64		number;			/* of the queues at which the next was made */
	List	   *queues;			/* the role's */
} JobqFinder;

typedef struct JobqFound
{
	JobqJob		job;			/* locked */
	JobqJob    *batch;			/* all jobs of a batch, with that one; NULL:
								 * it is not one */
	int			njobs;			/* of the batch */
	const JobqQueue *queue;
	const JobqSharing *sharing; /* NULL: the first job of its transaction */
	bool		sees_more;		/* there are further ones in the queue */
	bool		more;			/* or there seem to be, there or elsewhere */
	bool		may_clear;		/* also checks the flags of queues */
	bool		counted;		/* a terminated attempt was recorded */
	bool		is_newer;		/* a job became ready after the transaction
								 * began */
	JobqStart	start;			/* of the job */
	JobqGroupStart group_start; /* the same of its group */
} JobqFound;

extern void jobq_find_begin(JobqFinder *finder, Oid role,
							TimestampTz begun_at, MemoryContext context);
extern bool jobq_find_job(JobqFinder *finder, JobqFound *found);
extern bool jobq_find_another_job(JobqFinder *finder,
								  const JobqSharing *sharing,
								  JobqFound *found);
extern void jobq_find_undo_start(JobqFound *found);
extern void jobq_find_end(JobqFinder *finder);

/* This process was told of jobs in a queue. */
extern void jobq_find_owe(int32 queue);

/* It takes a job of one: returns another that it was told of, and forgets it. */
extern int32 jobq_find_owed(int32 taken);

#endif							/* JOBQ_FIND_H */
