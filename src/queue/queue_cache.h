/*-------------------------------------------------------------------------
 *
 * queue_cache.h
 *	  The queues that a backend has looked up.
 *
 * A JobqQueue that was looked up stays valid and unchanged until the memory
 * context that was current at the look-up is reset or deleted.
 *
 * IDENTIFICATION
 *	  src/queue/queue_cache.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_CACHE_H
#define JOBQ_QUEUE_CACHE_H

#include "queue/queue_row.h"

extern bool jobq_queue_cache_is_current(const JobqQueue *queue);
extern uint64 jobq_queue_cache_position(const JobqQueue *queue);
extern uint64 jobq_queue_cache_followed(void);
extern void jobq_queue_cache_forget_all(void);
extern void jobq_queue_cache_init(void);

extern const JobqQueue *jobq_queue_find(const char *name);
extern const JobqQueue *jobq_queue_by_id(int32 id);

extern void jobq_queue_cache_follow(void);

/*
 * Registers callbacks for modules that cache more about queues: they are
 * called when a queue, a limit (see JobqQueueChange), or all of them, must be
 * forgotten.  Neither function may fail.
 */
extern void jobq_queue_cache_follow_forgetting(void (*forget) (int32 queue, Oid owner),
											   void (*forget_all) (void));

#endif							/* JOBQ_QUEUE_CACHE_H */
