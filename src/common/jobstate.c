/*-------------------------------------------------------------------------
 *
 * jobstate.c
 *	  The states of a job and the events that lead from one to another.
 *
 * One table holds every permitted transition; whatever is not in it is
 * refused.  Code that changes a job's state asks it first, so that "can a
 * dead job be cancelled?" has one answer.
 *
 * A job that is run in the transaction that takes it is never stored as
 * running.  That is why a pending job can complete (TAKE), fail (RETRY, DIE)
 * or fall asleep (SUSPEND) at once.
 *
 * IDENTIFICATION
 *	  src/common/jobstate.c
 *
 *-------------------------------------------------------------------------
 */
#include <stddef.h>

#include "jobstate.h"

/* the bit of a state in a set of states */
#define IN(state)				(1 << JOBQ_STATE_##state)

#define TERMINAL_STATES \
	(IN(COMPLETED) | IN(DEAD) | IN(CANCELLED) | IN(EXPIRED))

/* the target that leaves the state as it is */
#define UNCHANGED				(-1)

/*
 * Per event: the states in which it may come and the state it leads to.
 * Every event leads to the same state wherever it comes.
 */
static const struct
{
	const char *name;
	unsigned char from;
	signed char to;
}			transitions[JOBQ_EVENT_COUNT] = {

	[JOBQ_EVENT_CLAIM] = {
		"claim", IN(PENDING), JOBQ_STATE_RUNNING
	},
	[JOBQ_EVENT_TAKE] = {
		"take", IN(PENDING), JOBQ_STATE_COMPLETED
	},
	[JOBQ_EVENT_COMPLETE] = {
		"complete", IN(RUNNING), JOBQ_STATE_COMPLETED
	},
	[JOBQ_EVENT_RETRY] = {
		"retry", IN(PENDING) | IN(RUNNING), JOBQ_STATE_PENDING
	},
	/* a waiting job dies if one that it depends on has failed */
	[JOBQ_EVENT_DIE] = {
		"die", IN(PENDING) | IN(RUNNING) | IN(WAITING), JOBQ_STATE_DEAD
	},
	[JOBQ_EVENT_RELEASE] = {
		"release", IN(RUNNING), JOBQ_STATE_PENDING
	},
	[JOBQ_EVENT_SUSPEND] = {
		"suspend", IN(PENDING) | IN(RUNNING), JOBQ_STATE_WAITING
	},
	[JOBQ_EVENT_WAKE] = {
		"wake", IN(WAITING), JOBQ_STATE_PENDING
	},
	[JOBQ_EVENT_CANCEL] = {
		"cancel", IN(PENDING) | IN(RUNNING) | IN(WAITING),
		JOBQ_STATE_CANCELLED
	},
	[JOBQ_EVENT_EXPIRE] = {
		"expire", IN(PENDING) | IN(WAITING), JOBQ_STATE_EXPIRED
	},
	[JOBQ_EVENT_LEASE_LOST] = {
		"lease_lost", IN(RUNNING), JOBQ_STATE_PENDING
	},
	[JOBQ_EVENT_REVIVE] = {
		"revive", TERMINAL_STATES, JOBQ_STATE_PENDING
	},
	[JOBQ_EVENT_EDIT] = {
		"edit", IN(PENDING) | IN(WAITING), UNCHANGED
	}
};

/* Of a pending job that is due; "scheduled" is its name before. */
static const char *const state_names[JOBQ_STATE_COUNT] = {
	[JOBQ_STATE_PENDING] = "ready",
	[JOBQ_STATE_RUNNING] = "running",
	[JOBQ_STATE_WAITING] = "waiting",
	[JOBQ_STATE_COMPLETED] = "completed",
	[JOBQ_STATE_DEAD] = "dead",
	[JOBQ_STATE_CANCELLED] = "cancelled",
	[JOBQ_STATE_EXPIRED] = "expired"
};

static const char *const scheduled_name = "scheduled";

/* A state may come from a table and be none of ours. */
static bool
is_state(int state)
{
	return state >= 0 && state < JOBQ_STATE_COUNT;
}

/*
 * Apply an event.  Stores the new state in *to and returns true, or returns
 * false and leaves *to alone if the event is not possible in that state.
 */
bool
jobq_state_apply(JobqState from, JobqEvent event, JobqState *to)
{
	if (!is_state((int) from) ||
		(int) event < 0 || (int) event >= JOBQ_EVENT_COUNT ||
		(transitions[event].from >> from & 1) == 0)
		return false;

	*to = transitions[event].to == UNCHANGED ? from :
		(JobqState) transitions[event].to;
	return true;
}

/*
 * Return the name of a state that users see.  "due" says whether run_at has
 * come; it matters for pending jobs only.  NULL if there is no such state.
 */
const char *
jobq_state_name(JobqState state, bool due)
{
	if (!is_state((int) state))
		return NULL;
	if (state == JOBQ_STATE_PENDING && !due)
		return scheduled_name;
	return state_names[state];
}

/*
 * Return the name of an event, for messages; NULL if there is none.
 */
const char *
jobq_event_name(JobqEvent event)
{
	if ((int) event < 0 || (int) event >= JOBQ_EVENT_COUNT)
		return NULL;
	return transitions[event].name;
}
