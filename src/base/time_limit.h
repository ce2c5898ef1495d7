/*-------------------------------------------------------------------------
 *
 * time_limit.h
 *	  Running something for a limited time.
 *
 * IDENTIFICATION
 *	  src/base/time_limit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TIME_LIMIT_H
#define JOBQ_TIME_LIMIT_H

/*
 * Calls a function that minds interrupts, and returns true; or interrupts it
 * and returns false if it takes longer than *left_ms, which is reduced by the
 * time taken.  There is no subtransaction: the caller then raises an error of
 * its own.  Other errors are raised as they are.  Calls are not nested.
 */
extern bool jobq_run_limited(double *left_ms, void (*code) (void *arg),
							 void *arg);

#endif							/* JOBQ_TIME_LIMIT_H */
