/*-------------------------------------------------------------------------
 *
 * lane_memory.h
 *	  The memory of lanes and rings: pools that all streams share.
 *
 * The streams' lists of lanes are walked through here, too.  A spinlock guards the
 * pools; the caller holds the lock of the stream that a lane belongs to.
 *
 * IDENTIFICATION
 *	  src/shared/lane_memory.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LANE_MEMORY_H
#define JOBQ_LANE_MEMORY_H

#include "shared/ring.h"
#include "shared/shmem.h"

#define JOBQ_NO_LANE (-1)

/* The pieces of the lanes' pool, by number. */
extern JobqLane *jobq_lanes;

/* For startup.c. */
extern void jobq_lane_startup(void);

extern JobqLane *jobq_lane_allocate(Oid role);
extern void jobq_lane_free(JobqLane *lane, Oid role);
extern void jobq_lane_want_ring(const JobqStream *stream, JobqLane *lane);
extern void jobq_lane_free_ring(const JobqStream *stream, JobqLane *lane);

/*
 * For jobq.health: whether lanes of queues, or of groups, have no ring because
 * memory is short.
 */
extern bool jobq_lanes_lack_rings(bool of_groups);

/* The lanes of a stream, by priority; NULL after the last one.  Its lock is held. */
static inline JobqLane *
jobq_lane_first(const JobqStream *stream)
{
	return stream->first_lane == JOBQ_NO_LANE ? NULL : &jobq_lanes[stream->first_lane];
}

static inline JobqLane *
jobq_lane_after(const JobqLane *lane)
{
	return lane->next == JOBQ_NO_LANE ? NULL : &jobq_lanes[lane->next];
}

/* The lane of a priority, or NULL.  The caller holds the stream's lock. */
static inline JobqLane *
jobq_lane_find(const JobqStream *stream, int16 priority)
{
	JobqLane   *lane = jobq_lane_first(stream);

	while (lane != NULL && lane->priority != priority)
		lane = jobq_lane_after(lane);
	return lane;
}

/* The lane's first candidate, or NULL. */
static inline JobqCandidate *
jobq_lane_front(const JobqLane *lane)
{
	JobqRing   *ring = lane->ring;

	return ring == NULL || ring->n == 0 ? NULL : jobq_ring_entry(ring, 0);
}

#endif							/* JOBQ_LANE_MEMORY_H */
