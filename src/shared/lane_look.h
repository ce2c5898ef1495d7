/*-------------------------------------------------------------------------
 *
 * lane_look.h
 *	  What is known of a stream's lanes; nothing is taken out.
 *
 * IDENTIFICATION
 *	  src/shared/lane_look.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LANE_LOOK_H
#define JOBQ_LANE_LOOK_H

#include "shared/lane.h"

/* For claims. */
extern bool jobq_lane_next(JobqStream *stream, int after, int16 *priority);
extern JobqPop jobq_lane_peek(JobqStream *stream, int16 priority,
							  const JobqKey *after, TimestampTz now,
							  JobqPlace *place);
extern JobqKey jobq_lane_floor(JobqStream *stream, int16 priority);
extern bool jobq_lane_next_due(JobqStream *stream, int16 priority,
							   TimestampTz now, TimestampTz *next);
extern bool jobq_lanes_see_more(JobqStream *stream, TimestampTz now);
extern bool jobq_lanes_count_due(JobqStream *stream, TimestampTz now,
								 int *njobs, TimestampTz *first);

/* For sweep.c: whether claims would find the job by themselves. */
extern bool jobq_lane_covers(JobqStream *stream, const JobqPlace *place);
extern bool jobq_lane_covers_locked(const JobqStream *stream,
									const JobqPlace *place);

#endif							/* JOBQ_LANE_LOOK_H */
