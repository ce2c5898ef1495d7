/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Finding and locking the next ready job of a queue.
 *
 * IDENTIFICATION
 *	  src/claim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_H
#define JOBQ_CLAIM_H

#include "access/genam.h"
#include "access/relscan.h"
#include "job.h"

/* A scan over a queue's jobs that are ready at `now`, in dispatch order. */
typedef struct JobqReadyScan
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	TimestampTz now;
	TimestampTz next_run_at;	/* earliest job ahead that was seen, or
								 * JOBQ_NEVER */
	Relation	index;
	IndexScanDesc scan;
	Snapshot	snapshot;
	TupleTableSlot *slot;		/* of the scan */
	TupleTableSlot *locked;		/* of the job handed out */
} JobqReadyScan;

extern void jobq_ready_begin(JobqReadyScan *scan, JobqTable *jobs,
							 const JobqQueue *queue);
extern bool jobq_ready_next(JobqReadyScan *scan, JobqJob *job);
extern bool jobq_ready_sees_more(JobqReadyScan *scan);
extern void jobq_ready_end(JobqReadyScan *scan);

/* Whether a queue has a ready job, and when its next one is due. */
extern bool jobq_queue_is_ready(const JobqQueue *queue, TimestampTz *next);

#endif							/* JOBQ_CLAIM_H */
