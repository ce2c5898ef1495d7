/*-------------------------------------------------------------------------
 *
 * lane.c
 *	  Where dispatch stands in each queue and priority, in shared memory: the
 *	  cursor, and a ring of candidates.
 *
 * A worker that wants a job must not walk over the index entries of all the
 * jobs that were done before, which pile up while some old transaction may
 * still see them, nor compete with all others for the first row.  So each queue
 * has a lane per priority, and a lane has
 *
 *	ring	candidates: keys (run_at, id) of jobs, in order, and their rows' TIDs
 *	cursor	where the index has not been read yet
 *
 * A claim takes a candidate out of the ring, looks at its row, and changes it
 * if it is free.  What shared memory says is a hint; the row decides.
 *
 * The invariant: a committed job that can be claimed is in the ring, or its
 * key is not below the cursor, or a transaction holds it that will
 * call jobq_lane_lower() for it when it ends.
 *
 * The rules that keep it so:
 *
 * - A transaction that has made a job claimable calls jobq_lane_lower() after
 *	 it has become visible.  So does one that had locked a claimable job, after
 *	 it has given the lock back by rolling back, or by committing without
 *	 having changed the job (ready.c).  A key below the cursor goes into the
 *	 ring; where the ring has no room for it the cursor moves down.
 * - A claim reserves a note before it takes a candidate out of the ring, so
 *	 that an error on the way lowers it again.  It may drop the candidate
 *	 silently only if the row shows that another transaction will call
 *	 jobq_lane_lower(), or has done so: the row is locked, or this version of
 *	 it is gone.
 * - The cursor moves up only by a refill, which reads the index from the
 *	 cursor on with a snapshot taken after jobq_lane_refill_begin().  What was
 *	 lowered since then, the snapshot may not have seen: the cursor moves no
 *	 further than the least of these keys (refill_low).  There is one refill of
 *	 a lane at a time.
 * - Candidates with the same key are the same job.  If a refill brings another
 *	 TID than the ring has, that one counts.  But transactions call
 *	 jobq_lane_lower() in any order after their ends, so of two TIDs that come
 *	 that way neither is known to be the later one: both are dropped, and the
 *	 cursor moves down.
 *
 * Transactions that were prepared have no callbacks here when they end
 * (mark.h), and a rewritten table has other TIDs: then all that is known of
 * the queues concerned is dropped, which is always allowed.  test/model has the
 * protocol as a model; names there are those of the functions here.
 *
 * A queue whose priorities are not known (discovered is false) has them read
 * from the index by the next claim.  After that, a priority without a lane has
 * no claimable jobs.  A queue with too many priorities, or one that shared
 * memory has no lane for, is crowded: claims scan its index from the start.
 *
 * All of a queue's lanes are guarded by the queue's lock, one of a fixed set;
 * the pools by a spinlock, taken inside it.
 *
 * IDENTIFICATION
 *	  src/shared/lane.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lane.h"

#include "shared/area.h"

#define NONE (-1)

/* A ring is refilled in advance when no more candidates are left in it. */
#define LOW_WATER (JOBQ_RING_SIZE / 8)

static JobqPool *lane_pool = NULL;
static JobqPool *ring_pool = NULL;
static JobqLane *lanes = NULL;	/* the pieces of their pool, by number */

/* This process's refill, NULL: none. */
static JobqQueueState *refilling_state = NULL;
static uint64 refilling_resets;
static int16 refilling_priority;

/* ---------------------------------------------------------------- memory */

/* Called by startup.c, after the areas are made. */
void
jobq_lane_startup(void)
{
	lane_pool = jobq_area_pool(JOBQ_AREA_LANES);
	ring_pool = jobq_area_pool(JOBQ_AREA_RINGS);
	lanes = lane_pool->pieces;
}

/*
 * Takes a lane from the pool; NULL if there is none for the role.  A role gets
 * no more lanes than it leaves free.  Initializes nothing.
 */
static JobqLane *
allocate_lane(Oid role)
{
	uint32	   *taken = jobq_role_counter(jobq_shared->lane_roles, role);
	JobqLane   *lane = NULL;

	SpinLockAcquire(&jobq_shared->lane_mutex);
	if (*taken < (uint32) lane_pool->nfree)
	{
		lane = jobq_pool_take(lane_pool);
		(*taken)++;
	}
	SpinLockRelease(&jobq_shared->lane_mutex);
	return lane;
}

/* Gives a lane back; it must be out of its queue's list. */
static void
free_lane(JobqLane *lane, Oid role)
{
	uint32	   *taken = jobq_role_counter(jobq_shared->lane_roles, role);

	SpinLockAcquire(&jobq_shared->lane_mutex);
	jobq_pool_give(lane_pool, lane);
	(*taken)--;
	SpinLockRelease(&jobq_shared->lane_mutex);
}

/* An empty ring; if there is none the next one that is emptied is freed. */
static JobqRing *
allocate_ring(void)
{
	JobqRing   *ring;

	SpinLockAcquire(&jobq_shared->lane_mutex);
	ring = jobq_pool_take(ring_pool);
	SpinLockRelease(&jobq_shared->lane_mutex);
	if (ring == NULL)
	{
		pg_atomic_write_u32(&jobq_shared->rings_wanted, 1);
		return NULL;
	}
	ring->first = 0;
	ring->n = 0;
	return ring;
}

/*
 * Gives the lane's ring back, if it has one.  Its candidates are lost: the
 * caller has made sure that there are none, or forgets the lane.
 */
static void
free_ring(JobqLane *lane)
{
	if (lane->ring == NULL)
		return;
	SpinLockAcquire(&jobq_shared->lane_mutex);
	jobq_pool_give(ring_pool, lane->ring);
	SpinLockRelease(&jobq_shared->lane_mutex);
	lane->ring = NULL;
	pg_atomic_write_u32(&jobq_shared->rings_wanted, 0);
}

/* Somebody has found no free ring, and none has been given back since. */
bool
jobq_lanes_lack_rings(void)
{
	return pg_atomic_read_u32(&jobq_shared->rings_wanted) != 0;
}

/* ------------------------------------------------------------------ lanes */

/* The lane's first candidate, NULL: none. */
static JobqCandidate *
ring_front(const JobqLane *lane)
{
	JobqRing   *ring = lane->ring;

	return ring == NULL || ring->n == 0 ? NULL : jobq_ring_entry(ring, 0);
}

/*
 * The lock of a queue's lanes.  Chosen by the entry's address, which stays the
 * same when another queue gets the entry, so that a pointer that was kept too
 * long cannot lead to the wrong lock.
 */
static LWLock *
lock_of(const JobqQueueState *state)
{
	uintptr_t	number = (uintptr_t) state / sizeof(JobqQueueState);

	return jobq_lock(JOBQ_LOCK_LANES + number % JOBQ_NUM_LANE_LOCKS);
}

/* The cursor moves down to the key, if it is above it. */
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
 * cursor to it.  The queue's lock is held exclusively.
 *
 * by_index: a refill has read the job, with a snapshot that is later than all
 * candidates in the ring at or above the key where the refill began.
 */
static void
put(JobqLane *lane, const JobqKey *key, const ItemPointerData *tid, bool by_index)
{
	JobqRing   *ring;
	int			position;

	if (jobq_key_is_less(key, &lane->cursor) && ItemPointerIsValid(tid) &&
		lane->ring == NULL)
		lane->ring = allocate_ring();
	if (!jobq_key_is_less(key, &lane->cursor) || !ItemPointerIsValid(tid) ||
		lane->ring == NULL)
	{
		/* the index will be read from here on; does nothing above the cursor */
		lower_cursor(lane, key);
		return;
	}

	ring = lane->ring;
	position = jobq_ring_position(ring, key);
	if (position < ring->n &&
		jobq_key_compare(&jobq_ring_entry(ring, position)->key, key) == 0)
	{
		JobqCandidate *entry = jobq_ring_entry(ring, position);

		/* the same job: two TIDs, and only a refill's is known to be later */
		if (by_index)
			entry->tid = *tid;
		else if (!ItemPointerEquals(&entry->tid, (ItemPointer) tid))
		{
			jobq_ring_delete(ring, position);
			lower_cursor(lane, key);
		}
		return;
	}
	if (ring->n == JOBQ_RING_SIZE)
	{
		/* full: the last candidate makes room, and the cursor goes back to it */
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

/* The lane of a priority, NULL: none.  The queue's lock is held. */
static JobqLane *
find_lane(const JobqQueueState *state, int16 priority)
{
	for (int i = state->first_lane; i != NONE; i = lanes[i].next)
	{
		if (lanes[i].priority == priority)
			return &lanes[i];
	}
	return NULL;
}

/*
 * The lane of a priority, made if necessary.  NULL if there is no room, or if
 * the entry was removed while somebody kept a pointer to it (nobody would free
 * the lane); then the queue is crowded.  The queue's lock is held exclusively.
 */
static JobqLane *
get_lane(JobqQueueState *state, int16 priority)
{
	JobqLane   *lane = find_lane(state, priority);
	int		   *link = &state->first_lane;

	if (lane != NULL)
		return lane;
	lane = state->nlanes < JOBQ_MAX_LANES && !state->forgotten ?
		allocate_lane(state->role) : NULL;
	if (lane == NULL)
	{
		state->crowded = true;
		return NULL;
	}
	while (*link != NONE && lanes[*link].priority < priority)
		link = &lanes[*link].next;
	lane->next = *link;
	lane->ring = NULL;
	lane->priority = priority;
	lane->refilling = false;
	lane->cursor = state->discovered ? jobq_last_key : jobq_first_key;
	lane->refill_low = jobq_last_key;
	*link = lane - lanes;
	state->nlanes++;
	return lane;
}

/* Forgets all that is known of a queue; its lock is held. */
static void
forget_all(JobqQueueState *state)
{
	while (state->first_lane != NONE)
	{
		JobqLane   *lane = &lanes[state->first_lane];

		state->first_lane = lane->next;
		free_ring(lane);
		free_lane(lane, state->role);
	}
	state->nlanes = 0;
	state->discovered = false;
	state->crowded = false;
	state->storage = InvalidOid;
	state->resets = pg_atomic_fetch_add_u64(&jobq_shared->lane_resets, 1) + 1;
}

/*
 * A new entry in the table of queues.  JOBQ_LOCK_QUEUES is held, the only
 * other lock that a queue's own is taken under.
 */
void
jobq_lanes_make(JobqQueueState *state)
{
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	state->first_lane = NONE;
	state->forgotten = false;
	forget_all(state);
	LWLockRelease(lock_of(state));
}

/* An entry is about to be removed; the locks are those of jobq_lanes_make(). */
void
jobq_lanes_end(JobqQueueState *state)
{
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	forget_all(state);
	state->forgotten = true;
	LWLockRelease(lock_of(state));
}

/* Forgets what is known of a queue, which will be read from the index anew. */
void
jobq_lanes_reset(JobqQueueState *state)
{
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	forget_all(state);
	LWLockRelease(lock_of(state));
}

/*
 * The same for all queues of a database.  Takes JOBQ_LOCK_QUEUES and, below
 * it, the lock of each queue.
 */
void
jobq_lanes_reset_database(Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqQueueState *state;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	hash_seq_init(&status, jobq_shared_queues);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->key.dboid == dboid)
			jobq_lanes_reset(state);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
}

/*
 * TIDs are those of this file of the table, which the caller has locked
 * against VACUUM FULL and its like.  What is known of another one is void.
 */
void
jobq_lanes_follow_storage(JobqQueueState *state, Oid storage)
{
	if (state->storage == storage)
		return;
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	if (state->storage != storage)
	{
		forget_all(state);
		state->storage = storage;
	}
	LWLockRelease(lock_of(state));
}

void
jobq_lane_lower(JobqQueueState *state, const JobqPlace *place)
{
	JobqLane   *lane;

	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	lane = get_lane(state, place->priority);
	if (lane != NULL)
		put(lane, &place->key, &place->tid, false);
	LWLockRelease(lock_of(state));
}

/* --------------------------------------------------------- taking them out */

/* What to do for the next job of a lane, at a certain time. */
static JobqPop
judge(const JobqLane *lane, TimestampTz now)
{
	const JobqCandidate *front = ring_front(lane);
	bool		due = front != NULL && front->key.run_at <= now;
	bool		unread = lane->cursor.run_at <= now;

	if (due && (!unread || jobq_key_is_less(&front->key, &lane->cursor)))
	{
		if (unread && !lane->refilling && lane->ring->n <= LOW_WATER)
			return JOBQ_POP_REFILL;
		return JOBQ_POP_FOUND;
	}
	if (unread)
		return lane->refilling ? JOBQ_POP_SCAN : JOBQ_POP_REFILL;
	return JOBQ_POP_NOTHING;
}

/* Why the queue's lanes cannot be used, else JOBQ_POP_FOUND. */
static JobqPop
judge_queue(const JobqQueueState *state)
{
	if (state->crowded)
		return JOBQ_POP_CROWDED;
	return state->discovered ? JOBQ_POP_FOUND : JOBQ_POP_DISCOVER;
}

/*
 * Takes the next candidate out of its ring.  The caller has reserved memory
 * for a note of it, which is to be made before anything that can fail.  For
 * JOBQ_POP_REFILL and JOBQ_POP_SCAN *place names the priority, and with the
 * latter where to begin; for JOBQ_POP_NOTHING *next_run_at is lowered to the
 * earliest time at which there may be one.
 */
JobqPop
jobq_lane_pop(JobqQueueState *state, TimestampTz now, JobqPlace *place,
			  TimestampTz *next_run_at)
{
	JobqPop		result;

	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	result = judge_queue(state);
	if (result == JOBQ_POP_FOUND)
	{
		result = JOBQ_POP_NOTHING;
		for (int i = state->first_lane;
			 i != NONE && result == JOBQ_POP_NOTHING; i = lanes[i].next)
		{
			JobqLane   *lane = &lanes[i];
			const JobqCandidate *front = ring_front(lane);

			result = judge(lane, now);
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
					pg_atomic_read_u32(&jobq_shared->rings_wanted) != 0)
					free_ring(lane);
			}
		}
	}
	LWLockRelease(lock_of(state));
	return result;
}

/*
 * The priority after the given one (a number below all priorities: the first)
 * that has a lane; false if there is none.
 */
bool
jobq_lane_next(JobqQueueState *state, int after, int16 *priority)
{
	bool		found = false;

	LWLockAcquire(lock_of(state), LW_SHARED);
	for (int i = state->first_lane; i != NONE && !found; i = lanes[i].next)
	{
		if (lanes[i].priority > after)
		{
			*priority = lanes[i].priority;
			found = true;
		}
	}
	LWLockRelease(lock_of(state));
	return found;
}

/*
 * The first candidate of a lane whose key is above `after`, which stays in the
 * ring: FOUND; else as for jobq_lane_pop().
 */
JobqPop
jobq_lane_peek(JobqQueueState *state, int16 priority, const JobqKey *after,
			   TimestampTz now, JobqPlace *place)
{
	JobqPop		result;
	JobqLane   *lane;

	LWLockAcquire(lock_of(state), LW_SHARED);
	result = judge_queue(state);
	if (result == JOBQ_POP_FOUND)
	{
		result = JOBQ_POP_NOTHING;
		lane = find_lane(state, priority);
		if (lane != NULL)
		{
			JobqRing   *ring = lane->ring;
			int			position = ring == NULL ? 0 : jobq_ring_position(ring, after);
			JobqCandidate *entry;

			if (ring != NULL && position < ring->n &&
				jobq_key_compare(&jobq_ring_entry(ring, position)->key,
								 after) == 0)
				position++;
			entry = ring != NULL && position < ring->n ?
				jobq_ring_entry(ring, position) : NULL;
			place->priority = priority;
			place->key = lane->cursor;
			if (entry != NULL && entry->key.run_at <= now)
			{
				place->key = entry->key;
				place->tid = entry->tid;
				result = JOBQ_POP_FOUND;
			}
			else if (lane->cursor.run_at <= now)
				result = lane->refilling ? JOBQ_POP_SCAN : JOBQ_POP_REFILL;
		}
	}
	LWLockRelease(lock_of(state));
	return result;
}

/* Drops a candidate if it is in the ring; the rules are those of pop. */
void
jobq_lane_remove(JobqQueueState *state, const JobqPlace *place)
{
	JobqLane   *lane;

	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	lane = find_lane(state, place->priority);
	if (lane != NULL && lane->ring != NULL)
	{
		JobqRing   *ring = lane->ring;
		int			position = jobq_ring_position(ring, &place->key);

		if (position < ring->n)
		{
			JobqCandidate *entry = jobq_ring_entry(ring, position);

			if (jobq_key_compare(&entry->key, &place->key) == 0 &&
				ItemPointerEquals(&entry->tid,
								  (ItemPointer) &place->tid))
				jobq_ring_delete(ring, position);
		}
	}
	LWLockRelease(lock_of(state));
}

/*
 * A key below which there is no job that could be claimed, but for those that
 * some transaction holds.
 */
JobqKey
jobq_lane_floor(JobqQueueState *state, int16 priority)
{
	JobqKey		result = jobq_first_key;

	LWLockAcquire(lock_of(state), LW_SHARED);
	if (judge_queue(state) == JOBQ_POP_FOUND)
	{
		const JobqLane *lane = find_lane(state, priority);
		const JobqCandidate *front = lane != NULL ? ring_front(lane) : NULL;

		result = lane != NULL ? lane->cursor : jobq_last_key;
		if (front != NULL && jobq_key_is_less(&front->key, &result))
			result = front->key;
	}
	LWLockRelease(lock_of(state));
	return result;
}

/*
 * When the first job of a lane that lies ahead is due; JOBQ_NEVER: there is
 * none.  False if that is not known.
 */
bool
jobq_lane_next_due(JobqQueueState *state, int16 priority, TimestampTz now,
				   TimestampTz *next)
{
	bool		known = false;
	const JobqLane *lane;

	*next = JOBQ_NEVER;
	LWLockAcquire(lock_of(state), LW_SHARED);
	lane = judge_queue(state) == JOBQ_POP_FOUND ?
		find_lane(state, priority) : NULL;
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
	LWLockRelease(lock_of(state));
	return known;
}

/* Whether it seems that there is a ready job; a hint. */
bool
jobq_lanes_see_more(JobqQueueState *state, TimestampTz now)
{
	bool		result;

	LWLockAcquire(lock_of(state), LW_SHARED);
	result = judge_queue(state) != JOBQ_POP_FOUND;
	for (int i = state->first_lane; i != NONE && !result; i = lanes[i].next)
		result = judge(&lanes[i], now) != JOBQ_POP_NOTHING;
	LWLockRelease(lock_of(state));
	return result;
}

/* ----------------------------------------------------------------- refills */

/*
 * Begins to refill a lane.  False if that is not possible now: somebody else
 * does it, or the lane is gone.  The snapshot that the index is read with has
 * to be taken after this.  jobq_lane_refill_end() ends it, and so does the end
 * of the (sub)transaction in failure, by jobq_lane_refill_abandon().
 */
bool
jobq_lane_refill_begin(JobqRefill *refill, JobqQueueState *state,
					   int16 priority)
{
	JobqLane   *lane;
	bool		result = false;

	Assert(refilling_state == NULL);
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	lane = judge_queue(state) == JOBQ_POP_FOUND ?
		find_lane(state, priority) : NULL;
	if (lane != NULL && !lane->refilling)
	{
		if (lane->ring == NULL)
			lane->ring = allocate_ring();
		lane->refilling = true;
		lane->refill_low = jobq_last_key;
		refill->state = state;
		refill->resets = state->resets;
		refill->priority = priority;
		refill->from = lane->cursor;
		refill->room = 0;
		if (lane->ring != NULL)
		{
			JobqRing   *ring = lane->ring;

			/* what comes before the last one may push others out */
			refill->room = ring->n == 0 ||
				jobq_key_is_less(&jobq_ring_entry(ring, ring->n - 1)->key, &lane->cursor) ?
				JOBQ_RING_SIZE - ring->n : JOBQ_RING_SIZE;
		}
		refilling_state = state;
		refilling_resets = state->resets;
		refilling_priority = priority;
		result = true;
	}
	LWLockRelease(lock_of(state));
	return result;
}

/* This process's refill is over; its lane, NULL if that is another's now. */
static JobqLane *
end_refill(JobqQueueState *state)
{
	JobqLane   *lane = state->resets == refilling_resets ?
	find_lane(state, refilling_priority) : NULL;

	refilling_state = NULL;
	if (lane != NULL)
		lane->refilling = false;
	return lane;
}

/*
 * Ends a refill: these candidates were seen from its beginning on, in order,
 * and nothing else below *upto.
 */
void
jobq_lane_refill_end(const JobqRefill *refill, const JobqPlace *candidates,
					 int n, const JobqKey *upto)
{
	JobqLane   *lane;

	Assert(refilling_state == refill->state);
	LWLockAcquire(lock_of(refill->state), LW_EXCLUSIVE);
	lane = end_refill(refill->state);
	if (lane != NULL)
	{
		lane->cursor = jobq_key_is_less(&lane->refill_low, upto) ?
			lane->refill_low : *upto;
		for (int i = 0; i < n && jobq_key_is_less(&candidates[i].key, &lane->cursor);
			 i++)
			put(lane, &candidates[i].key, &candidates[i].tid, true);
	}
	LWLockRelease(lock_of(refill->state));
}

/* Gives up the refill of this process, if there is one. */
void
jobq_lane_refill_abandon(void)
{
	JobqQueueState *state = refilling_state;

	if (state == NULL)
		return;
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	(void) end_refill(state);
	LWLockRelease(lock_of(state));
}

/* --------------------------------------------------------------- discovery */

/*
 * Finding out which priorities the jobs of a queue have: begin, take a
 * snapshot, report each priority that it shows, end.  What commits meanwhile
 * makes its lane by itself.  The number is the first's result.
 */
uint64
jobq_lanes_discover_begin(JobqQueueState *state)
{
	uint64		resets;

	LWLockAcquire(lock_of(state), LW_SHARED);
	resets = state->resets;
	LWLockRelease(lock_of(state));
	return resets;
}

/* The jobs of the queue have this priority; nothing if it was reset since. */
void
jobq_lanes_discover(JobqQueueState *state, uint64 resets, int16 priority)
{
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	if (state->resets == resets && !state->discovered)
		(void) get_lane(state, priority);
	LWLockRelease(lock_of(state));
}

/* All priorities have been reported; nothing if the queue was reset since. */
void
jobq_lanes_discover_end(JobqQueueState *state, uint64 resets)
{
	LWLockAcquire(lock_of(state), LW_EXCLUSIVE);
	if (state->resets == resets)
		state->discovered = true;
	LWLockRelease(lock_of(state));
}

/*
 * Whether claims would come across a job by themselves: its row version is in
 * the ring, or its key is at or above the cursor.  A hint if the lane changes
 * meanwhile.
 */
bool
jobq_lane_covers(JobqQueueState *state, const JobqPlace *place)
{
	bool		result;

	LWLockAcquire(lock_of(state), LW_SHARED);
	result = judge_queue(state) != JOBQ_POP_FOUND;
	if (!result)
	{
		JobqLane   *lane = find_lane(state, place->priority);

		if (lane != NULL)
		{
			JobqRing   *ring = lane->ring;
			int			position = ring == NULL ? 0 :
			jobq_ring_position(ring, &place->key);

			result = !jobq_key_is_less(&place->key, &lane->cursor) ||
				(ring != NULL && position < ring->n &&
				 jobq_key_compare(&jobq_ring_entry(ring, position)->key,
								  &place->key) == 0 &&
				 ItemPointerEquals(&jobq_ring_entry(ring, position)->tid,
								   (ItemPointer) &place->tid));
		}
	}
	LWLockRelease(lock_of(state));
	return result;
}
