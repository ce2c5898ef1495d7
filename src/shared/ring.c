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

int
jobq_key_compare(const JobqKey *a, const JobqKey *b)
{
	if (a->run_at != b->run_at)
		return a->run_at < b->run_at ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return 0;
}

bool
jobq_key_is_less(const JobqKey *a, const JobqKey *b)
{
	return jobq_key_compare(a, b) < 0;
}

/* The i-th entry, from 0. */
JobqCandidate *
jobq_ring_entry(JobqRing *ring, int i)
{
	return &ring->entries[(ring->first + i) % JOBQ_RING_SIZE];
}

/* The number of entries below the key. */
int
jobq_ring_position(JobqRing *ring, const JobqKey *key)
{
	int			low = 0;
	int			high = ring->n;

	/* most are added at the end */
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

void
jobq_ring_delete(JobqRing *ring, int position)
{
	if (position == 0)
		ring->first = (ring->first + 1) % JOBQ_RING_SIZE;
	else
	{
		for (int i = position; i < ring->n - 1; i++)
			*jobq_ring_entry(ring, i) = *jobq_ring_entry(ring, i + 1);
	}
	ring->n--;
}

/* Adds an entry before the one at the position; the ring is not full. */
void
jobq_ring_insert(JobqRing *ring, int position, const JobqKey *key,
				 const ItemPointerData *tid)
{
	JobqCandidate *entry;

	if (position < ring->n / 2)
	{
		ring->first = (ring->first + JOBQ_RING_SIZE - 1) % JOBQ_RING_SIZE;
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
