/*-------------------------------------------------------------------------
 *
 * batch_result.h
 *	  The results of a batch's jobs.
 *
 * IDENTIFICATION
 *	  bgworker/executor/batch_result.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_BATCH_RESULT_H
#define JOBQ_BATCH_RESULT_H

/*
 * Takes what the handler has returned apart, in the context.  Raises 22023 if
 * that is not a JSON array with an element for each job; null: no result.
 */
extern NullableDatum *jobq_batch_results(Datum result, int njobs,
										 MemoryContext context);

#endif							/* JOBQ_BATCH_RESULT_H */
