/*-------------------------------------------------------------------------
 *
 * ring.c
 *	  Rings of candidates: jobs in order of their keys.
 *
 * Entries are taken from the front and mostly added at the end; adding one
 * in between moves the entries of the shorter side.
 *
 * IDENTIFICATION
 *	  src/shared/ring.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/ring.h"

const JobqKey jobq_first_key = {DT_NOBEGIN, PG_INT64_MIN};
const JobqKey jobq_last_key = {DT_NOEND, PG_INT64_MAX};

/* See ring.h. */
void
jobq_ring_init(JobqRing *ring, int capacity)
{
	ring->capacity = capacity;
	ring->first = 0;
	ring->n = 0;
}

/* See ring.h. */
int
jobq_ring_position(JobqRing *ring, const JobqKey *key)
{
	int			low = 0;
	int			high = ring->n;

	/* most entries are added at the end */
	if (high > 0 && jobq_key_is_less(&jobq_ring_entry(ring, high - 1)->key, key))
		return high;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (jobq_key_is_less(&jobq_ring_entry(ring, middle)->key, key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* See ring.h. */
void
jobq_ring_delete(JobqRing *ring, int position)
{
	if (position == 0)
	{
		ring->first++;
		if (ring->first == ring->capacity)
			ring->first = 0;
	}
	else
	{
		for (int i = position; i < ring->n - 1; i++)
			*jobq_ring_entry(ring, i) = *jobq_ring_entry(ring, i + 1);
	}
	ring->n--;
}

/* See ring.h. */
void
jobq_ring_insert(JobqRing *ring, int position, const JobqKey *key,
				 const ItemPointerData *tid)
{
	JobqCandidate *entry;

	if (position < ring->n / 2)
	{
		ring->first = (ring->first > 0 ? ring->first : ring->capacity) - 1;
		for (int i = 0; i < position; i++)
			*jobq_ring_entry(ring, i) = *jobq_ring_entry(ring, i + 1);
	}
	else
	{
		for (int i = ring->n; i > position; i--)
			*jobq_ring_entry(ring, i) = *jobq_ring_entry(ring, i - 1);
	}
	ring->n++;
	entry = jobq_ring_entry(ring, position);
	entry->key = *key;
	entry->tid = *tid;
}
