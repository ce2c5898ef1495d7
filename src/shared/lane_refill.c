/*-------------------------------------------------------------------------
 *
 * lane_refill.c
 *	  Filling the rings of lanes from the index, and discovering a stream's
 *	  priorities.
 *
 * The caller reads the index, between begin and end.  lane.c has the rules.
 *
 * IDENTIFICATION
 *	  src/shared/lane_refill.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lane_refill.h"

#include "shared/lane_memory.h"

/* The refill that this process has begun; NULL: none. */
static JobqStream *refilling_stream = NULL;
static uint64 refilling_resets;
static int16 refilling_priority;

/*
 * This process refills the lane, if there is one (not NULL) and no other process does it.
 * The stream's lock is held exclusively.
 */
static bool
begin_refill(JobqRefill *refill, JobqStream *stream, JobqLane *lane)
{
	if (lane == NULL || lane->refilling)
		return false;
	jobq_lane_want_ring(stream, lane);
	lane->refilling = true;
	lane->refill_low = jobq_last_key;
	refill->stream = stream;
	refill->priority = lane->priority;
	refill->from = lane->cursor;
	refill->room = 0;
	if (lane->ring != NULL)
	{
		JobqRing   *ring = lane->ring;

		/* jobs that come before the last entry may replace others */
		refill->room = ring->n == 0 ||
			jobq_key_is_less(&jobq_ring_entry(ring, ring->n - 1)->key, &lane->cursor) ?
			ring->capacity - ring->n : ring->capacity;
	}
	refilling_stream = stream;
	refilling_resets = stream->resets;
	refilling_priority = lane->priority;
	return true;
}

/*
 * Begins to refill a lane.  Returns false if that is not possible now: another
 * process is doing it, or the lane is gone.  The snapshot with which the index
 * is read must be taken after this.  jobq_lane_refill_end() ends the refill; if
 * the (sub)transaction fails, jobq_lane_refill_abandon() does.
 */
bool
jobq_lane_refill_begin(JobqRefill *refill, JobqStream *stream,
					   int16 priority)
{
	JobqLane   *lane;
	bool		result;

	Assert(refilling_stream == NULL);
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	lane = jobq_lanes_are_known(stream) ?
		jobq_lane_find(stream, priority) : NULL;
	result = begin_refill(refill, stream, lane);
	LWLockRelease(stream->lock);
	return result;
}

/* Whether nobody has read any of the lane yet. */
static bool
is_unread(const JobqLane *lane)
{
	return jobq_key_compare(&lane->cursor, &jobq_first_key) == 0;
}

/*
 * The same for the first lane of a stream whose priorities are not known, to be read by
 * the scan that looks for them, which begins before the lane.  So nothing of it may have
 * been read: below the cursor, the ring may have later versions of the jobs than the scan.
 */
bool
jobq_lane_fill_begin(JobqRefill *refill, JobqStream *stream)
{
	JobqLane   *lane = NULL;
	bool		result;

	Assert(refilling_stream == NULL);
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	if (!stream->discovered && !stream->crowded)
		lane = jobq_lane_first(stream);
	result = begin_refill(refill, stream,
						  lane != NULL && is_unread(lane) ? lane : NULL);
	LWLockRelease(stream->lock);
	return result;
}

/* Ends this process's refill.  Returns its lane; NULL if that is gone. */
static JobqLane *
end_refill(JobqStream *stream)
{
	JobqLane   *lane = stream->resets == refilling_resets ?
	jobq_lane_find(stream, refilling_priority) : NULL;

	refilling_stream = NULL;
	if (lane != NULL)
		lane->refilling = false;
	return lane;
}

/*
 * Ends a refill.  From where it began, these candidates were found, in order,
 * and no others below *upto.
 */
void
jobq_lane_refill_end(const JobqRefill *refill, const JobqPlace *candidates,
					 int n, const JobqKey *upto)
{
	JobqLane   *lane;

	Assert(refilling_stream == refill->stream);
	LWLockAcquire(refill->stream->lock, LW_EXCLUSIVE);
	lane = end_refill(refill->stream);
	if (lane != NULL)
	{
		lane->cursor = jobq_key_is_less(&lane->refill_low, upto) ?
			lane->refill_low : *upto;
		for (int i = 0; i < n && jobq_key_is_less(&candidates[i].key, &lane->cursor);
			 i++)
			jobq_lane_put(refill->stream, lane, &candidates[i].key,
						  &candidates[i].tid, true);
	}
	LWLockRelease(refill->stream->lock);
}

/* Gives up the refill of this process, if there is one. */
void
jobq_lane_refill_abandon(void)
{
	JobqStream *stream = refilling_stream;

	if (stream == NULL)
		return;
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	(void) end_refill(stream);
	LWLockRelease(stream->lock);
}

/* --------------------------------------------------------------- discovery */

/*
 * Discovering the priorities of a stream's jobs: begin, take a snapshot, report
 * each priority that it shows, end.  Transactions that commit meanwhile create
 * their lanes themselves.  The others take the result of the first.
 */
uint64
jobq_lanes_discover_begin(JobqStream *stream)
{
	uint64		resets;

	LWLockAcquire(stream->lock, LW_SHARED);
	resets = stream->resets;
	LWLockRelease(stream->lock);
	return resets;
}

/* The stream has jobs of this priority; no effect if it was reset since. */
void
jobq_lanes_discover(JobqStream *stream, uint64 resets, int16 priority)
{
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	if (stream->resets == resets && !stream->discovered)
		(void) jobq_lane_get(stream, priority);
	LWLockRelease(stream->lock);
}

/* All priorities have been reported; no effect after a reset. */
void
jobq_lanes_discover_end(JobqStream *stream, uint64 resets)
{
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	if (stream->resets == resets)
		stream->discovered = true;
	LWLockRelease(stream->lock);
}
