/*-------------------------------------------------------------------------
 *
 * pool.h
 *	  Pools of pieces of one size, in shared memory.
 *
 * A pool hands out pieces of a block of memory that the caller provides.  It
 * knows no lock: the caller holds one that guards the pool, exclusively for
 * jobq_pool_take() and jobq_pool_give().  Nothing allocates or throws, so that
 * commit and abort callbacks may use it.
 *
 * IDENTIFICATION
 *	  src/shared/pool.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_POOL_H
#define JOBQ_POOL_H

typedef struct JobqPool
{
	void	   *pieces;			/* the first one; the others follow */
	int			npieces;
	int			nfree;
	void	   *first_free;		/* NULL: none; each begins with a pointer to
								 * the next */
} JobqPool;

/* The bytes that one piece of the given size takes. */
extern Size jobq_pool_piece_size(Size size);

/*
 * Makes a pool, all of whose pieces are free.  The memory is aligned by
 * MAXALIGN and has npieces * jobq_pool_piece_size(size) bytes.
 */
extern void jobq_pool_init(JobqPool *pool, void *memory, int npieces,
						   Size size);

/* Takes a piece; its contents are undefined.  NULL if none is free. */
static inline void *
jobq_pool_take(JobqPool *pool)
{
	void	   *piece = pool->first_free;

	if (piece != NULL)
	{
		pool->first_free = *(void **) piece;
		pool->nfree--;
	}
	return piece;
}

/* Gives a piece back; it must not be used any more. */
static inline void
jobq_pool_give(JobqPool *pool, void *piece)
{
	*(void **) piece = pool->first_free;
	pool->first_free = piece;
	pool->nfree++;
}

/* How many pieces are in use; without the lock, a hint. */
static inline int
jobq_pool_used(const JobqPool *pool)
{
	return pool->npieces - pool->nfree;
}

#endif							/* JOBQ_POOL_H */
