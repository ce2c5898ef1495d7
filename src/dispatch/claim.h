/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Finding and claiming the next ready job of a queue, and checking whether
 *	  there is one.
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
#include "queue/start.h"

/* How the jobs are found at the moment. */
typedef enum JobqClaimMode
{
	JOBQ_CLAIM_LANES,			/* through the lanes in shared memory */
	JOBQ_CLAIM_INDEX,			/* by index scan, lane by lane, from the first
								 * job that may be ready */
	JOBQ_CLAIM_ALL				/* by index scan from the start */
} JobqClaimMode;

/* How a job is held that was handed out. */
typedef enum JobqClaimHold
{
	JOBQ_CLAIM_UNLOCKED,		/* not: the caller changes or deletes the row
								 * as it was seen, and calls jobq_claim_lost()
								 * if somebody else was faster; this saves a
								 * WAL record and a visit to the page */
	JOBQ_CLAIM_LOCKED,			/* until the end of the transaction */
	JOBQ_CLAIM_KEPT,			/* the same; and its values are copied, so
								 * that no page is pinned while it runs */
	JOBQ_CLAIM_DROPPED,			/* LOCKED, and it will not run: it needs no
								 * ticket.  The caller has a pin on the queue */
	JOBQ_CLAIM_LOOK				/* none is handed out */
} JobqClaimHold;

/* Gives a queue's jobs that are ready at `now`, in dispatch order. */
typedef struct JobqClaimScan
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	TimestampTz now;
	TimestampTz next_run_at;	/* earliest future run_at that was seen, or
								 * JOBQ_NEVER */
	JobqClaimHold hold;
	JobqClaimMode mode;
	bool		shared;			/* the jobs run one after the other in this
								 * transaction */
	bool		in_batch;		/* the jobs share a ticket */
	bool		has_ticket;		/* and one of them has it */
	bool		has_turn;		/* see jobq_ripe_begin_turn() */
	bool		is_ripe;		/* the jobs need not wait for a full batch */
	bool		left_some;		/* there may be more ready jobs */
	JobqStart	start;			/* of the job that was returned last, or of
								 * its batch */
	TimestampTz started_at;		/* its time */
	bool		seeking;		/* the index scan is to be started */
	int			priority;		/* of the lane that is being scanned */
	JobqDispatchScan dispatch;
	TupleTableSlot *locked;		/* of the job handed out */
} JobqClaimScan;

extern void jobq_claim_begin(JobqClaimScan *scan, JobqTable *jobs,
							 const JobqQueue *queue, JobqClaimHold hold,
							 TimestampTz ready_by);
extern bool jobq_claim_next(JobqClaimScan *scan, JobqJob *job);
extern bool jobq_claim_is_ripe(JobqClaimScan *scan);
extern bool jobq_claim_can_use_lanes(JobqClaimScan *scan);
extern void jobq_claim_lost(JobqClaimScan *scan);
extern bool jobq_claim_sees_more(JobqClaimScan *scan);
extern void jobq_claim_end(JobqClaimScan *scan);

#endif							/* JOBQ_CLAIM_H */
