/*-------------------------------------------------------------------------
 *
 * queue_gone.h
 *	  Who is told that a queue is dropped, or has another name.
 *
 * IDENTIFICATION
 *	  src/queue/queue_gone.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_GONE_H
#define JOBQ_QUEUE_GONE_H

/*
 * The queue is about to be dropped: either that is done, or there is an error.
 * With `force`, executors are to keep off it.
 */
extern void jobq_queue_gone_note_dropped(int32 queue, bool force);

/* The queue gets another name: who waits for its jobs is to hear of it. */
extern void jobq_queue_gone_note_renamed(int32 queue);

#endif							/* JOBQ_QUEUE_GONE_H */
