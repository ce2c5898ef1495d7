/*-------------------------------------------------------------------------
 *
 * lane_refill.h
 *	  Filling the rings of lanes from the index, and discovering a stream's
 *	  priorities.
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
	JobqKey		from;			/* the first key to read */
	int			room;			/* how many candidates are useful */
} JobqRefill;

/* Filling a ring: a process does one refill at a time. */
extern bool jobq_lane_refill_begin(JobqRefill *refill, JobqStream *stream,
								   int16 priority);
extern bool jobq_lane_fill_begin(JobqRefill *refill, JobqStream *stream);
extern void jobq_lane_refill_end(const JobqRefill *refill,
								 const JobqPlace *candidates, int n,
								 const JobqKey *upto);

/* For abort callbacks, too. */
extern void jobq_lane_refill_abandon(void);

/* Discovering priorities. */
extern uint64 jobq_lanes_discover_begin(JobqStream *stream);
extern void jobq_lanes_discover(JobqStream *stream, uint64 resets,
								int16 priority);
extern void jobq_lanes_discover_end(JobqStream *stream, uint64 resets);

#endif							/* JOBQ_LANE_REFILL_H */
