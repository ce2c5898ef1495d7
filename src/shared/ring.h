/*-------------------------------------------------------------------------
 *
 * ring.h
 *	  Rings of candidates: jobs in order of their keys.
 *
 * A ring is a plain value for shared memory, with room for a number of
 * candidates that is fixed when it is made; callers take care of locks.
 * Nothing allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/ring.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RING_H
#define JOBQ_RING_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

/* A job's place in the order of its queue and priority. */
typedef struct JobqKey
{
	TimestampTz run_at;
	int64		id;
} JobqKey;

/* A job that may be ready, and where its row is. */
typedef struct JobqCandidate
{
	JobqKey		key;
	ItemPointerData tid;
} JobqCandidate;

/* The first entry is entries[first]; those that follow wrap around. */
typedef struct JobqRing
{
	int			capacity;		/* number of entries that there is room for */
	int			first;
	int			n;
	JobqCandidate entries[FLEXIBLE_ARRAY_MEMBER];
} JobqRing;

/* The bytes that a ring takes. */
#define JOBQ_RING_BYTES(capacity) \
	(offsetof(JobqRing, entries) + (capacity) * sizeof(JobqCandidate))

extern const JobqKey jobq_first_key;	/* before all others */
extern const JobqKey jobq_last_key; /* after all others */

static inline int
jobq_key_compare(const JobqKey *a, const JobqKey *b)
{
	if (a->run_at != b->run_at)
		return a->run_at < b->run_at ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return 0;
}

static inline bool
jobq_key_is_less(const JobqKey *a, const JobqKey *b)
{
	return a->run_at != b->run_at ? a->run_at < b->run_at : a->id < b->id;
}

/* The i-th entry, from 0. */
static inline JobqCandidate *
jobq_ring_entry(JobqRing *ring, int i)
{
	int			place = ring->first + i;

	return &ring->entries[place < ring->capacity ? place : place - ring->capacity];
}

/* Makes an empty ring of memory that has JOBQ_RING_BYTES(capacity). */
extern void jobq_ring_init(JobqRing *ring, int capacity);

/* The number of entries below the key. */
extern int	jobq_ring_position(JobqRing *ring, const JobqKey *key);

/* Adds an entry before the one at the position; the ring is not full. */
extern void jobq_ring_insert(JobqRing *ring, int position, const JobqKey *key,
							 const ItemPointerData *tid);
extern void jobq_ring_delete(JobqRing *ring, int position);

#endif							/* JOBQ_RING_H */
