/*-------------------------------------------------------------------------
 *
 * claim_argument.h
 *	  What the calls that claim jobs are given.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_argument.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_ARGUMENT_H
#define JOBQ_CLAIM_ARGUMENT_H

#include "queue/queue.h"

#include "fmgr.h"

/* How the jobs of one call are to be claimed. */
typedef struct JobqClaimOptions
{
	int			max_jobs;
	int64		duration;		/* of the lease, 0: the queue's */
	const char *worker;
	bool		session_bound;
	bool		session_bound_is_null;	/* the queue decides */
} JobqClaimOptions;

/*
 * max_jobs; 1 if it is NULL.  Raises 22023 if it is not between 1 and JOBQ_MAX_CLAIM.
 */
extern int	jobq_claim_max_jobs_argument(FunctionCallInfo fcinfo, int argno);

/*
 * Reads max_jobs, lease, worker and session_bound, starting at argument
 * `first`.  Raises 22023 if one of them is invalid.
 */
extern void jobq_claim_read_options(FunctionCallInfo fcinfo, int first,
									JobqClaimOptions *options);

/*
 * The queue of that name, if the current user may take jobs from it; otherwise raises
 * what jobq_queue_require() does, or 22023 if it is for SQL commands.  Warns if
 * executors run its jobs, too.
 */
extern const JobqQueue *jobq_claim_queue(const char *name);

/* The same for the argument `queue`, the first one. */
extern const JobqQueue *jobq_claim_queue_argument(FunctionCallInfo fcinfo);

#endif							/* JOBQ_CLAIM_ARGUMENT_H */
