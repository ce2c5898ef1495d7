/*-------------------------------------------------------------------------
 *
 * claim_stream.h
 *	  Finding the next ready job of a stream.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_stream.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_STREAM_H
#define JOBQ_CLAIM_STREAM_H

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
	bool		may_read;		/* reading groups may lead further */
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
 * Turns to a stream of the queue: that of its jobs without a group (NULL), or of a
 * group.  stream: NULL if there is no room for it in shared memory.  in_order: its
 * jobs are not overtaken.
 */
extern void jobq_claim_turn_to(JobqClaimScan *scan, JobqStream *stream,
							   const char *group, bool in_order);

/*
 * Gives the stream's next ready job, held as jobq_claim_begin() was told.  False
 * if there is none.
 */
extern bool jobq_claim_of_stream(JobqClaimScan *scan, JobqJob *job);

/*
 * A job of the stream, of which `slot` may have the row, cannot be claimed.  Returns
 * whether those behind it have to wait: the stream is in order, and the job is held,
 * or another transaction has locked it.  Then blocked_until is set, and the coordinator
 * looks then.  May end the current command.  A claim moves a job that is held for
 * options that were changed.
 */
extern bool jobq_claim_is_blocked(JobqClaimScan *scan, const JobqPlace *place,
								  TupleTableSlot *slot);

/*
 * The same for a candidate that is not in the lanes any more, with the scan's slot: a
 * blocked job is looked for in the index when the stream is asked again.
 */
extern bool jobq_claim_is_blocked_at(JobqClaimScan *scan,
									 const JobqPlace *place);

/* Whether there seems to be another one, after one has been found. */
extern bool jobq_claim_stream_sees_more(JobqClaimScan *scan);

/*
 * Whether the stream's lanes can be used; finds out which there are if that is not
 * known yet.
 */
extern bool jobq_claim_can_use_lanes(JobqClaimScan *scan);

/*
 * The earliest future run_at of the stream's jobs whose priorities are below `before`, or
 * of those of one priority; JOBQ_NEVER if there are none.  It may be somewhat earlier.
 */
extern TimestampTz jobq_claim_next_due(JobqClaimScan *scan, int before);
extern TimestampTz jobq_claim_next_of_priority(JobqClaimScan *scan, int16 priority);

/* The next higher priority that has jobs. */
extern bool jobq_claim_next_priority(JobqClaimScan *scan, int after, bool by_lanes,
									 int16 *priority);

/*
 * When the group at hand, whose first job is blocked, may start one: then, or when a job
 * of a lower priority is due, if that is earlier; next_run_at is lowered to that, and the
 * coordinator looks then.  The caller has a ticket.  DT_NOBEGIN: it is not blocked.
 */
extern TimestampTz jobq_claim_blocked_until(JobqClaimScan *scan);

/*
 * Whether jobs of the stream are to be handed out, rather than wait for a full batch.
 * If not, *ripe_at is when the first one has waited enough, or in a group one more is
 * due (JOBQ_NEVER: none is ready); next_run_at is lowered to that, and the coordinator
 * looks then.  The caller has a ticket or a pin.
 */
extern bool jobq_claim_ripens(JobqClaimScan *scan, TimestampTz *ripe_at);

#endif							/* JOBQ_CLAIM_STREAM_H */
