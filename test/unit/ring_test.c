/*-------------------------------------------------------------------------
 *
 * ring_test.c
 *	  Rings of any capacity keep their entries in order.
 *
 * IDENTIFICATION
 *	  test/unit/ring_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/ring.h"

#include "check.h"

#define MAX_CAPACITY			512

/* What a ring should have, in order. */
typedef struct Expected
{
	int			n;
	JobqCandidate entries[MAX_CAPACITY];
} Expected;

static JobqCandidate
make_candidate(int64 run_at, int64 id)
{
	JobqCandidate result = {{run_at, id}, {{0, 0}, 0}};

	ItemPointerSet(&result.tid, (BlockNumber) id, 1);
	return result;
}

static void
check_same(JobqRing *ring, const Expected *expected)
{
	CHECK(ring->n == expected->n, "%d entries, not %d", ring->n, expected->n);
	CHECK(ring->first >= 0 && ring->first < ring->capacity,
		  "the first entry is %d of %d", ring->first, ring->capacity);
	for (int i = 0; i < ring->n; i++)
	{
		const JobqCandidate *entry = jobq_ring_entry(ring, i);

		CHECK(jobq_key_compare(&entry->key, &expected->entries[i].key) == 0 &&
			  ItemPointerGetBlockNumber(&entry->tid) == entry->key.id,
			  "entry %d of %d is another one", i, ring->n);
	}
}

/* The number of entries below the key. */
static int
find_position(const Expected *expected, const JobqKey *key)
{
	int			i = 0;

	while (i < expected->n && jobq_key_is_less(&expected->entries[i].key, key))
		i++;
	return i;
}

static void
insert(JobqRing *ring, Expected *expected, JobqCandidate candidate)
{
	int			position = jobq_ring_position(ring, &candidate.key);

	CHECK(position == find_position(expected, &candidate.key),
		  "position %d", position);
	jobq_ring_insert(ring, position, &candidate.key, &candidate.tid);
	memmove(&expected->entries[position + 1], &expected->entries[position],
			(expected->n - position) * sizeof(JobqCandidate));
	expected->entries[position] = candidate;
	expected->n++;
}

static void
delete_at(JobqRing *ring, Expected *expected, int position)
{
	jobq_ring_delete(ring, position);
	expected->n--;
	memmove(&expected->entries[position], &expected->entries[position + 1],
			(expected->n - position) * sizeof(JobqCandidate));
}

/* Insert and delete at random; now the ring is rather full, now rather empty. */
static void
test_capacity(int capacity)
{
	static Expected expected;
	JobqRing   *ring = malloc(JOBQ_RING_BYTES(capacity));
	uint64_t	seed = capacity;

	expected.n = 0;
	jobq_ring_init(ring, capacity);
	check_same(ring, &expected);
	for (int round = 0; round < 5000; round++)
	{
		bool		filling = (round / (2 * capacity)) % 2 == 0;

		if (random_below(&seed, 4) < (filling ? 3 : 1))
		{
			/* mostly at the end, as jobs are enqueued */
			int64		run_at = random_below(&seed, 4) == 0 ?
			(int) random_below(&seed, 5000) : round;

			if (ring->n < ring->capacity)
				insert(ring, &expected, make_candidate(run_at, round));
		}
		else if (ring->n > 0)
			delete_at(ring, &expected, random_below(&seed, 4) == 0 ?
					  (int) random_below(&seed, ring->n) : 0);
		check_same(ring, &expected);
	}
	free(ring);
}

static void
test_keys(void)
{
	JobqKey		keys[] = {
		jobq_first_key, {0, PG_INT64_MIN}, {0, 1}, {0, 2}, {1, 0}, jobq_last_key
	};

	for (int i = 0; i < (int) lengthof(keys); i++)
	{
		for (int j = 0; j < (int) lengthof(keys); j++)
		{
			CHECK(jobq_key_compare(&keys[i], &keys[j]) == (i > j) - (i < j),
				  "order of keys %d and %d", i, j);
			CHECK(jobq_key_is_less(&keys[i], &keys[j]) == (i < j),
				  "key %d below %d", i, j);
		}
	}
}

int
main(void)
{
	static const int capacities[] = {1, 2, 3, 14, 15, 16, 100, MAX_CAPACITY};

	test_keys();
	for (int i = 0; i < (int) lengthof(capacities); i++)
		test_capacity(capacities[i]);
	return check_finish();
}
