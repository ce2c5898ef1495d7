/*-------------------------------------------------------------------------
 *
 * leftover.h
 *	  What code of a queue's owner has left for the end of another's session.
 *
 * IDENTIFICATION
 *	  src/base/leftover.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEFTOVER_H
#define JOBQ_LEFTOVER_H

/* With the session's first sandbox. */
extern void jobq_leftover_watch(void);

#endif							/* JOBQ_LEFTOVER_H */
