/*-------------------------------------------------------------------------
 *
 * queue_cache.h
 *	  The part of queue.c that only transaction callbacks need.
 *
 * IDENTIFICATION
 *	  src/queue_cache.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_CACHE_H
#define JOBQ_QUEUE_CACHE_H

extern void jobq_queue_cache_invalidate(void);

#endif							/* JOBQ_QUEUE_CACHE_H */
