/*-------------------------------------------------------------------------
 *
 * batch_failure.h
 *	  The jobs that the handler of a batch has declared failed.
 *
 * IDENTIFICATION
 *	  src/job/batch_failure.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_BATCH_FAILURE_H
#define JOBQ_BATCH_FAILURE_H

#include "shared/note.h"

/* What fail_job() was told, in the context of the current job. */
typedef struct JobqBatchFailure
{
	int			place;			/* of the job in the batch */
	const char *message;
	int64		retry_in;		/* microseconds, -1: by the queue's backoff */
	bool		retryable;
} JobqBatchFailure;

/*
 * The failure of a job of the batch that this transaction has run, or NULL;
 * rolled back (sub)transactions have declared none.
 */
extern const JobqBatchFailure *jobq_batch_failure(int place);

#endif							/* JOBQ_BATCH_FAILURE_H */
