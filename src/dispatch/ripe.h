/*-------------------------------------------------------------------------
 *
 * ripe.h
 *	  Whether a queue's next batch is to be handed out, or waits for more
 *	  jobs.
 *
 * IDENTIFICATION
 *	  src/dispatch/ripe.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RIPE_H
#define JOBQ_RIPE_H

#include "dispatch/dispatch_scan.h"

/*
 * Whether the jobs that are ready now are to be handed out.  Ends the scan that
 * is under way.  If not, *ripe_at is when the first one has waited enough
 * (JOBQ_NEVER: none is ready).  by_lanes: the stream's lanes can be used.
 */
extern bool jobq_ripe_judge(JobqDispatchScan *dispatch, bool by_lanes,
							TimestampTz now, TimestampTz *ripe_at);

/*
 * Waits until no other claim of the queue is under way.  Claims wait for nothing
 * that others hold until they commit, so this does not take long.
 */
extern void jobq_ripe_begin_turn(const JobqQueue *queue);
extern void jobq_ripe_end_turn(const JobqQueue *queue);

#endif							/* JOBQ_RIPE_H */
