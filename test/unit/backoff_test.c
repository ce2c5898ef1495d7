/*-------------------------------------------------------------------------
 *
 * backoff_test.c
 *	  Delays stay within their bounds, whatever the policy holds.
 *
 * IDENTIFICATION
 *	  test/unit/backoff_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <limits.h>
#include <math.h>

#include "backoff.h"
#include "check.h"

#define SECOND					INT64_C(1000000)
#define HOUR					(3600 * SECOND)
#define COUNT(array)			((int) (sizeof(array) / sizeof((array)[0])))

static JobqBackoff
make_policy(JobqBackoffKind kind, int64_t base, double factor, int64_t max,
			double jitter)
{
	JobqBackoff policy = {0};

	policy.kind = kind;
	policy.base_us = base;
	policy.factor = factor;
	policy.max_us = max;
	policy.jitter = jitter;
	return policy;
}

static void
check_delay(JobqBackoff policy, int attempt, double random, int64_t expected,
			int line)
{
	int64_t		delay = jobq_backoff_delay(&policy, attempt, random);

	check_that(delay == expected, __FILE__, line,
			   "attempt %d: expected %lld, got %lld", attempt,
			   (long long) expected, (long long) delay);
}

#define DELAY(policy, attempt, random, expected) \
	check_delay(policy, attempt, random, expected, __LINE__)

static void
test_nominal(void)
{
	JobqBackoff policy;

	policy = make_policy(JOBQ_BACKOFF_EXPONENTIAL, SECOND, 2, HOUR, 0);
	DELAY(policy, 1, 0, SECOND);
	DELAY(policy, 2, 0, 2 * SECOND);
	DELAY(policy, 5, 0.999, 16 * SECOND);
	DELAY(policy, 12, 0, 2048 * SECOND);
	DELAY(policy, 13, 0, HOUR);
	DELAY(policy, INT_MAX, 0, HOUR);
	DELAY(policy, 0, 0, SECOND);
	DELAY(policy, INT_MIN, 0, SECOND);

	policy.factor = 1.5;
	DELAY(policy, 3, 0, 2250000);
	policy.factor = 0.5;
	DELAY(policy, 2, 0, SECOND / 2);
	DELAY(policy, INT_MAX, 0, 0);

	policy = make_policy(JOBQ_BACKOFF_LINEAR, 10 * SECOND, 7, 60 * SECOND, 0);
	DELAY(policy, 1, 0, 10 * SECOND);
	DELAY(policy, 4, 0, 40 * SECOND);
	DELAY(policy, 7, 0, 60 * SECOND);
	DELAY(policy, INT_MAX, 0, 60 * SECOND);

	policy = make_policy(JOBQ_BACKOFF_FIXED, 5 * SECOND, 7, 60 * SECOND, 0);
	DELAY(policy, 1, 0, 5 * SECOND);
	DELAY(policy, 100, 0, 5 * SECOND);
	policy.max_us = SECOND;
	DELAY(policy, 1, 0, SECOND);
}

static void
test_jitter(void)
{
	JobqBackoff policy;
	uint64_t	state = 1;
	int			i;

	policy = make_policy(JOBQ_BACKOFF_FIXED, 10 * SECOND, 1, HOUR,
						 0.25);
	DELAY(policy, 1, 0, 7500000);
	DELAY(policy, 1, 0.5, 10 * SECOND);
	DELAY(policy, 1, 1, 12500000);

	/* beyond the maximum only by the jitter */
	policy.max_us = 10 * SECOND;
	for (i = 0; i < 1000; i++)
	{
		double		random = random_below(&state, 1 << 30) / 1073741824.0;
		int64_t		delay = jobq_backoff_delay(&policy, 1 + i, random);

		CHECK(delay >= 7500000 && delay < 12500000, "random %g: %lld",
			  random, (long long) delay);
	}

	policy.jitter = 1;
	DELAY(policy, 1, 0, 0);
	policy.jitter = 17;
	DELAY(policy, 1, 0, 0);
	policy.jitter = -1;
	DELAY(policy, 1, 0, 10 * SECOND);
}

static void
test_steps(void)
{
	static const int64_t steps[] = {SECOND, 5 * SECOND, 90 * SECOND, -4};
	JobqBackoff policy;

	policy = make_policy(JOBQ_BACKOFF_EXPONENTIAL, SECOND, 2, 2 * SECOND, 0);
	policy.steps = steps;
	policy.nsteps = 3;
	DELAY(policy, -1, 0, SECOND);
	DELAY(policy, 1, 0, SECOND);
	DELAY(policy, 2, 0, 5 * SECOND);
	DELAY(policy, 3, 0, 90 * SECOND);
	DELAY(policy, 4, 0, 90 * SECOND);
	DELAY(policy, INT_MAX, 0, 90 * SECOND);
	policy.jitter = 0.1;
	DELAY(policy, 3, 0, 81 * SECOND);
	policy.nsteps = 4;
	DELAY(policy, 4, 0.3, 0);

	/* a length without a list is no list */
	policy.jitter = 0;
	policy.steps = NULL;
	DELAY(policy, 2, 0, 2 * SECOND);
}

static const int64_t odd_times[] = {
	INT64_MIN, -1, 0, 1, SECOND, INT64_C(1) << 53, INT64_MAX
};

static const double odd_numbers[] = {
	-INFINITY, -1e308, -1, -0.0, 0, 5e-324, 0.3, 1, 1.0000001, 2, 1e308,
	INFINITY, NAN
};

/*
 * Does every attempt give a delay in the permitted range?
 */
static bool
is_bounded(JobqBackoff policy, double random)
{
	static const int attempts[] = {INT_MIN, -1, 0, 1, 2, 64, 5000, INT_MAX};
	int			i;

	for (i = 0; i < COUNT(attempts); i++)
	{
		int64_t		delay = jobq_backoff_delay(&policy, attempts[i], random);

		if (delay < 0 || delay > JOBQ_BACKOFF_DELAY_MAX ||
			(policy.max_us <= 0 && delay != 0))
			return false;
	}
	return true;
}

/*
 * Every combination of odd values, a kind that does not exist included.
 */
static void
test_odd_values(void)
{
	int			kinds = JOBQ_BACKOFF_FIXED + 2;
	int			times = COUNT(odd_times);
	int			numbers = COUNT(odd_numbers);
	int			total = kinds * times * times * numbers * numbers;
	int			i;

	for (i = 0; i < total; i++)
	{
		int			rest = i;
		JobqBackoff policy;
		double		random;

		policy.kind = (JobqBackoffKind) (rest % kinds);
		rest /= kinds;
		policy.base_us = odd_times[rest % times];
		rest /= times;
		policy.max_us = odd_times[rest % times];
		rest /= times;
		policy.factor = odd_numbers[rest % numbers];
		rest /= numbers;
		random = policy.jitter = odd_numbers[rest];
		policy.nsteps = 0;
		policy.steps = NULL;
		CHECK(is_bounded(policy, random), "combination %d", i);
	}
}

static void
test_names(void)
{
	JobqBackoffKind kind = JOBQ_BACKOFF_FIXED;
	int			i;

	for (i = 0; i < JOBQ_BACKOFF_KINDS; i++)
		CHECK(jobq_backoff_kind_lookup(jobq_backoff_kind_names[i], &kind) &&
			  (int) kind == i, "kind %d", i);
	CHECK(!jobq_backoff_kind_lookup("square", &kind) &&
		  kind == JOBQ_BACKOFF_FIXED, "a kind that does not exist");
}

int
main(void)
{
	test_names();
	test_nominal();
	test_jitter();
	test_steps();
	test_odd_values();
	return check_finish();
}
