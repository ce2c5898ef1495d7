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
typedef enum JobqClaimMode
{
	JOBQ_CLAIM_LANES,			/* by what shared memory knows */
	JOBQ_CLAIM_INDEX,			/* by the index, from the first that may be
								 * ready on, lane by lane */
	JOBQ_CLAIM_ALL				/* by the index, from the start */
} JobqClaimMode;

/* Gives a queue's jobs that are ready at `now`, in dispatch order. */
typedef struct JobqClaimScan
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	TimestampTz now;
	TimestampTz next_run_at;	/* earliest job ahead that was seen, or
								 * JOBQ_NEVER */
	bool		unlocked;		/* may be set after jobq_claim_begin() */
	JobqClaimMode mode;
	bool		seeking;		/* the index scan is to be started */
	int			priority;		/* of the lane that is being scanned */
	JobqDispatchScan dispatch;
	TupleTableSlot *locked;		/* of the job handed out */
} JobqClaimScan;

extern void jobq_claim_begin(JobqClaimScan *scan, JobqTable *jobs,
							 const JobqQueue *queue);
extern bool jobq_claim_next(JobqClaimScan *scan, JobqJob *job);
extern bool jobq_claim_can_use_lanes(JobqClaimScan *scan);
extern void jobq_claim_lost(JobqClaimScan *scan);
extern bool jobq_claim_sees_more(JobqClaimScan *scan);
extern void jobq_claim_end(JobqClaimScan *scan);

#endif							/* JOBQ_CLAIM_H */
