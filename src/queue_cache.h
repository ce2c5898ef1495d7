/*-------------------------------------------------------------------------
 *
 * queue_cache.h
 *	  What backends keep of queues between look-ups, and how they learn that
 *	  a queue has changed.
 *
 * For queue.c and transaction callbacks; everybody else looks queues up by
 * the functions of queue.h.
 *
 * IDENTIFICATION
 *	  src/queue_cache.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_CACHE_H
#define JOBQ_QUEUE_CACHE_H

#include "queue.h"

/* queue_change.c: changes of this transaction, told of when it commits */
extern void jobq_queue_change_note(int32 queue, Oid owner);
extern void jobq_queue_change_note_all(void);
extern void jobq_queue_changes_publish(void);
extern void jobq_queue_changes_undo(void);
extern void jobq_queue_changes_forget(void);

/* the changes of all transactions, in shared memory; all may be in callbacks */
extern void jobq_queue_changes_publish_all(JobqDatabase *database);
extern bool jobq_queue_changed_since(int32 queue, uint64 position);
extern int	jobq_queue_changes_read(uint64 *position, JobqQueueChange *changes);

/* queue_cache.c */
extern const JobqQueue *jobq_queue_cache_by_name(const char *name);
extern bool jobq_queue_cache_is_current(const JobqQueue *queue);
extern uint64 jobq_queue_cache_position(const JobqQueue *queue);
extern void jobq_queue_cache_forget(int32 queue, Oid owner);
extern void jobq_queue_cache_forget_all(void);

#endif							/* JOBQ_QUEUE_CACHE_H */
