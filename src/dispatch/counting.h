/*-------------------------------------------------------------------------
 *
 * counting.h
 *	  The running jobs of queues and limits are counted, so that their gates open.
 *
 * IDENTIFICATION
 *	  src/dispatch/counting.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COUNTING_H
#define JOBQ_COUNTING_H

/*
 * Begins to count for all gates that are not counted; before the first snapshot of the
 * pass.  The memory is to last as long as that.
 */
extern void jobq_counting_begin(MemoryContext context);

/* A job of the queue, or some jobs of any queue, could not be listed. */
extern void jobq_counting_fail(int32 id);
extern void jobq_counting_fail_all(void);

/* Opens the gates whose running jobs all have tickets. */
extern void jobq_counting_end(void);

/* The pass has failed, or has ended. */
extern void jobq_counting_forget(void);

#endif							/* JOBQ_COUNTING_H */
