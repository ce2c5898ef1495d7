/*-------------------------------------------------------------------------
 *
 * interval.c
 *	  Intervals as numbers.
 *
 * IDENTIFICATION
 *	  src/shared/interval.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/interval.h"

#include "common/int.h"

/* The longest duration: sums with a timestamp must not overflow. */
#define MAX_DURATION (INT64CONST(10000) * 365 * USECS_PER_DAY)

/*
 * An interval in microseconds, with months of 30 days and days of 24 hours;
 * clamped to +-10,000 years.
 */
int64
jobq_interval_microseconds(const Interval *interval)
{
	int64		days = (int64) interval->month * 30 + interval->day;
	int64		result;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result, interval->time, &result))
		result = days < 0 ? -MAX_DURATION : MAX_DURATION;
	return Max(Min(result, MAX_DURATION), -MAX_DURATION);
}
