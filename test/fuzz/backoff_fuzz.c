/*-------------------------------------------------------------------------
 *
 * backoff_fuzz.c
 *	  libFuzzer target: delays of any policy, after any number of attempts.
 *
 * IDENTIFICATION
 *	  test/fuzz/backoff_fuzz.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "backoff.h"
#include "fuzz.h"

#define STEPS_MAX				8

/*
 * A number for jitter, factor or chance: any double, or one that is likely.
 */
static double
take_number(FuzzInput *input)
{
	static const double likely[] = {
		0, -0.0, 0.2, 0.5, 1, 1.0000001, 2, 10, 1e6, 1e308, -1, INFINITY,
		-INFINITY, NAN
	};
	size_t		n = sizeof(likely) / sizeof(likely[0]);
	uint8_t		kind = take_byte(input);
	double		number;

	if (kind < n)
		return likely[kind];
	take(input, &number, sizeof(number));
	return number;
}

/* Is a delay, but for rounding, no more than another? */
static int
is_at_most(int64_t delay, double other)
{
	return (double) delay <= other + 1 + fabs(other) * 1e-9;
}

/*
 * What holds for a delay whatever the policy is.
 */
static int64_t
check_delay(const JobqBackoff *backoff, int attempt, double chance)
{
	int64_t		delay = jobq_backoff_delay(backoff, attempt, chance);
	double		jitter = backoff->jitter > 0 ? fmin(backoff->jitter, 1) : 0;
	double		most = backoff->max_us > 0 ? (double) backoff->max_us : 0;

	REQUIRE(delay >= 0 && delay <= JOBQ_BACKOFF_DELAY_MAX);
	REQUIRE(delay == jobq_backoff_delay(backoff, attempt, chance));
	if (backoff->nsteps > 0 && backoff->steps != NULL)
	{
		int			step = attempt < 1 ? 1 : attempt;

		if (step > backoff->nsteps)
			step = backoff->nsteps;
		most = backoff->steps[step - 1] > 0 ?
			(double) backoff->steps[step - 1] : 0;
	}
	REQUIRE(is_at_most(delay, most * (1 + jitter)));
	return delay;
}

/*
 * Delays that grow do so with each attempt, up to the limit, and no more than
 * that: a higher limit makes none shorter.
 */
static void
check_growth(JobqBackoff *backoff, int attempt, double chance)
{
	int64_t		delay = check_delay(backoff, attempt, chance);
	int64_t		max_us = backoff->max_us;

	if (attempt < INT32_MAX &&
		(backoff->kind != JOBQ_BACKOFF_EXPONENTIAL || backoff->factor >= 1))
		REQUIRE(is_at_most(delay, (double) check_delay(backoff, attempt + 1,
													   chance)));
	backoff->max_us = max_us < 0 ? 0 : max_us;
	while (backoff->max_us < INT64_MAX / 1000)
	{
		backoff->max_us = backoff->max_us * 1000 + 1;
		REQUIRE(is_at_most(delay, (double) check_delay(backoff, attempt,
													   chance)));
	}
	backoff->max_us = max_us;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	JobqBackoff backoff = {0};
	int64_t    *steps = NULL;
	int32_t		attempt;
	double		chance;
	uint8_t		nsteps;

	backoff.kind = (JobqBackoffKind) (take_byte(&input) % 4);
	take(&input, &attempt, sizeof(attempt));
	take(&input, &backoff.base_us, sizeof(backoff.base_us));
	take(&input, &backoff.max_us, sizeof(backoff.max_us));
	backoff.factor = take_number(&input);
	backoff.jitter = take_number(&input);
	chance = take_number(&input);

	/* no list, a length without a list, or a list of just that length */
	nsteps = take_byte(&input);
	if (nsteps > STEPS_MAX)
		backoff.nsteps = (int8_t) nsteps;
	else if (nsteps > 0)
	{
		steps = malloc(nsteps * sizeof(int64_t));
		REQUIRE(steps != NULL);
		take(&input, steps, nsteps * sizeof(int64_t));
		backoff.nsteps = nsteps;
		backoff.steps = steps;
	}

	(void) check_delay(&backoff, attempt, chance);
	if (steps == NULL)
		check_growth(&backoff, attempt, chance);
	free(steps);
	return 0;
}
