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
 * Called before and after work that may be lost in a crash of the server, if
 * `allowed` is true.  After an error in between the transaction commits as
 * usual.
 */
extern void jobq_async_commit_begin(bool allowed);
extern void jobq_async_commit_end(void);

/* The work between the two may not be lost after all. */
extern void jobq_async_commit_forbid(void);

/*
 * Once committed, this transaction must not be lost in a crash, even if
 * synchronous_commit is off.
 */
extern void jobq_async_commit_insist(void);

#endif							/* JOBQ_ASYNC_COMMIT_H */
