/*-------------------------------------------------------------------------
 *
 * finish.h
 *	  Ending claims by lease.
 *
 * IDENTIFICATION
 *	  src/dispatch/finish.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FINISH_H
#define JOBQ_FINISH_H

#include "job/job.h"

/*
 * The queues whose jobs a call has completed.  One lease may hold jobs of several: a call
 * that has waited for a job of one queue may have lost its privilege on another meanwhile.
 */
typedef struct JobqCompletedQueues
{
	int			n;
	int			max;
	struct
	{
		int32		queue;
		int64		job_id;		/* one of its jobs */
	}		   *of;
	bool		waited;			/* for a job, */
	uint64		waits;			/* or for a table: see jobq_relation_waits() */
} JobqCompletedQueues;

/*
 * Completes the jobs that the lease still holds; returns their number.  The caller asks
 * for privileges again when it has done all else that may wait: 42501.
 */
extern int	jobq_finish_complete_jobs(JobqTable *jobs, const Datum *ids, int nids,
									  int64 lease, JobqCompletedQueues *queues);
extern void jobq_finish_recheck(const JobqCompletedQueues *queues);

#endif							/* JOBQ_FINISH_H */
