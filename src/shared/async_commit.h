/*-------------------------------------------------------------------------
 *
 * async_commit.h
 *	  Transactions that only claim jobs, or only finish jobs of queues that
 *	  allow it, commit without waiting for the disk.
 *
 * IDENTIFICATION
 *	  src/shared/async_commit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ASYNC_COMMIT_H
#define JOBQ_ASYNC_COMMIT_H

extern void jobq_async_commit_init(void);

/*
 * Around work whose loss in a crash of the server does no harm, if that is
 * what `allowed` says.  If an error comes in between the transaction commits
 * as usual.
 */
extern void jobq_async_commit_begin(bool allowed);
extern void jobq_async_commit_end(void);

/* What is being done between the two may not be lost after all. */
extern void jobq_async_commit_forbid(void);

/*
 * What this transaction does must not be lost in a crash once it has been
 * committed, even where synchronous_commit is off.
 */
extern void jobq_async_commit_insist(void);

#endif							/* JOBQ_ASYNC_COMMIT_H */
