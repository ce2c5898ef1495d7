/*-------------------------------------------------------------------------
 *
 * pool.c
 *	  Pools of pieces of one size, in shared memory.
 *
 * Free pieces are linked by pointers, since shared memory has the same address
 * in all processes.  The piece given back last is taken first: it is the most
 * likely one to be in a cache.
 *
 * IDENTIFICATION
 *	  src/shared/pool.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/pool.h"

/* See pool.h. */
Size
jobq_pool_piece_size(Size size)
{
	return MAXALIGN(Max(size, sizeof(void *)));
}

/* See pool.h. */
void
jobq_pool_init(JobqPool *pool, void *memory, int npieces, Size size)
{
	Size		piece_size = jobq_pool_piece_size(size);

	pool->pieces = memory;
	pool->npieces = npieces;
	pool->nfree = 0;
	pool->first_free = NULL;
	/* they are taken in order of their addresses */
	for (int i = npieces - 1; i >= 0; i--)
		jobq_pool_give(pool, (char *) memory + i * piece_size);
}
