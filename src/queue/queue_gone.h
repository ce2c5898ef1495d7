/*-------------------------------------------------------------------------
 *
 * queue_gone.h
 *	  Reporting that a queue was dropped or renamed.
 *
 * IDENTIFICATION
 *	  src/queue/queue_gone.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_GONE_H
#define JOBQ_QUEUE_GONE_H

/*
 * Called when a queue is about to be dropped; the caller then drops it or
 * raises an error.  With `force`, executors are kept away from it.
 */
extern void jobq_queue_gone_note_dropped(int32 queue, bool force);

/* Called when a queue is renamed: wakes sessions that wait for its jobs. */
extern void jobq_queue_gone_note_renamed(int32 queue);

/* For callbacks: the queue was dropped, or renamed, and all can see it. */
extern void jobq_queue_gone_now(int32 queue, bool renamed);

#endif							/* JOBQ_QUEUE_GONE_H */
