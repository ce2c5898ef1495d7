/*-------------------------------------------------------------------------
 *
 * jobstate_fuzz.c
 *	  libFuzzer target: events in any order.
 *
 * Each byte of the input is an event that the job gets, or a number that is
 * none.  Then its first bytes are a number that may be no state.
 *
 * IDENTIFICATION
 *	  test/fuzz/jobstate_fuzz.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>

#include "fuzz.h"
#include "jobstate.h"

/* What is known of a job from its events alone. */
typedef struct Life
{
	JobqState	state;
	JobqEvent	last;			/* that was accepted, edits left out */
	bool		is_new;			/* there was none */
} Life;

static bool
is_state(int state)
{
	return state >= 0 && state < JOBQ_STATE_COUNT;
}

static bool
is_finished(JobqState state)
{
	return state >= JOBQ_STATE_COMPLETED;
}

/* The state that an event leads to, written down a second time. */
static JobqState
state_after(JobqEvent event)
{
	switch (event)
	{
		case JOBQ_EVENT_CLAIM:
			return JOBQ_STATE_RUNNING;
		case JOBQ_EVENT_TAKE:
		case JOBQ_EVENT_COMPLETE:
			return JOBQ_STATE_COMPLETED;
		case JOBQ_EVENT_DIE:
			return JOBQ_STATE_DEAD;
		case JOBQ_EVENT_SUSPEND:
			return JOBQ_STATE_WAITING;
		case JOBQ_EVENT_CANCEL:
			return JOBQ_STATE_CANCELLED;
		case JOBQ_EVENT_EXPIRE:
			return JOBQ_STATE_EXPIRED;
		default:
			return JOBQ_STATE_PENDING;
	}
}

/*
 * What holds when an event was accepted.
 */
static void
check_accepted(const Life *life, JobqEvent event, JobqState to)
{
	bool		was_finished = is_finished(life->state);

	REQUIRE(jobq_event_name(event) != NULL && is_state((int) to));
	if (event == JOBQ_EVENT_EDIT)
	{
		/* neither of one that somebody holds, nor of one that is finished */
		REQUIRE(to == life->state);
		REQUIRE(to == JOBQ_STATE_PENDING || to == JOBQ_STATE_WAITING);
		return;
	}
	REQUIRE(to == state_after(event));

	/* a finished job can be revived only, and only a finished one can */
	REQUIRE(was_finished == (event == JOBQ_EVENT_REVIVE));
	/* a job is completed, released or lost only after it was claimed */
	if (event == JOBQ_EVENT_COMPLETE || event == JOBQ_EVENT_RELEASE ||
		event == JOBQ_EVENT_LEASE_LOST)
		REQUIRE(!life->is_new && life->last == JOBQ_EVENT_CLAIM);
	/* nobody gets a job that another has, or that sleeps */
	if (event == JOBQ_EVENT_CLAIM || event == JOBQ_EVENT_TAKE)
		REQUIRE(life->state == JOBQ_STATE_PENDING);
	if (event == JOBQ_EVENT_WAKE)
		REQUIRE(!life->is_new && life->last == JOBQ_EVENT_SUSPEND);
	/* a job that somebody runs does not expire */
	if (event == JOBQ_EVENT_EXPIRE)
		REQUIRE(life->state != JOBQ_STATE_RUNNING);
}

static void
apply(Life *life, int number)
{
	const JobqState untouched = (JobqState) 99;
	JobqEvent	event = (JobqEvent) number;
	JobqState	to = untouched;

	if (!jobq_state_apply(life->state, event, &to))
	{
		REQUIRE(to == untouched);
		/* who is not finished can be cancelled at any time */
		REQUIRE(event != JOBQ_EVENT_CANCEL || is_finished(life->state));
		return;
	}
	REQUIRE(number >= 0 && number < JOBQ_EVENT_COUNT);
	check_accepted(life, event, to);
	life->state = to;
	if (event != JOBQ_EVENT_EDIT)
	{
		life->last = event;
		life->is_new = false;
	}
}

/*
 * A number that is no state has neither a name nor a way to another state.
 */
static void
check_number(int number)
{
	JobqState	to;
	int			event;

	REQUIRE((jobq_state_name((JobqState) number, true) != NULL) ==
			is_state(number));
	if (is_state(number))
		return;
	for (event = 0; event < JOBQ_EVENT_COUNT; event++)
		REQUIRE(!jobq_state_apply((JobqState) number, (JobqEvent) event, &to));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Life		life = {JOBQ_STATE_PENDING, JOBQ_EVENT_EDIT, true};
	FuzzInput	input = {data, size};
	int32_t		number;
	size_t		i;

	for (i = 0; i < size; i++)
		apply(&life, (int8_t) data[i]);
	take(&input, &number, sizeof(number));
	check_number(number);
	return 0;
}
