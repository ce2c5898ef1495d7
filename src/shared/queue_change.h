/*-------------------------------------------------------------------------
 *
 * queue_change.h
 *	  How processes learn that somebody has changed a queue.
 *
 * IDENTIFICATION
 *	  src/shared/queue_change.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_CHANGE_H
#define JOBQ_QUEUE_CHANGE_H

#include "shared/shmem.h"

/*
 * When the transaction commits: the row of a queue was changed, or its grants.
 * The owner is the queue's; if it has changed, call this for the former one as
 * well.
 */
extern void jobq_at_commit_queue_changed(int32 queue, Oid owner);

/* The same: the row of the service was changed. */
extern void jobq_at_commit_service_changed(void);

/* The same: any queue may have been changed, and anything else. */
extern void jobq_at_commit_all_changed(void);

/*
 * At once, for callbacks: a queue has been changed, which belongs, or belonged,
 * to the owner.
 */
extern void jobq_queue_changes_publish(JobqDatabase *database, int32 queue,
									   Oid owner);

/* The same: nobody knows what has been changed. */
extern void jobq_queue_changes_publish_all(JobqDatabase *database);

/* The changes of all transactions; all may be in callbacks. */
extern bool jobq_queue_changed_since(int32 queue, uint64 position);
extern uint64 jobq_queue_changes_position(void);
extern int	jobq_queue_changes_read(uint64 *position, JobqQueueChange *changes);

/* Whether this transaction has changed the queue, or the limit: a negative number. */
extern bool jobq_queue_change_is_own(int32 queue);

/*
 * Registers functions that are called for this transaction's changes, at once and
 * when they are rolled back: what the process knows of that queue, or of all queues,
 * is out of date.  Neither may fail.
 */
extern void jobq_queue_change_follow(void (*forget) (int32 queue, Oid owner),
									 void (*forget_all) (void));
extern void jobq_queue_change_init(void);

#endif							/* JOBQ_QUEUE_CHANGE_H */
