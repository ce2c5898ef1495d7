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
extern void jobq_lane_remove(JobqStream *stream, const JobqPlace *place);
extern bool jobq_lane_remove_locked(const JobqStream *stream,
									const JobqPlace *place);

/* Whether a stream is crowded for lack of lanes.  Without the lock, a hint. */
static inline bool
jobq_lanes_lack_room(const JobqStream *stream)
{
	return stream->crowded && stream->nlanes < JOBQ_MAX_LANES;
}

/*
 * For lane_look.c, which holds the stream's lock: what a claim would do for the next
 * job of a lane, for a candidate, and whether the stream's lanes can be used.
 */
extern JobqPop jobq_lane_judge(const JobqLane *lane, TimestampTz now);
extern JobqPop jobq_lane_judge_candidate(const JobqLane *lane,
										 const JobqCandidate *candidate,
										 TimestampTz now);
extern JobqPop jobq_lanes_judge_stream(const JobqStream *stream);

/*
 * For lane_refill.c and roster_read.c, which hold the stream's lock: exclusively, except
 * for the first one.
 */
static inline bool
jobq_lanes_are_known(const JobqStream *stream)
{
	return stream->discovered && !stream->crowded;
}

extern JobqLane *jobq_lane_get(JobqStream *stream, int16 priority);
extern void jobq_lane_put(const JobqStream *stream, JobqLane *lane,
						  const JobqKey *key, const ItemPointerData *tid,
						  bool by_index);

#endif							/* JOBQ_LANE_H */
