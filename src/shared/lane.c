/*-------------------------------------------------------------------------
 *
 * lane.c
 *	  The position of dispatch in each stream and priority, in shared memory:
 *	  a cursor, and a ring of candidates.
 *
 * A worker that looks for a job should not walk over the index entries of all
 * finished jobs, which pile up while an old transaction may still see them, or
 * compete with all other workers for the first row.  So the jobs of a queue are
 * a stream, with a lane for each priority.  A lane has
 *
 *	ring	candidates: keys (run_at, id) of jobs, in order, and their rows' TIDs
 *	cursor	the key from which on the index has not been read yet
 *
 * A claim takes a candidate out of the ring, looks at its row, and changes the
 * row if it is free.  Shared memory only gives hints; the row decides.
 *
 * The invariant: a committed job that can be claimed is in the ring, or its
 * key is not below the cursor, or it is held by a transaction that will call
 * jobq_lane_lower() for it when it ends.
 *
 * These rules preserve it:
 *
 * - A transaction that has made a job claimable calls jobq_lane_lower() after
 *	 it has become visible.  So does one that had locked a claimable job, after
 *	 it has released the lock by rolling back, or by committing without having
 *	 changed the job (ready.c).  A key below the cursor goes into the ring; if
 *	 the ring has no room for it, the cursor moves down.
 * - A claim reserves a note before it takes a candidate out of the ring, so
 *	 that an error before the claim is complete lowers it again.  It may drop
 *	 the candidate silently only if the row shows that another transaction will
 *	 call jobq_lane_lower(), or has done so: the row is locked, or this version
 *	 of it is gone.
 * - Only a refill (lane_refill.c) moves the cursor up.  It reads the index,
 *	 starting at the cursor, with a snapshot taken after
 *	 jobq_lane_refill_begin().  The snapshot may have missed keys that were
 *	 lowered since then, so the cursor moves no further than the least of them
 *	 (refill_low).  A lane has one refill at a time.
 * - Candidates with the same key are the same job.  If a refill brings a TID
 *	 that differs from the one in the ring, it replaces that one.  But
 *	 transactions call jobq_lane_lower() in any order after they end, so if two
 *	 TIDs come that way, it is not known which is the later one: both are
 *	 dropped, and the cursor moves down.
 *
 * When a prepared transaction ends, no callbacks are called here (mark.h), and
 * a rewritten table has different TIDs.  In these cases everything known about
 * the streams concerned is dropped, which is always allowed.  test/model has a
 * model of the protocol, with the names of the functions here.
 *
 * If a stream's priorities are not known (discovered is false), the next claim
 * reads them from the index.  After that, a priority without a lane has no
 * claimable jobs.  A stream with too many priorities, or one for which shared
 * memory has no lane left, is crowded: claims scan its index from the start.
 *
 * A stream's lock, one of a fixed set, guards all of its lanes; a spinlock,
 * taken inside it, guards the pools.
 *
 * IDENTIFICATION
 *	  src/shared/lane.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lane.h"

#include "shared/lane_memory.h"

/* A ring is refilled in advance when at most this fraction of it is left. */
#define LOW_WATER 8

/* Moves the cursor down to the key, if it is above. */
static void
lower_cursor(JobqLane *lane, const JobqKey *key)
{
	if (jobq_key_is_less(key, &lane->cursor))
		lane->cursor = *key;
	if (lane->refilling && jobq_key_is_less(key, &lane->refill_low))
		lane->refill_low = *key;
}

/*
 * Makes sure that the lane knows of a job: puts it into the ring, or lowers the
 * cursor to it.  The caller holds the stream's lock exclusively.
 *
 * by_index: a refill has read the job, with a snapshot that is later than all
 * candidates in the ring at or above the key where the refill began.
 */
void
jobq_lane_put(const JobqStream *stream, JobqLane *lane, const JobqKey *key,
			  const ItemPointerData *tid, bool by_index)
{
	JobqRing   *ring;
	int			position;

	if (jobq_key_is_less(key, &lane->cursor) && ItemPointerIsValid(tid))
		jobq_lane_want_ring(stream, lane);
	if (!jobq_key_is_less(key, &lane->cursor) || !ItemPointerIsValid(tid) ||
		lane->ring == NULL)
	{
		/* the index will be read from here; no effect above the cursor */
		lower_cursor(lane, key);
		return;
	}

	ring = lane->ring;
	position = jobq_ring_position(ring, key);
	if (position < ring->n &&
		jobq_key_compare(&jobq_ring_entry(ring, position)->key, key) == 0)
	{
		JobqCandidate *entry = jobq_ring_entry(ring, position);

		/* the same job: only a refill's TID is known to be the later one */
		if (by_index)
			entry->tid = *tid;
		else if (!ItemPointerEquals(&entry->tid, (ItemPointer) tid))
		{
			jobq_ring_delete(ring, position);
			lower_cursor(lane, key);
		}
		return;
	}
	if (ring->n == ring->capacity)
	{
		/* full: drop the last candidate, and move the cursor back to it */
		JobqKey		last = jobq_ring_entry(ring, ring->n - 1)->key;

		if (position == ring->n)
		{
			lower_cursor(lane, key);
			return;
		}
		ring->n--;
		lower_cursor(lane, &last);
	}
	jobq_ring_insert(ring, position, key, tid);
}

/*
 * The lane of a priority, created if necessary.  NULL if there is no room, or
 * if the stream has ended and the caller's pointer is out of date (nobody would
 * free the lane); then the stream is crowded.  The caller holds its lock
 * exclusively.
 */
JobqLane *
jobq_lane_get(JobqStream *stream, int16 priority)
{
	JobqLane   *lane = jobq_lane_find(stream, priority);
	int		   *link = &stream->first_lane;

	if (lane != NULL)
		return lane;
	lane = stream->nlanes < JOBQ_MAX_LANES && !stream->forgotten ?
		jobq_lane_allocate(stream->role) : NULL;
	if (lane == NULL)
	{
		stream->crowded = true;
		return NULL;
	}
	while (*link != JOBQ_NO_LANE && jobq_lanes[*link].priority < priority)
		link = &jobq_lanes[*link].next;
	lane->next = *link;
	lane->ring = NULL;
	lane->priority = priority;
	lane->refilling = false;
	lane->cursor = stream->discovered ? jobq_last_key : jobq_first_key;
	lane->refill_low = jobq_last_key;
	*link = lane - jobq_lanes;
	stream->nlanes++;
	return lane;
}

/* Forgets everything known about a stream; the caller holds its lock. */
static void
forget_all(JobqStream *stream)
{
	while (stream->first_lane != JOBQ_NO_LANE)
	{
		JobqLane   *lane = &jobq_lanes[stream->first_lane];

		stream->first_lane = lane->next;
		jobq_lane_free_ring(stream, lane);
		jobq_lane_free(lane, stream->role);
	}
	stream->nlanes = 0;
	stream->discovered = false;
	stream->crowded = false;
	stream->storage = InvalidOid;
	stream->resets = pg_atomic_fetch_add_u64(&jobq_shared->lane_resets, 1) + 1;
}

/*
 * Initializes a queue's stream in memory that belonged to no stream, or to one with
 * the same lock, so that an outdated pointer cannot lead to the wrong lock.  The
 * caller holds that lock.
 */
void
jobq_lanes_make(JobqStream *stream, LWLock *lock, Oid role)
{
	stream->lock = lock;
	stream->role = role;
	stream->first_lane = JOBQ_NO_LANE;
	stream->is_group = false;
	stream->forgotten = false;
	forget_all(stream);
}

/*
 * Makes the stream of a group; the queue's lock, which is the group's, too, is
 * held.  known: nothing of it can be claimed yet, but for what some transaction
 * holds.
 */
void
jobq_lanes_make_of_group(JobqStream *stream, const JobqStream *of_queue,
						 bool known)
{
	stream->lock = of_queue->lock;
	stream->role = of_queue->role;
	stream->first_lane = JOBQ_NO_LANE;
	stream->is_group = true;
	stream->forgotten = false;
	forget_all(stream);
	stream->storage = of_queue->storage;
	stream->discovered = known;
}

/* Forgets what is known of a stream, whose lock is held. */
void
jobq_lanes_forget(JobqStream *stream)
{
	forget_all(stream);
}

/* The stream of a queue is about to end. */
void
jobq_lanes_end(JobqStream *stream)
{
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	forget_all(stream);
	stream->forgotten = true;
	LWLockRelease(stream->lock);
}

/* Forgets a stream's lanes; they will be read from the index again. */
void
jobq_lanes_reset(JobqStream *stream)
{
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	forget_all(stream);
	LWLockRelease(stream->lock);
}

/*
 * TIDs refer to this file of the table, which the caller has locked against
 * VACUUM FULL and the like.  Whatever is known from another file is forgotten.
 */
void
jobq_lanes_follow_storage(JobqStream *stream, Oid storage)
{
	if (stream->storage == storage)
		return;
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	if (stream->storage != storage)
	{
		forget_all(stream);
		stream->storage = storage;
	}
	LWLockRelease(stream->lock);
}

/* The same with the stream's lock held. */
void
jobq_lane_lower_locked(JobqStream *stream, const JobqPlace *place)
{
	JobqLane   *lane = jobq_lane_get(stream, place->priority);

	if (lane != NULL)
		jobq_lane_put(stream, lane, &place->key, &place->tid, false);
}

/* See lane.h. */
int
jobq_lane_lower(JobqStream *stream, const JobqPlace *place, TimestampTz now)
{
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	jobq_lane_lower_locked(stream, place);
	LWLockRelease(stream->lock);
	return place->key.run_at <= now ? 1 : 0;
}

/* --------------------------------------------------------- taking them out */

/*
 * What to do at the given time if that is the next candidate of a lane (NULL: none
 * is).  One at or above the cursor may be out of date, or come behind a job that
 * only the index has.
 */
JobqPop
jobq_lane_judge_candidate(const JobqLane *lane, const JobqCandidate *candidate,
						  TimestampTz now)
{
	if (candidate != NULL && candidate->key.run_at <= now &&
		jobq_key_is_less(&candidate->key, &lane->cursor))
		return JOBQ_POP_FOUND;
	if (lane->cursor.run_at > now)
		return JOBQ_POP_NOTHING;
	return lane->refilling ? JOBQ_POP_SCAN : JOBQ_POP_REFILL;
}

/* What to do for the next job of a lane, at the given time. */
JobqPop
jobq_lane_judge(const JobqLane *lane, TimestampTz now)
{
	JobqPop		result = jobq_lane_judge_candidate(lane, jobq_lane_front(lane), now);

	/* the index is read before the ring is empty */
	if (result == JOBQ_POP_FOUND && lane->cursor.run_at <= now &&
		!lane->refilling && lane->ring->n <= lane->ring->capacity / LOW_WATER)
		return JOBQ_POP_REFILL;
	return result;
}

/* JOBQ_POP_FOUND, or why the stream's lanes cannot be used. */
JobqPop
jobq_lanes_judge_stream(const JobqStream *stream)
{
	if (stream->crowded)
		return JOBQ_POP_CROWDED;
	return stream->discovered ? JOBQ_POP_FOUND : JOBQ_POP_DISCOVER;
}

/*
 * What a claim would meet first: as jobq_lane_pop(), but nothing is taken out.
 * The stream's lock is held.
 */
JobqPop
jobq_lanes_judge(const JobqStream *stream, TimestampTz now,
				 TimestampTz *next_run_at)
{
	JobqPop		result = jobq_lanes_judge_stream(stream);

	if (result != JOBQ_POP_FOUND)
		return result;
	result = JOBQ_POP_NOTHING;
	for (const JobqLane *lane = jobq_lane_first(stream);
		 lane != NULL && result == JOBQ_POP_NOTHING; lane = jobq_lane_after(lane))
	{
		const JobqCandidate *front = jobq_lane_front(lane);

		result = jobq_lane_judge(lane, now);
		*next_run_at = Min(*next_run_at, lane->cursor.run_at);
		if (front != NULL)
			*next_run_at = Min(*next_run_at, front->key.run_at);
	}
	return result;
}

/*
 * Takes the next candidate out of its ring.  The caller has reserved memory for
 * a note of it, and makes the note before anything that can fail.  For
 * JOBQ_POP_REFILL and JOBQ_POP_SCAN, *place gives the priority, and for the
 * latter also the key at which to start; for JOBQ_POP_NOTHING, *next_run_at is
 * lowered to the earliest time at which there may be a candidate.
 */
JobqPop
jobq_lane_pop(JobqStream *stream, TimestampTz now, JobqPlace *place,
			  TimestampTz *next_run_at)
{
	JobqPop		result;

	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	result = jobq_lanes_judge_stream(stream);
	if (result == JOBQ_POP_FOUND)
	{
		result = JOBQ_POP_NOTHING;
		for (JobqLane *lane = jobq_lane_first(stream);
			 lane != NULL && result == JOBQ_POP_NOTHING; lane = jobq_lane_after(lane))
		{
			const JobqCandidate *front = jobq_lane_front(lane);

			result = jobq_lane_judge(lane, now);
			place->priority = lane->priority;
			place->key = lane->cursor;
			if (result == JOBQ_POP_NOTHING)
			{
				*next_run_at = Min(*next_run_at, lane->cursor.run_at);
				if (front != NULL)
					*next_run_at = Min(*next_run_at, front->key.run_at);
			}
			else if (result == JOBQ_POP_FOUND)
			{
				place->key = front->key;
				place->tid = front->tid;
				jobq_ring_delete(lane->ring, 0);
				if (lane->ring->n == 0 &&
					pg_atomic_read_u32(&jobq_shared->rings_wanted[stream->is_group]) != 0)
					jobq_lane_free_ring(stream, lane);
			}
		}
	}
	LWLockRelease(stream->lock);
	return result;
}

/*
 * Drops a candidate if it is in the ring, and returns whether it was; the rules of
 * jobq_lane_pop() apply.  The stream's lock is held exclusively.
 */
bool
jobq_lane_remove_locked(const JobqStream *stream, const JobqPlace *place)
{
	JobqLane   *lane = jobq_lane_find(stream, place->priority);
	JobqCandidate *entry;
	int			position;

	if (lane == NULL || lane->ring == NULL)
		return false;
	position = jobq_ring_position(lane->ring, &place->key);
	if (position == lane->ring->n)
		return false;
	entry = jobq_ring_entry(lane->ring, position);
	if (jobq_key_compare(&entry->key, &place->key) != 0 ||
		!ItemPointerEquals(&entry->tid, (ItemPointer) &place->tid))
		return false;
	jobq_ring_delete(lane->ring, position);
	return true;
}

/* The same. */
void
jobq_lane_remove(JobqStream *stream, const JobqPlace *place)
{
	LWLockAcquire(stream->lock, LW_EXCLUSIVE);
	(void) jobq_lane_remove_locked(stream, place);
	LWLockRelease(stream->lock);
}
