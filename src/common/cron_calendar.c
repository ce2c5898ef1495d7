/*-------------------------------------------------------------------------
 *
 * cron_calendar.c
 *	  Which days of a month match a cron expression.
 *
 * The unit of work is the month, not the day: jobq_cron_match_days() gives
 * all matching days of a month as a mask, by a few shifts.  So a search that
 * has to look through centuries (29 February on a Monday, or a date that
 * does not exist) takes a few thousand cheap steps at most.
 *
 * The calendar is the proleptic Gregorian one, like the server's, and works
 * for every year of the server's timestamps.
 *
 * IDENTIFICATION
 *	  src/common/cron_calendar.c
 *
 *-------------------------------------------------------------------------
 */
#include "cron_private.h"

/* days of the 400 years after which the calendar repeats, weekdays too */
#define CYCLE_DAYS				INT64_C(146097)

/* from 1 March of the year 0 to 1 January 1970 */
#define EPOCH_DAYS				INT64_C(719468)

/*
 * Return the number of days from 1 January 1970 to a date.  Years are
 * counted from March, which puts the leap day at their end.
 */
int64_t
jobq_date_to_days(int64_t year, int month, int day)
{
	int64_t		y = month > 2 ? year : year - 1;
	int64_t		cycle = (y >= 0 ? y : y - 399) / 400;
	int64_t		year_of_cycle = y - cycle * 400;
	int64_t		month_of_year = (month + 9) % 12;
	int64_t		day_of_year = (153 * month_of_year + 2) / 5 + day - 1;

	return cycle * CYCLE_DAYS + year_of_cycle * 365 + year_of_cycle / 4 -
		year_of_cycle / 100 + day_of_year - EPOCH_DAYS;
}

/*
 * Return the date this many days after 1 January 1970: the inverse of
 * jobq_date_to_days().
 */
JobqDate
jobq_date_from_days(int64_t days)
{
	int64_t		shifted = days + EPOCH_DAYS;
	int64_t		cycle = (shifted >= 0 ? shifted : shifted - (CYCLE_DAYS - 1)) /
	CYCLE_DAYS;
	int64_t		day_of_cycle = shifted - cycle * CYCLE_DAYS;
	int64_t		year_of_cycle = (day_of_cycle - day_of_cycle / 1460 +
								 day_of_cycle / 36524 -
								 day_of_cycle / (CYCLE_DAYS - 1)) / 365;
	int64_t		day_of_year = day_of_cycle - (year_of_cycle * 365 +
											  year_of_cycle / 4 -
											  year_of_cycle / 100);
	int64_t		month_of_year = (5 * day_of_year + 2) / 153;
	JobqDate	date;

	date.day = (int) (day_of_year - (153 * month_of_year + 2) / 5 + 1);
	date.month = (int) (month_of_year < 10 ? month_of_year + 3 :
						month_of_year - 9);
	date.year = year_of_cycle + cycle * 400 + (date.month <= 2 ? 1 : 0);
	return date;
}

/*
 * Return the number of days of a month.
 */
int
jobq_month_length(int64_t year, int month)
{
	if (month == 2)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
	return 30 + ((month + month / 8) & 1);
}

/*
 * Return the weekday of a day counted from 1 January 1970, a Thursday;
 * 0 is Sunday.
 */
static int
weekday_of_days(int64_t days)
{
	int			weekday = (int) ((days + 4) % 7);

	return weekday >= 0 ? weekday : weekday + 7;
}

/*
 * Turn a mask of weekdays into the mask of the days 1 to 31 of a month whose
 * first day is the weekday "first".
 */
static uint32_t
spread_weekdays(uint32_t weekdays, int first)
{
	uint64_t	week = (weekdays >> first | weekdays << (7 - first)) & 0x7F;
	uint64_t	month = week | week << 7 | week << 14 | week << 21 |
	week << 28;

	return (uint32_t) (month << 1);
}

/*
 * Return the day from Monday to Friday that is nearest to "day", in the same
 * month.
 */
static int
nearest_weekday(int day, int length, int first)
{
	int			weekday = (first + day - 1) % 7;

	if (weekday == 6)
		return day > 1 ? day - 1 : day + 2;
	if (weekday == 0)
		return day < length ? day + 1 : day - 2;
	return day;
}

/*
 * Return the days of a month that match the day of month field.
 */
static uint32_t
match_month_days(const JobqCron *cron, int length, int first)
{
	uint32_t	days = cron->days;
	int			n;

	for (n = first_bit(cron->days_from_last, 0); n >= 0 && n < length;
		 n = first_bit(cron->days_from_last, n + 1))
		days |= UINT32_C(1) << (length - n);

	for (n = first_bit(cron->days_nearest, 0); n >= 0 && n <= length;
		 n = first_bit(cron->days_nearest, n + 1))
	{
		int			day = n > 0 ? n : length;

		/* bit 0 is LW: never forwards, the last day ends the month */
		days |= UINT32_C(1) << nearest_weekday(day, length, first);
	}
	return days;
}

/*
 * Return the days of a month that match the day of week field.
 */
static uint32_t
match_weekdays(const JobqCron *cron, int length, int first)
{
	uint32_t	days = spread_weekdays(cron->weekdays, first);
	int			k;

	for (k = 0; k < 5; k++)
	{
		if (cron->weekdays_nth[k] != 0)
			days |= spread_weekdays(cron->weekdays_nth[k], first) &
				(uint32_t) (UINT64_C(0xFE) << (7 * k));
	}
	if (cron->weekdays_last != 0)
		days |= spread_weekdays(cron->weekdays_last, first) &
			(uint32_t) (UINT64_C(0xFE) << (length - 7));
	return days;
}

/* Does an expression fire in a year, if its days and months are right? */
bool
jobq_cron_match_year(const JobqCron *cron, int64_t year)
{
	int64_t		bit = year - JOBQ_CRON_YEAR_MIN;

	if (cron->any_year)
		return true;
	return bit >= 0 && year <= JOBQ_CRON_YEAR_MAX &&
		(cron->years[bit / 64] >> bit % 64 & 1) != 0;
}

/*
 * Return the mask of the days (1 to 31) of a month on which an expression
 * fires; 0 also if the month itself does not match.
 */
uint32_t
jobq_cron_match_days(const JobqCron *cron, int64_t year, int month)
{
	int			length;
	int			first;
	uint32_t	days;
	uint32_t	weekdays;

	if ((cron->months >> month & 1) == 0 || !jobq_cron_match_year(cron, year))
		return 0;

	length = jobq_month_length(year, month);
	first = weekday_of_days(jobq_date_to_days(year, month, 1));
	days = match_month_days(cron, length, first);
	weekdays = match_weekdays(cron, length, first);

	return (cron->match_both ? days & weekdays : days | weekdays) &
		ALL_DAYS & UINT32_MAX >> (31 - length);
}

/*
 * Can an expression fire at all?  False for dates that do not exist, such as
 * 31 February.  Every kind of year, leap or not and beginning on each of the
 * weekdays, is among any 28 consecutive years without a leap year left out.
 * If only some years are meant it has to be in one of them.
 */
bool
jobq_cron_is_possible(const JobqCron *cron)
{
	int			year = cron->any_year ? 2001 : JOBQ_CRON_YEAR_MIN;
	int			end = cron->any_year ? 2029 : JOBQ_CRON_YEAR_MAX + 1;
	int			month;

	if (cron->every > 0)
		return true;

	for (; year < end; year++)
	{
		for (month = 1; month <= 12; month++)
		{
			if (jobq_cron_match_days(cron, year, month) != 0)
				return true;
		}
	}
	return false;
}
