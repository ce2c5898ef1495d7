/*-------------------------------------------------------------------------
 *
 * subtransaction.h
 *	  Doing something that may raise an error, and continuing after one.
 *
 * IDENTIFICATION
 *	  src/base/subtransaction.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SUBTRANSACTION_H
#define JOBQ_SUBTRANSACTION_H

/*
 * Runs an action in a subtransaction.  If it raises an error, rolls the
 * subtransaction back and returns the error (palloc'd), else NULL. What the
 * action has opened is not usable after an error.  A cancel of the statement
 * (57014) is not the action's error: it is raised again.
 */
extern ErrorData *jobq_subtransaction(void (*action) (void *arg), void *arg);

/*
 * Whether an error is of the server and not of the action, as want of memory or
 * space, or a table that is missing: then the next action would fail, too.
 */
extern bool jobq_error_is_of_server(const ErrorData *error);

extern bool jobq_subtransaction_for_job(void (*action) (void *arg), void *arg,
										const char *what, int64 job_id);

#endif							/* JOBQ_SUBTRANSACTION_H */
