/*-------------------------------------------------------------------------
 *
 * temporary.h
 *	  Removing the temporary objects of jobs that ran at top level.
 *
 * IDENTIFICATION
 *	  bgworker/executor/temporary.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TEMPORARY_H
#define JOBQ_TEMPORARY_H

/* Outside any transaction. */
extern void jobq_temporary_remove(void);

/* Whether that has failed: the process must run no other job. */
extern bool jobq_temporary_is_left(void);

#endif							/* JOBQ_TEMPORARY_H */
