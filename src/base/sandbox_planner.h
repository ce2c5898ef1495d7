/*-------------------------------------------------------------------------
 *
 * sandbox_planner.h
 *	  Keeping the planner from calling functions of a queue's owner.
 *
 * IDENTIFICATION
 *	  src/base/sandbox_planner.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SANDBOX_PLANNER_H
#define JOBQ_SANDBOX_PLANNER_H

/* Sets the hooks, once: in _PG_init(). */
extern void jobq_sandbox_planner_set_up(void);

/* The rules hold from the first to the last of nested calls; neither fails. */
extern void jobq_sandbox_planner_begin(void);
extern void jobq_sandbox_planner_end(void);

#endif							/* JOBQ_SANDBOX_PLANNER_H */
