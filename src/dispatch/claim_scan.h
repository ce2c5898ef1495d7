/*-------------------------------------------------------------------------
 *
 * claim_scan.h
 *	  The state of a claim, and how it holds the jobs that it finds.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_SCAN_H
#define JOBQ_CLAIM_SCAN_H

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
	JOBQ_CLAIM_DROPPED,			/* LOCKED, of those without a group, and it
								 * will not run: it needs no ticket.  The
								 * caller has a pin on the queue */
	JOBQ_CLAIM_LOOK				/* none is handed out */
} JobqClaimHold;

/* Where a claim looks for jobs of a queue with groups, in this order. */
typedef enum JobqClaimStage
{
	JOBQ_STAGE_PLAIN,			/* in those without a group, if the queue has
								 * no room in shared memory */
	JOBQ_STAGE_TURNS,			/* in the stream whose turn it is */
	JOBQ_STAGE_OWN_PLAIN,		/* in those that this transaction has added */
	JOBQ_STAGE_OWN,				/* the same, in groups */
	JOBQ_STAGE_LENT,			/* in groups of which it ends jobs */
	JOBQ_STAGE_INDEX,			/* in groups that have no room */
	JOBQ_STAGE_OVERDUE,			/* in those without a group once more: leases
								 * may be over, and there is no coordinator */
	JOBQ_STAGE_END
} JobqClaimStage;

/* Gives a queue's jobs that are ready at `now`, in dispatch order. */
typedef struct JobqClaimScan
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	TimestampTz now;
	TimestampTz next_run_at;	/* earliest future run_at that was seen, or
								 * JOBQ_NEVER */
	JobqClaimHold hold;
	JobqClaimMode mode;			/* in the stream at hand */
	bool		shared;			/* the jobs run one after the other in this
								 * transaction */
	bool		in_batch;		/* the jobs share a ticket */
	bool		has_ticket;		/* and one of them has it */
	bool		has_turn;		/* see jobq_ripe_begin_turn() */
	bool		is_ripe;		/* the jobs need not wait for a full batch */
	bool		takes_turns;	/* the queue may have groups with jobs */
	JobqClaimStage stage;
	bool		in_stage;		/* the stage has begun */
	bool		goes_on;		/* in the stream at hand: the job returned
								 * last was lost */
	bool		no_room;		/* no group has found room in shared memory */
	bool		has_drawn;		/* it has come to a turn */
	bool		may_read;		/* reading groups may lead further */
	int			laps_left;		/* how often it may come to the end of them */
	bool		told;			/* a group that had its turn has got jobs
								 * since, and nobody was woken for them */
	int			turns_left;		/* until each group had its turn */
	int			lender;			/* see jobq_lease_end_lend_group() */
	int64		until;			/* looks stop then, by jobq_stopwatch() */
	bool		in_order;		/* jobs of the stream at hand are not
								 * overtaken */
	TimestampTz blocked_until;	/* its first job cannot be claimed until then;
								 * DT_NOBEGIN: nothing is known of that */
	int16		blocked_priority;	/* of that job */
	bool		left_some;		/* there may be more ready jobs */
	bool		seeking;		/* the index scan is to be started */
	JobqStart	start;			/* of the job that was returned last, or of
								 * its batch */
	JobqGroupStart group_start; /* the same of its group */
	TimestampTz started_at;		/* its time */
	int			priority;		/* of the lane that is being scanned */
	JobqDispatchScan dispatch;
	TupleTableSlot *locked;		/* of the job handed out */
} JobqClaimScan;

/*
 * Whether the stream's lanes can be used; finds out which there are if that is not
 * known yet.
 */
extern bool jobq_claim_can_use_lanes(JobqClaimScan *scan);

/*
 * For the modules that find jobs (claim_stream.c).  Of the row that was read last: it is
 * locked and read again into scan->locked, without waiting; its job is held as the claim
 * was told; the batch at hand has it already.  The lock has been noted; the note is
 * withdrawn if the row cannot be locked.
 */
extern bool jobq_claim_lock_row(JobqClaimScan *scan);
extern bool jobq_claim_take_hold(JobqClaimScan *scan, JobqJob *job);
extern bool jobq_claim_is_in_batch(const JobqClaimScan *scan);

#endif							/* JOBQ_CLAIM_SCAN_H */
