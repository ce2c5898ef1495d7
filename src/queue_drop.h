/*-------------------------------------------------------------------------
 *
 * queue_drop.h
 *	  What is to happen when a queue has been renamed.
 *
 * IDENTIFICATION
 *	  src/queue_drop.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_DROP_H
#define JOBQ_QUEUE_DROP_H

extern void jobq_note_renamed(int32 queue);

#endif							/* JOBQ_QUEUE_DROP_H */
