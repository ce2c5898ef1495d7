/*-------------------------------------------------------------------------
 *
 * tasks.h
 *	  The tasks of a coordinator.
 *
 * Each run is a transaction of its own, without a snapshot, in a database where
 * the extension is installed, and does a bounded amount of work.  None waits for
 * a lock that a user's transaction can hold.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/tasks.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TASKS_H
#define JOBQ_TASKS_H

#include "shared/shmem.h"

/* Reasons that concern nearly every task. */
#define JOBQ_TASK_WAKE_ALL (JOBQ_WAKE_CONFIG | JOBQ_WAKE_RESYNC)

typedef struct JobqCoordinatorTask
{
	/*
	 * Returns when to run again (JOBQ_NEVER: when there is a reason), or with
	 * *more at once.
	 */
	TimestampTz (*run) (bool *more);
	uint32		reasons;		/* JOBQ_WAKE_ */
	bool		timed;			/* JobqDatabase.next_due may be meant for it */
	bool		exhaustive;		/* *more comes before the next task */
	bool		(*is_wanted) (void);	/* NULL: only as said above */
	void		(*undo) (int sqlerrcode);	/* an error has rolled it back */
} JobqCoordinatorTask;

extern const JobqCoordinatorTask jobq_tasks[JOBQ_NUM_TASKS];

/* Before tasks are run for these reasons. */
extern void jobq_tasks_note_reasons(uint32 reasons);

/* Makes the next look cover all queues, not only those that are due. */
extern void jobq_tasks_look_at_all(void);

/* When all queues were looked at last. */
extern TimestampTz jobq_tasks_last_look(void);

#endif							/* JOBQ_TASKS_H */
