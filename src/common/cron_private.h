/*-------------------------------------------------------------------------
 *
 * cron_private.h
 *	  What the parts of the cron code share with each other.
 *
 * IDENTIFICATION
 *	  src/common/cron_private.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMON_CRON_PRIVATE_H
#define JOBQ_COMMON_CRON_PRIVATE_H

#include "cron.h"

#define DAY_SECONDS				INT64_C(86400)

/* a mask with all the values of a field */
#define ALL_SECONDS				((UINT64_C(1) << 60) - 1)
#define ALL_MINUTES				ALL_SECONDS
#define ALL_HOURS				((UINT32_C(1) << 24) - 1)
#define ALL_DAYS				UINT32_C(0xFFFFFFFE)
#define ALL_MONTHS				UINT32_C(0x1FFE)
#define ALL_WEEKDAYS			UINT32_C(0x7F)

/* A date of the proleptic Gregorian calendar; the year 0 is 1 BC. */
typedef struct JobqDate
{
	int64_t		year;
	int			month;			/* 1 to 12 */
	int			day;			/* 1 to 31 */
} JobqDate;

/*
 * Return the lowest bit of a mask that is at least "from" (0 to 63), or -1.
 */
static inline int
first_bit(uint64_t mask, int from)
{
	mask &= UINT64_MAX << from;
	if (mask == 0)
		return -1;
#ifdef __GNUC__
	return __builtin_ctzll(mask);
#else
	while ((mask >> from & 1) == 0)
		from++;
	return from;
#endif
}

/* Return the number of bits of a mask that are lower than "below" (0 to 63). */
static inline int
count_bits_below(uint64_t mask, int below)
{
	mask &= (UINT64_C(1) << below) - 1;
#ifdef __GNUC__
	return __builtin_popcountll(mask);
#else
	int			count = 0;

	for (; mask != 0; mask &= mask - 1)
		count++;
	return count;
#endif
}

/* cron_calendar.c */
extern int64_t jobq_date_to_days(int64_t year, int month, int day);
extern JobqDate jobq_date_from_days(int64_t days);
extern int	jobq_month_length(int64_t year, int month);
extern bool jobq_cron_match_year(const JobqCron *cron, int64_t year);
extern uint32_t jobq_cron_match_days(const JobqCron *cron, int64_t year,
									 int month);

#endif							/* JOBQ_COMMON_CRON_PRIVATE_H */
