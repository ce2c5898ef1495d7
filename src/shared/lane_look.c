/*-------------------------------------------------------------------------
 *
 * lane_look.c
 *	  What is known of a stream's lanes; nothing is taken out.
 *
 * Each answer is out of date when the lock is released.  lane.c has the rules.
 *
 * IDENTIFICATION
 *	  src/shared/lane_look.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lane_look.h"

#include "shared/lane_memory.h"

/*
 * The next priority after the given one that has a lane (the first one, if the
 * number is below all priorities); false if there is none.
 */
bool
jobq_lane_next(JobqStream *stream, int after, int16 *priority)
{
	bool		found = false;

	LWLockAcquire(stream->lock, LW_SHARED);
	for (const JobqLane *lane = jobq_lane_first(stream);
		 lane != NULL && !found; lane = jobq_lane_after(lane))
	{
		if (lane->priority > after)
		{
			*priority = lane->priority;
			found = true;
		}
	}
	LWLockRelease(stream->lock);
	return found;
}

/* The first candidate of a lane whose key is above `after`; NULL: there is none. */
static const JobqCandidate *
candidate_after(const JobqLane *lane, const JobqKey *after)
{
	JobqRing   *ring = lane->ring;
	int			position;

	if (ring == NULL)
		return NULL;
	position = jobq_ring_position(ring, after);
	if (position < ring->n &&
		jobq_key_compare(&jobq_ring_entry(ring, position)->key, after) == 0)
		position++;
	return position < ring->n ? jobq_ring_entry(ring, position) : NULL;
}

/*
 * FOUND: the first candidate of a lane whose key is above `after`; it stays in
 * the ring.  Otherwise as for jobq_lane_pop().
 */
JobqPop
jobq_lane_peek(JobqStream *stream, int16 priority, const JobqKey *after,
			   TimestampTz now, JobqPlace *place)
{
	JobqPop		result;
	JobqLane   *lane;

	LWLockAcquire(stream->lock, LW_SHARED);
	result = jobq_lanes_judge_stream(stream);
	if (result == JOBQ_POP_FOUND)
	{
		result = JOBQ_POP_NOTHING;
		lane = jobq_lane_find(stream, priority);
		if (lane != NULL)
		{
			const JobqCandidate *candidate = candidate_after(lane, after);

			result = jobq_lane_judge_candidate(lane, candidate, now);
			place->priority = priority;
			place->key = lane->cursor;
			if (result == JOBQ_POP_FOUND)
			{
				place->key = candidate->key;
				place->tid = candidate->tid;
			}
		}
	}
	LWLockRelease(stream->lock);
	return result;
}

/*
 * A key below which no job can be claimed, except jobs that a transaction
 * currently holds.
 */
JobqKey
jobq_lane_floor(JobqStream *stream, int16 priority)
{
	JobqKey		result = jobq_first_key;

	LWLockAcquire(stream->lock, LW_SHARED);
	if (jobq_lanes_judge_stream(stream) == JOBQ_POP_FOUND)
	{
		const JobqLane *lane = jobq_lane_find(stream, priority);
		const JobqCandidate *front = lane != NULL ? jobq_lane_front(lane) : NULL;

		result = lane != NULL ? lane->cursor : jobq_last_key;
		if (front != NULL && jobq_key_is_less(&front->key, &result))
			result = front->key;
	}
	LWLockRelease(stream->lock);
	return result;
}

/*
 * The time at which the first future job of a lane is due; JOBQ_NEVER if there
 * is none.  Returns false if that is not known.
 */
bool
jobq_lane_next_due(JobqStream *stream, int16 priority, TimestampTz now,
				   TimestampTz *next)
{
	bool		known = false;
	const JobqLane *lane;

	*next = JOBQ_NEVER;
	LWLockAcquire(stream->lock, LW_SHARED);
	lane = jobq_lanes_judge_stream(stream) == JOBQ_POP_FOUND ?
		jobq_lane_find(stream, priority) : NULL;
	if (lane != NULL)
	{
		JobqKey		key = {now, PG_INT64_MAX};
		JobqRing   *ring = lane->ring;
		int			position = ring == NULL ? 0 : jobq_ring_position(ring, &key);

		known = lane->cursor.run_at > now;
		*next = lane->cursor.run_at;
		if (ring != NULL && position < ring->n)
			*next = Min(*next, jobq_ring_entry(ring, position)->key.run_at);
	}
	LWLockRelease(stream->lock);
	return known;
}

/* Whether there seems to be a ready job; a hint. */
bool
jobq_lanes_see_more(JobqStream *stream, TimestampTz now)
{
	bool		result;

	LWLockAcquire(stream->lock, LW_SHARED);
	result = jobq_lanes_judge_stream(stream) != JOBQ_POP_FOUND;
	for (const JobqLane *lane = jobq_lane_first(stream);
		 lane != NULL && !result; lane = jobq_lane_after(lane))
		result = jobq_lane_judge(lane, now) != JOBQ_POP_NOTHING;
	LWLockRelease(stream->lock);
	return result;
}

/*
 * Counts the candidates that are due, and sets *first to the earliest run_at.
 * Some may be gone.  False if there may be others, which are not in memory.
 */
bool
jobq_lanes_count_due(JobqStream *stream, TimestampTz now, int *njobs,
					 TimestampTz *first)
{
	JobqKey		key = {now, PG_INT64_MAX};
	bool		known;

	*njobs = 0;
	*first = JOBQ_NEVER;
	LWLockAcquire(stream->lock, LW_SHARED);
	known = jobq_lanes_judge_stream(stream) == JOBQ_POP_FOUND;
	for (const JobqLane *lane = jobq_lane_first(stream);
		 lane != NULL && known; lane = jobq_lane_after(lane))
	{
		const JobqCandidate *front = jobq_lane_front(lane);

		known = lane->cursor.run_at > now;
		if (front == NULL || front->key.run_at > now)
			continue;
		*njobs += jobq_ring_position(lane->ring, &key);
		*first = Min(*first, front->key.run_at);
	}
	LWLockRelease(stream->lock);
	return known;
}

/*
 * Whether claims would find a job by themselves: its row version is in the
 * ring, or its key is at or above the cursor.  The stream's lock is held.
 */
bool
jobq_lane_covers_locked(const JobqStream *stream, const JobqPlace *place)
{
	const JobqLane *lane;
	const JobqCandidate *entry;
	int			position;

	if (jobq_lanes_judge_stream(stream) != JOBQ_POP_FOUND)
		return true;
	lane = jobq_lane_find(stream, place->priority);
	if (lane == NULL)
		return false;
	if (!jobq_key_is_less(&place->key, &lane->cursor))
		return true;
	if (lane->ring == NULL)
		return false;
	position = jobq_ring_position(lane->ring, &place->key);
	if (position == lane->ring->n)
		return false;
	entry = jobq_ring_entry(lane->ring, position);
	return jobq_key_compare(&entry->key, &place->key) == 0 &&
		ItemPointerEquals((ItemPointer) &entry->tid,
						  (ItemPointer) &place->tid);
}

/* The same; a hint if the lane changes meanwhile. */
bool
jobq_lane_covers(JobqStream *stream, const JobqPlace *place)
{
	bool		result;

	LWLockAcquire(stream->lock, LW_SHARED);
	result = jobq_lane_covers_locked(stream, place);
	LWLockRelease(stream->lock);
	return result;
}
