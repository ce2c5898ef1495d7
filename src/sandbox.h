/*-------------------------------------------------------------------------
 *
 * sandbox.h
 *	  Code of a queue's owner in the session of another role.
 *
 * IDENTIFICATION
 *	  src/sandbox.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SANDBOX_H
#define JOBQ_SANDBOX_H

#include "nodes/nodes.h"

/* What is saved while it runs. */
typedef struct JobqSandbox
{
	Oid			userid;
	int			sec_context;
	int			guc_nest_level;
	bool		snapshot;
} JobqSandbox;

/*
 * Becomes the owner until jobq_sandbox_leave().  An error in between undoes it
 * with the (sub)transaction.
 */
extern void jobq_sandbox_enter(JobqSandbox *sandbox, Oid owner);
extern void jobq_sandbox_leave(const JobqSandbox *sandbox);

/* For hooks.c: raises 42501 for a command that may not be run there. */
extern void jobq_sandbox_check(Node *statement);

#endif							/* JOBQ_SANDBOX_H */
