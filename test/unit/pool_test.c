/*-------------------------------------------------------------------------
 *
 * pool_test.c
 *	  Pieces of a pool are distinct, aligned, and all there again.
 *
 * IDENTIFICATION
 *	  test/unit/pool_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/pool.h"

#include "check.h"

#define PIECES					100

/* Take all pieces, fill each to its end, and see that none is another's. */
static void
test_all(Size size)
{
	Size		piece_size = jobq_pool_piece_size(size);
	char	   *memory = malloc(PIECES * piece_size);
	char	   *pieces[PIECES];
	JobqPool	pool;

	jobq_pool_init(&pool, memory, PIECES, size);
	CHECK(jobq_pool_used(&pool) == 0, "a new pool is not free");
	for (int i = 0; i < PIECES; i++)
	{
		pieces[i] = jobq_pool_take(&pool);
		CHECK(pieces[i] == memory + i * piece_size, "piece %d is elsewhere", i);
		CHECK((uintptr_t) pieces[i] == MAXALIGN((uintptr_t) pieces[i]),
			  "piece %d is not aligned", i);
		memset(pieces[i], i, size);
	}
	CHECK(jobq_pool_used(&pool) == PIECES, "not all are in use");
	CHECK(jobq_pool_take(&pool) == NULL, "there is one more");
	for (int i = 0; i < PIECES; i++)
	{
		for (Size j = 0; j < size; j++)
			CHECK(pieces[i][j] == (char) i, "piece %d was overwritten", i);
	}
	for (int i = 0; i < PIECES; i++)
		jobq_pool_give(&pool, pieces[i]);
	CHECK(jobq_pool_used(&pool) == 0, "not all are free again");
	free(memory);
}

/* Take and give at random; what is taken is not taken twice. */
static void
test_random(void)
{
	Size		piece_size = jobq_pool_piece_size(sizeof(int));
	char	   *memory = malloc(PIECES * piece_size);
	char	   *taken[PIECES];
	bool		in_use[PIECES] = {false};
	int			n = 0;
	uint64_t	seed = 1;
	JobqPool	pool;

	jobq_pool_init(&pool, memory, PIECES, sizeof(int));
	for (int round = 0; round < 100000; round++)
	{
		int			number;

		if (random_below(&seed, 2) == 0)
		{
			char	   *piece = jobq_pool_take(&pool);

			CHECK((piece == NULL) == (n == PIECES), "%d are taken", n);
			if (piece == NULL)
				continue;
			number = (piece - memory) / piece_size;
			CHECK(!in_use[number], "piece %d was taken twice", number);
			in_use[number] = true;
			taken[n++] = piece;
		}
		else if (n > 0)
		{
			int			i = random_below(&seed, n);

			in_use[(taken[i] - memory) / piece_size] = false;
			jobq_pool_give(&pool, taken[i]);
			taken[i] = taken[--n];
		}
		CHECK(jobq_pool_used(&pool) == n, "%d are taken, not %d",
			  n, jobq_pool_used(&pool));
	}
	free(memory);
}

static void
test_empty(void)
{
	JobqPool	pool;

	jobq_pool_init(&pool, NULL, 0, 1);
	CHECK(jobq_pool_take(&pool) == NULL, "a pool without pieces has one");
	CHECK(jobq_pool_used(&pool) == 0, "a pool without pieces is in use");
}

int
main(void)
{
	CHECK(jobq_pool_piece_size(1) == MAXALIGN(sizeof(void *)),
		  "a piece has no room for a link");
	test_all(1);
	test_all(sizeof(void *));
	test_all(100);
	test_random();
	test_empty();
	return check_finish();
}
