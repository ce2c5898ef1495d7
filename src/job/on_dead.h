/*-------------------------------------------------------------------------
 *
 * on_dead.h
 *	  Telling a queue's on_dead queue of a job that has died.
 *
 * IDENTIFICATION
 *	  src/job/on_dead.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ON_DEAD_H
#define JOBQ_ON_DEAD_H

extern void jobq_on_dead_init(void);

#endif							/* JOBQ_ON_DEAD_H */
