/*-------------------------------------------------------------------------
 *
 * claim_return.h
 *	  Claiming jobs from outside: from queues to rows for the client.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_return.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_RETURN_H
#define JOBQ_CLAIM_RETURN_H

#include "base/table.h"
#include "dispatch/claim_argument.h"

/*
 * Claims jobs from one queue after the other, and returns them as rows of the
 * set-returning function that is called.  Returns their number.  The jobs of a batch
 * are those with the same lease, so there is one batch of a queue.  Never waits, apart
 * from I/O.
 */
extern int	jobq_claim_return(FunctionCallInfo fcinfo, JobqTable *jobs,
							  const JobqQueue *const *queues, int nqueues,
							  const JobqClaimOptions *options);

/*
 * Takes up to max_jobs jobs of a queue, which are no longer jobq's, and returns them in
 * the same way.  Returns their number.
 */
extern int	jobq_claim_return_taken(FunctionCallInfo fcinfo, JobqTable *jobs,
									const JobqQueue *queue, int max_jobs);

#endif							/* JOBQ_CLAIM_RETURN_H */
