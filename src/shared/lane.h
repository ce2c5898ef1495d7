/*-------------------------------------------------------------------------
 *
 * lane.h
 *	  The position of dispatch in each stream and priority, in shared memory:
 *	  a cursor, and a ring of candidates.
 *
 * lane.c explains both, and the rules that keep them exact.  No function
 * touches a table, allocates memory or raises an error, so commit and abort
 * callbacks may call all of them.
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

/* A job's place in its queue, and where its row is. */
typedef struct JobqPlace
{
	JobqKey		key;
	int16		priority;
	ItemPointerData tid;		/* invalid: not known */
	const char *group;			/* the name, NULL: none */
} JobqPlace;

typedef enum JobqPop
{
	JOBQ_POP_FOUND,				/* a candidate, taken out of the ring */
	JOBQ_POP_NOTHING,			/* no job is ready */
	JOBQ_POP_REFILL,			/* the lane must be refilled first */
	JOBQ_POP_SCAN,				/* another process is refilling the lane: scan
								 * the index from the place returned */
	JOBQ_POP_DISCOVER,			/* the stream's priorities are not known */
	JOBQ_POP_CROWDED			/* the stream has no lanes: scan the index
								 * from its start */
} JobqPop;

/* For startup.c. */
extern void jobq_lane_startup(void);

extern void jobq_lanes_make(JobqStream *stream, LWLock *lock, Oid role);
extern void jobq_lanes_end(JobqStream *stream);
extern void jobq_lanes_make_of_group(JobqStream *stream,
									 const JobqStream *of_queue, bool known);
extern void jobq_lanes_forget(JobqStream *stream);

extern void jobq_lanes_reset(JobqStream *stream);
extern void jobq_lanes_follow_storage(JobqStream *stream, Oid storage);

/*
 * A job has become claimable, or may have: its transaction has ended.  Returns
 * the number of claims that this makes possible: 1 if the job is due, else 0.
 */
extern int	jobq_lane_lower(JobqStream *stream, const JobqPlace *place,
							TimestampTz now);

extern void jobq_lane_lower_locked(JobqStream *stream, const JobqPlace *place);

/* For claims. */
extern JobqPop jobq_lanes_judge(const JobqStream *stream, TimestampTz now,
								TimestampTz *next_run_at);
extern JobqPop jobq_lane_pop(JobqStream *stream, TimestampTz now,
							 JobqPlace *place, TimestampTz *next_run_at);
extern bool jobq_lane_next(JobqStream *stream, int after, int16 *priority);
extern JobqPop jobq_lane_peek(JobqStream *stream, int16 priority,
							  const JobqKey *after, TimestampTz now,
							  JobqPlace *place);
extern void jobq_lane_remove(JobqStream *stream, const JobqPlace *place);
extern bool jobq_lane_remove_locked(const JobqStream *stream,
									const JobqPlace *place);
extern JobqKey jobq_lane_floor(JobqStream *stream, int16 priority);
extern bool jobq_lane_next_due(JobqStream *stream, int16 priority,
							   TimestampTz now, TimestampTz *next);
extern bool jobq_lanes_see_more(JobqStream *stream, TimestampTz now);
extern bool jobq_lanes_count_due(JobqStream *stream, TimestampTz now,
								 int *njobs, TimestampTz *first);

/*
 * For jobq.health: whether lanes of queues, or of groups, have no ring because
 * memory is short.
 */
extern bool jobq_lanes_lack_rings(bool of_groups);

/* Whether a stream is crowded for lack of lanes.  Without the lock, a hint. */
static inline bool
jobq_lanes_lack_room(const JobqStream *stream)
{
	return stream->crowded && stream->nlanes < JOBQ_MAX_LANES;
}

/* For sweep.c: whether claims would find the job by themselves. */
extern bool jobq_lane_covers(JobqStream *stream, const JobqPlace *place);
extern bool jobq_lane_covers_locked(const JobqStream *stream,
									const JobqPlace *place);

/*
 * For lane_refill.c, which holds the stream's lock: exclusively, except for the
 * first two.
 */
static inline bool
jobq_lanes_are_known(const JobqStream *stream)
{
	return stream->discovered && !stream->crowded;
}

extern JobqLane *jobq_lane_find(const JobqStream *stream, int16 priority);
extern JobqLane *jobq_lane_get(JobqStream *stream, int16 priority);
extern void jobq_lane_want_ring(const JobqStream *stream, JobqLane *lane);
extern void jobq_lane_put(const JobqStream *stream, JobqLane *lane,
						  const JobqKey *key, const ItemPointerData *tid,
						  bool by_index);

#endif							/* JOBQ_LANE_H */
