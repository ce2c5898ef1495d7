/*-------------------------------------------------------------------------
 *
 * jobstate.h
 *	  The states of a job and the events that lead from one to another.
 *
 * IDENTIFICATION
 *	  src/common/jobstate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMON_JOBSTATE_H
#define JOBQ_COMMON_JOBSTATE_H

#include <stdbool.h>

/* The numbers are stored in tables: never change them. */
typedef enum JobqState
{
	JOBQ_STATE_PENDING = 0,		/* shown as scheduled or ready, by run_at */
	JOBQ_STATE_RUNNING = 1,
	JOBQ_STATE_WAITING = 2,
	JOBQ_STATE_COMPLETED = 3,
	JOBQ_STATE_DEAD = 4,
	JOBQ_STATE_CANCELLED = 5,
	JOBQ_STATE_EXPIRED = 6
} JobqState;

#define JOBQ_STATE_COUNT		7

typedef enum JobqEvent
{
	JOBQ_EVENT_CLAIM,			/* a worker gets a lease */
	JOBQ_EVENT_TAKE,			/* run and completed in one transaction */
	JOBQ_EVENT_COMPLETE,		/* the worker reports success */
	JOBQ_EVENT_RETRY,			/* failed, attempts are left */
	JOBQ_EVENT_DIE,				/* failed for good */
	JOBQ_EVENT_RELEASE,			/* given back, no attempt used up */
	JOBQ_EVENT_SUSPEND,			/* sleeps or waits for something */
	JOBQ_EVENT_WAKE,			/* what it waited for has come */
	JOBQ_EVENT_CANCEL,
	JOBQ_EVENT_EXPIRE,			/* its time to live is over */
	JOBQ_EVENT_LEASE_LOST,		/* the worker vanished, attempts are left */
	JOBQ_EVENT_REVIVE,			/* a finished job runs again */
	JOBQ_EVENT_EDIT				/* another run_at, priority, payload */
} JobqEvent;

#define JOBQ_EVENT_COUNT		13

extern bool jobq_state_apply(JobqState from, JobqEvent event, JobqState *to);
extern const char *jobq_state_name(JobqState state, bool due);
extern const char *jobq_event_name(JobqEvent event);

#endif							/* JOBQ_COMMON_JOBSTATE_H */
