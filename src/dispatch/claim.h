/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Finding the next ready job of a queue, and getting hold of it; looking
 *	  whether there is one.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_H
#define JOBQ_CLAIM_H

#include "dispatch/dispatch_scan.h"
#include "job/job.h"

/* How the jobs are found at the moment. */
typedef enum JobqReadyMode
{
	JOBQ_READY_LANES,			/* by what shared memory knows */
	JOBQ_READY_INDEX,			/* by the index, from the first that may be
								 * ready on, lane by lane */
	JOBQ_READY_ALL				/* by the index, from the start */
} JobqReadyMode;

/* Gives a queue's jobs that are ready at `now`, in dispatch order. */
typedef struct JobqReadyScan
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	TimestampTz now;
	TimestampTz next_run_at;	/* earliest job ahead that was seen, or
								 * JOBQ_NEVER */
	bool		unlocked;		/* may be set after jobq_ready_begin() */
	JobqReadyMode mode;
	bool		seeking;		/* the index scan is to be started */
	int			priority;		/* of the lane that is being scanned */
	JobqDispatchScan dispatch;
	TupleTableSlot *locked;		/* of the job handed out */
} JobqReadyScan;

extern void jobq_ready_begin(JobqReadyScan *scan, JobqTable *jobs,
							 const JobqQueue *queue);
extern bool jobq_ready_next(JobqReadyScan *scan, JobqJob *job);
extern bool jobq_ready_can_use_lanes(JobqReadyScan *scan);
extern void jobq_ready_lost(JobqReadyScan *scan);
extern bool jobq_ready_sees_more(JobqReadyScan *scan);
extern void jobq_ready_end(JobqReadyScan *scan);

#endif							/* JOBQ_CLAIM_H */
