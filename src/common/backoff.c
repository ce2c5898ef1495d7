/*-------------------------------------------------------------------------
 *
 * backoff.c
 *	  How long to wait before a failed job is tried again.
 *
 * A policy comes from a table that users fill, so no value of it may do
 * harm: whatever the fields hold, infinities and NaN included, the result is
 * a delay between zero and JOBQ_BACKOFF_DELAY_MAX.  The arithmetic is in
 * double, where overflow gives infinity and the cap takes care of it; up to
 * the longest delay a double holds microseconds exactly.
 *
 * IDENTIFICATION
 *	  src/common/backoff.c
 *
 *-------------------------------------------------------------------------
 */
#include <stddef.h>
#include <string.h>

#include "backoff.h"

const char *const jobq_backoff_kind_names[JOBQ_BACKOFF_KINDS] = {
	[JOBQ_BACKOFF_EXPONENTIAL] = "exponential",
	[JOBQ_BACKOFF_LINEAR] = "linear",
	[JOBQ_BACKOFF_FIXED] = "fixed",
};

/*
 * Limit a value to a range; a NaN becomes "otherwise".
 */
static double
clamp(double value, double min, double max, double otherwise)
{
	if (value != value)
		return otherwise;
	if (value < min)
		return min;
	return value > max ? max : value;
}

/*
 * Return base to the power of an exponent that is not negative, without the
 * mathematics library.  May be infinite.
 */
static double
power(double base, int exponent)
{
	double		result = 1;

	while (exponent > 0)
	{
		if ((exponent & 1) != 0)
			result *= base;
		base *= base;
		exponent >>= 1;
	}
	return result;
}

/*
 * Look up a kind by its name.  Return false, and leave *kind alone, if there is
 * none.
 */
bool
jobq_backoff_kind_lookup(const char *name, JobqBackoffKind *kind)
{
	int			i;

	for (i = 0; i < JOBQ_BACKOFF_KINDS; i++)
	{
		if (strcmp(name, jobq_backoff_kind_names[i]) == 0)
		{
			*kind = (JobqBackoffKind) i;
			return true;
		}
	}
	return false;
}

/*
 * Return the delay in microseconds after attempt number "attempt", counted
 * from 1, has failed.  "random" is drawn by the caller from [0, 1); it picks
 * the point in [1 - jitter, 1 + jitter] by which the delay is multiplied.
 */
int64_t
jobq_backoff_delay(const JobqBackoff *backoff, int attempt, double random)
{
	double		longest = (double) JOBQ_BACKOFF_DELAY_MAX;
	double		jitter = clamp(backoff->jitter, 0, 1, 0);
	double		factor = clamp(backoff->factor, 0, longest, 1);
	double		base = clamp((double) backoff->base_us, 0, longest, 0);
	double		delay = base;

	if (attempt < 1)
		attempt = 1;

	if (backoff->nsteps > 0 && backoff->steps != NULL)
	{
		int			last = backoff->nsteps;

		delay = (double) backoff->steps[(attempt < last ? attempt : last) - 1];
	}
	else
	{
		if (backoff->kind == JOBQ_BACKOFF_EXPONENTIAL)
			delay = base * power(factor, attempt - 1);
		else if (backoff->kind == JOBQ_BACKOFF_LINEAR)
			delay = base * attempt;

		/* 0 times infinity: nothing, however often it grows */
		delay = clamp(delay, 0, (double) backoff->max_us, 0);
	}

	delay = clamp(delay, 0, longest, 0);
	delay *= 1 - jitter + 2 * jitter * clamp(random, 0, 1, 0.5);
	return (int64_t) clamp(delay, 0, longest, 0);
}
