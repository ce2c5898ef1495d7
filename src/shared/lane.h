/*-------------------------------------------------------------------------
 *
 * lane.h
 *	  Where dispatch stands in each queue and priority, in shared memory: the
 *	  cursor, and a ring of candidates.
 *
 * lane.c says what both mean and which rules keep them exact.  Nothing here
 * touches a table, and all but jobq_lane_refill_begin() may be called by
 * commit and abort callbacks: nothing allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/lane.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LANE_H
#define JOBQ_LANE_H

#include "shared/ring.h"
#include "shared/shmem.h"

/* A queue with jobs of more priorities than that has no lanes. */
#define JOBQ_MAX_LANES 64

/* A job's place in its queue, and where its row is. */
typedef struct JobqPlace
{
	JobqKey		key;
	int16		priority;
	ItemPointerData tid;		/* invalid: not known */
} JobqPlace;

typedef enum JobqPop
{
	JOBQ_POP_FOUND,				/* a candidate, which is out of the ring now */
	JOBQ_POP_NOTHING,			/* no job is ready */
	JOBQ_POP_REFILL,			/* the lane is to be refilled first */
	JOBQ_POP_SCAN,				/* somebody refills the lane: scan from there */
	JOBQ_POP_DISCOVER,			/* which priorities there are is not known */
	JOBQ_POP_CROWDED			/* the queue has no lanes: scan it all */
} JobqPop;

/* A refill under way; see jobq_lane_refill_begin(). */
typedef struct JobqRefill
{
	JobqQueueState *state;
	uint64		resets;
	int16		priority;
	JobqKey		from;			/* where to begin, itself included */
	int			room;			/* how many candidates are of use */
} JobqRefill;

/* For startup.c. */
extern void jobq_lane_startup(void);
extern void jobq_lanes_make(JobqQueueState *state);
extern void jobq_lanes_end(JobqQueueState *state);

extern void jobq_lanes_reset_database(Oid dboid);
extern void jobq_lanes_reset(JobqQueueState *state);
extern void jobq_lanes_follow_storage(JobqQueueState *state, Oid storage);

/* A job has become claimable, or may have: its transaction has ended. */
extern void jobq_lane_lower(JobqQueueState *state, const JobqPlace *place);

/* For claims. */
extern JobqPop jobq_lane_pop(JobqQueueState *state, TimestampTz now,
							 JobqPlace *place, TimestampTz *next_run_at);
extern bool jobq_lane_next(JobqQueueState *state, int after, int16 *priority);
extern JobqPop jobq_lane_peek(JobqQueueState *state, int16 priority,
							  const JobqKey *after, TimestampTz now,
							  JobqPlace *place);
extern void jobq_lane_remove(JobqQueueState *state, const JobqPlace *place);
extern JobqKey jobq_lane_floor(JobqQueueState *state, int16 priority);
extern bool jobq_lane_next_due(JobqQueueState *state, int16 priority,
							   TimestampTz now, TimestampTz *next);
extern bool jobq_lanes_see_more(JobqQueueState *state, TimestampTz now);

/* Filling a ring; one at a time per process. */
extern bool jobq_lane_refill_begin(JobqRefill *refill, JobqQueueState *state,
								   int16 priority);
extern void jobq_lane_refill_end(const JobqRefill *refill,
								 const JobqPlace *candidates, int n,
								 const JobqKey *upto);
extern void jobq_lane_refill_abandon(void);

/* Finding out about priorities. */
extern uint64 jobq_lanes_discover_begin(JobqQueueState *state);
extern void jobq_lanes_discover(JobqQueueState *state, uint64 resets,
								int16 priority);
extern void jobq_lanes_discover_end(JobqQueueState *state, uint64 resets);

/* For health: whether lanes are without a ring for want of memory. */
extern bool jobq_lanes_lack_rings(void);

/* For sweep.c: whether claims would come across the job by themselves. */
extern bool jobq_lane_covers(JobqQueueState *state, const JobqPlace *place);

#endif							/* JOBQ_LANE_H */
