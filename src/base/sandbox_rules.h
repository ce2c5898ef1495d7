/*-------------------------------------------------------------------------
 *
 * sandbox_rules.h
 *	  What the code of a queue's owner may not do in another role's session.
 *
 * IDENTIFICATION
 *	  src/base/sandbox_rules.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SANDBOX_RULES_H
#define JOBQ_SANDBOX_RULES_H

#include "nodes/nodes.h"

/* To be called before the first sandbox; may fail. */
extern void jobq_sandbox_rules_set_up(void);

/*
 * The rules hold from the first to the last of nested calls.  Neither function
 * fails.
 */
extern void jobq_sandbox_rules_begin(void);
extern void jobq_sandbox_rules_end(void);

/*
 * Raises 42501 if the code leaves something that is not allowed. Called at its end,
 * when what it has written is visible.
 */
extern void jobq_sandbox_rules_check(void);

/* Whether they hold now. */
extern bool jobq_in_sandbox(void);

/* For hooks.c: raises 42501 for a command that may not be run there. */
extern void jobq_sandbox_check(Node *statement);

/*
 * Raises 42501 for an action that is not allowed in a security-restricted
 * operation.
 */
extern void jobq_refuse_if_restricted(const char *what);

#endif							/* JOBQ_SANDBOX_RULES_H */
