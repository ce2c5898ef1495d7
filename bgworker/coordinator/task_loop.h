/*-------------------------------------------------------------------------
 *
 * task_loop.h
 *	  Running the tasks of a coordinator when they are due.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/task_loop.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TASK_LOOP_H
#define JOBQ_TASK_LOOP_H

#include "datatype/timestamp.h"

/*
 * All tasks are due.  The context is reset before each of them; begin() starts
 * a transaction, or exits.
 */
extern void jobq_task_loop_begin(MemoryContext context, void (*begin) (void));

/*
 * Runs every task that is due, once; reasons are those (JOBQ_WAKE_) for which
 * the process was woken.  Returns until when there is nothing to do.
 */
extern TimestampTz jobq_task_loop_run(uint32 reasons);

#endif							/* JOBQ_TASK_LOOP_H */
