/*-------------------------------------------------------------------------
 *
 * queue_cache.h
 *	  What backends keep of queues between look-ups.
 *
 * A JobqQueue that was looked up is valid, and stays as it is, until the
 * memory context is reset or deleted that was current at the look-up.
 *
 * IDENTIFICATION
 *	  src/queue/queue_cache.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_CACHE_H
#define JOBQ_QUEUE_CACHE_H

#include "queue/queue_row.h"

extern const JobqQueue *jobq_queue_cache_by_name(const char *name);
extern bool jobq_queue_cache_is_current(const JobqQueue *queue);
extern uint64 jobq_queue_cache_position(const JobqQueue *queue);
extern void jobq_queue_cache_forget_all(void);
extern void jobq_queue_cache_init(void);

extern const JobqQueue *jobq_queue_find(const char *name);
extern const JobqQueue *jobq_queue_by_id(int32 id);

extern void jobq_queue_cache_follow(void);

/*
 * Who keeps more of queues than this module does is told when it is out of
 * date: of one queue, or of all.  Neither function may fail.
 */
extern void jobq_queue_cache_follow_forgetting(void (*forget) (int32 queue, Oid owner),
											   void (*forget_all) (void));

#endif							/* JOBQ_QUEUE_CACHE_H */
