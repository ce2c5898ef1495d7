/*-------------------------------------------------------------------------
 *
 * lane_refill.h
 *	  Filling the rings of lanes from the index, and finding out which
 *	  priorities a stream has.
 *
 * IDENTIFICATION
 *	  src/shared/lane_refill.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LANE_REFILL_H
#define JOBQ_LANE_REFILL_H

#include "shared/lane.h"

/* A refill under way; see jobq_lane_refill_begin(). */
typedef struct JobqRefill
{
	JobqStream *stream;
	int16		priority;
	JobqKey		from;			/* where to begin, itself included */
	int			room;			/* how many candidates are of use */
} JobqRefill;

/* Filling a ring; one at a time per process. */
extern bool jobq_lane_refill_begin(JobqRefill *refill, JobqStream *stream,
								   int16 priority);
extern void jobq_lane_refill_end(const JobqRefill *refill,
								 const JobqPlace *candidates, int n,
								 const JobqKey *upto);

/* For abort callbacks, too. */
extern void jobq_lane_refill_abandon(void);

/* Finding out about priorities. */
extern uint64 jobq_lanes_discover_begin(JobqStream *stream);
extern void jobq_lanes_discover(JobqStream *stream, uint64 resets,
								int16 priority);
extern void jobq_lanes_discover_end(JobqStream *stream, uint64 resets);

#endif							/* JOBQ_LANE_REFILL_H */
