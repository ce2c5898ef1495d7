/*-------------------------------------------------------------------------
 *
 * sandbox.h
 *	  Code of a queue's owner in the session of another role.
 *
 * IDENTIFICATION
 *	  src/base/sandbox.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SANDBOX_H
#define JOBQ_SANDBOX_H

/*
 * Calls code(arg) as the owner.  Its errors are raised, with the caller's
 * context.  Its writes are visible afterwards: rows that the caller has
 * read or locked before may have changed.
 */
extern void jobq_sandbox_run(Oid owner, void (*code) (void *arg), void *arg);

/* Sets the function that is called when an error leaves a sandbox. */
extern void jobq_sandbox_at_error(void (*call) (void));

#endif							/* JOBQ_SANDBOX_H */
