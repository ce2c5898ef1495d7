/*-------------------------------------------------------------------------
 *
 * jobstate_test.c
 *	  Every state with every event, and the names.
 *
 * IDENTIFICATION
 *	  test/unit/jobstate_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "jobstate.h"

/*
 * A line per event, a column per state: the first letter of the new state
 * (P and so on, X for expired), or a dot where the event is refused.
 */
static const struct
{
	JobqEvent	event;
	const char *name;
	const char *targets;
}			expected[] = {

	/* PRWCDKX */
	{JOBQ_EVENT_CLAIM, "claim", "R......"},
	{JOBQ_EVENT_TAKE, "take", "C......"},
	{JOBQ_EVENT_COMPLETE, "complete", ".C....."},
	{JOBQ_EVENT_RETRY, "retry", "PP....."},
	{JOBQ_EVENT_DIE, "die", "DDD...."},
	{JOBQ_EVENT_RELEASE, "release", ".P....."},
	{JOBQ_EVENT_SUSPEND, "suspend", "WW....."},
	{JOBQ_EVENT_WAKE, "wake", "..P...."},
	{JOBQ_EVENT_CANCEL, "cancel", "KKK...."},
	{JOBQ_EVENT_EXPIRE, "expire", "X.X...."},
	{JOBQ_EVENT_LEASE_LOST, "lease_lost", ".P....."},
	{JOBQ_EVENT_REVIVE, "revive", "...PPPP"},
	{JOBQ_EVENT_EDIT, "edit", "P.W...."}
};

static const char letters[] = "PRWCDKX";

static void
test_transitions(void)
{
	int			i;
	int			from;

	CHECK(sizeof(expected) / sizeof(expected[0]) == JOBQ_EVENT_COUNT,
		  "an event is not tested");
	for (i = 0; i < JOBQ_EVENT_COUNT; i++)
	{
		JobqEvent	event = expected[i].event;

		CHECK((int) event == i, "event %d is listed as %d", (int) event, i);
		CHECK(strcmp(jobq_event_name(event), expected[i].name) == 0,
			  "event %d is called %s", i, jobq_event_name(event));
		for (from = 0; from < JOBQ_STATE_COUNT; from++)
		{
			JobqState	to = (JobqState) 99;
			bool		done = jobq_state_apply((JobqState) from, event, &to);
			char		letter = done ? letters[to] : '.';

			CHECK(letter == expected[i].targets[from],
				  "%s in %s: expected %c, got %c", expected[i].name,
				  jobq_state_name((JobqState) from, true),
				  expected[i].targets[from], letter);
			CHECK(done || (int) to == 99, "a refused event stored a state");
		}
	}
}

static void
test_names(void)
{
	static const char *const names[] = {
		"ready", "running", "waiting", "completed", "dead", "cancelled",
		"expired"
	};
	size_t		i;

	for (i = 0; i < JOBQ_STATE_COUNT; i++)
	{
		CHECK(strcmp(jobq_state_name((JobqState) i, true), names[i]) == 0,
			  "state %zu is called %s", i,
			  jobq_state_name((JobqState) i, true));
		if (i > 0)
			CHECK(strcmp(jobq_state_name((JobqState) i, false), names[i]) == 0,
				  "state %zu depends on run_at", i);
	}
	CHECK(strcmp(jobq_state_name(JOBQ_STATE_PENDING, false), "scheduled") == 0,
		  "pending, not due");
}

/*
 * Numbers that come from a table and are none of ours.
 */
static void
test_foreign_values(void)
{
	static const int values[] = {-1, 7, 13, 31, 32, 64, 32767, -32768};
	JobqState	to;
	size_t		i;
	int			event;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		JobqState	state = (JobqState) values[i];

		for (event = 0; event < JOBQ_EVENT_COUNT; event++)
			CHECK(!jobq_state_apply(state, (JobqEvent) event, &to),
				  "state %d", values[i]);
		CHECK(jobq_state_name(state, true) == NULL, "state %d", values[i]);
		CHECK(jobq_state_name(state, false) == NULL, "state %d", values[i]);
		if (values[i] != 7)
		{
			CHECK(!jobq_state_apply(JOBQ_STATE_PENDING, (JobqEvent) values[i],
									&to), "event %d", values[i]);
			CHECK(jobq_event_name((JobqEvent) values[i]) == NULL, "event %d",
				  values[i]);
		}
	}
}

int
main(void)
{
	test_transitions();
	test_names();
	test_foreign_values();
	return check_finish();
}
