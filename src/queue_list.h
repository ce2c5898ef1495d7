/*-------------------------------------------------------------------------
 *
 * queue_list.h
 *	  Forgetting the lists of queues of queue_list.c.
 *
 * IDENTIFICATION
 *	  src/queue_list.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_LIST_H
#define JOBQ_QUEUE_LIST_H

#include "queue.h"

extern void jobq_queue_cache_follow(void);
extern void jobq_queue_list_forget(int32 queue, Oid owner);
extern void jobq_queue_list_forget_all(void);

#endif							/* JOBQ_QUEUE_LIST_H */
