/*-------------------------------------------------------------------------
 *
 * cron_next_test.c
 *	  Firings that are known: the calendar, daylight saving time, intervals.
 *
 * IDENTIFICATION
 *	  test/unit/cron_next_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "cron.h"
#include "testzone.h"

#define COUNT(array)			(sizeof(array) / sizeof((array)[0]))
#define FIRINGS_MAX				10

/*
 * The firings that follow "after" one by one, up to a NULL; "never" ends the
 * list if there is none.
 */
typedef struct Sequence
{
	const char *zone;
	const char *text;
	const char *after;
	const char *firings[FIRINGS_MAX];
} Sequence;

static const Sequence calendar[] = {
	/* strictly after, and without fractions */
	{NULL, "* * * * *", "2024-01-01 00:00:00",
	{"2024-01-01 00:01:00", "2024-01-01 00:02:00"}},
	{NULL, "* * * * *", "2023-12-31 23:59:59", {"2024-01-01 00:00:00"}},
	{NULL, "* * * * * *", "2023-12-31 23:59:59",
	{"2024-01-01 00:00:00", "2024-01-01 00:00:01"}},
	{NULL, "*/20 59 23 31 12 *", "2023-12-31 23:58:00",
		{"2023-12-31 23:59:00", "2023-12-31 23:59:20", "2023-12-31 23:59:40",
	"2024-12-31 23:59:00"}},
	{NULL, "5 0 * 8 *", "2024-08-31 12:00:00", {"2025-08-01 00:05:00"}},
	{NULL, "23 0-20/2 * * *", "2024-05-01 19:00:00",
	{"2024-05-01 20:23:00", "2024-05-02 00:23:00"}},
	{NULL, "0 22-2/2 * * *", "2024-05-01 12:00:00",
		{"2024-05-01 22:00:00", "2024-05-02 00:00:00", "2024-05-02 02:00:00",
	"2024-05-02 22:00:00"}},

	/* years */
	{NULL, "0 0 0 1 1 * 2030", "2024-05-01 12:00:00",
	{"2030-01-01 00:00:00", "never"}},
	{NULL, "0 0 0 1 1 * 2020", "2024-05-01 12:00:00", {"never"}},
	{NULL, "59 59 23 31 12 * 2029-2031", "2029-12-31 23:59:58",
		{"2029-12-31 23:59:59", "2030-12-31 23:59:59", "2031-12-31 23:59:59",
	"never"}},
	{NULL, "0 0 0 29 2 * 2025/1", "2096-03-01 00:00:00",
	{"2104-02-29 00:00:00"}},
	{NULL, "0 0 0 29 2 * 2023,2100,2025", "2020-01-01 00:00:00", {"never"}},
	{NULL, "0 0 0 1 1 * 2199", "2024-01-01 00:00:00",
	{"2199-01-01 00:00:00", "never"}},
	{NULL, "0 0 0 1 1 * *", "2250-01-02 00:00:00", {"2251-01-01 00:00:00"}},
	{NULL, "0 0 0 1 1 * */20", "2185-01-02 00:00:00",
	{"2190-01-01 00:00:00", "never"}},
	{"America/New_York", "0 0 0 1 1 * 2030", "2030-01-01 04:59:59",
	{"2030-01-01 05:00:00", "never"}},
	{"Asia/Kathmandu", "0 0 0 1 1 * 2030", "2024-05-01 12:00:00",
	{"2029-12-31 18:15:00", "never"}},

	/* day of month and day of week */
	{NULL, "0 0 +13 * 5", "2024-09-14 00:00:00", {"2024-12-13 00:00:00"}},
	{NULL, "0 0 13 * 5", "2024-09-01 00:00:00",
		{"2024-09-06 00:00:00", "2024-09-13 00:00:00", "2024-09-20 00:00:00",
			"2024-09-27 00:00:00", "2024-10-04 00:00:00", "2024-10-11 00:00:00",
	"2024-10-13 00:00:00"}},
	{NULL, "0 0 */2 * 1", "2024-09-01 00:00:00",
	{"2024-09-09 00:00:00", "2024-09-23 00:00:00", "2024-10-07 00:00:00"}},
	{NULL, "0 0 13 * */5", "2024-09-01 00:00:00",
	{"2024-09-13 00:00:00", "2024-10-13 00:00:00", "2024-12-13 00:00:00"}},
	{NULL, "0 0 13 * +5", "2024-01-01 00:00:00",
	{"2024-09-13 00:00:00", "2024-12-13 00:00:00", "2025-06-13 00:00:00"}},
	{NULL, "0 0 1-7 * +mon", "2024-09-01 00:00:00",
	{"2024-09-02 00:00:00", "2024-10-07 00:00:00"}},
	{NULL, "0 0 ? * 1", "2024-09-01 00:00:00",
	{"2024-09-02 00:00:00", "2024-09-09 00:00:00"}},

	/* the last days */
	{NULL, "0 0 L * *", "2024-01-31 00:00:00",
	{"2024-02-29 00:00:00", "2024-03-31 00:00:00", "2024-04-30 00:00:00"}},
	{NULL, "0 0 L-3 1,2 *", "2023-01-01 00:00:00",
		{"2023-01-28 00:00:00", "2023-02-25 00:00:00", "2024-01-28 00:00:00",
	"2024-02-26 00:00:00"}},
	{NULL, "0 0 L-30 * *", "2024-01-01 00:00:00",
	{"2024-03-01 00:00:00", "2024-05-01 00:00:00", "2024-07-01 00:00:00"}},
	{NULL, "0 0 31 * *", "2024-01-01 00:00:00",
		{"2024-01-31 00:00:00", "2024-03-31 00:00:00", "2024-05-31 00:00:00",
	"2024-07-31 00:00:00", "2024-08-31 00:00:00"}},

	/* nearest weekdays: 1 June 2024 is a Saturday, 30 June a Sunday */
	{NULL, "0 0 1W 6 *", "2024-01-01 00:00:00",
	{"2024-06-03 00:00:00", "2025-06-02 00:00:00", "2026-06-01 00:00:00"}},
	{NULL, "0 0 30W 6 *", "2024-01-01 00:00:00",
	{"2024-06-28 00:00:00", "2025-06-30 00:00:00"}},
	{NULL, "0 0 15W 6 *", "2024-01-01 00:00:00",
	{"2024-06-14 00:00:00", "2025-06-16 00:00:00"}},
	{NULL, "0 0 LW 3,6,8 *", "2024-01-01 00:00:00",
	{"2024-03-29 00:00:00", "2024-06-28 00:00:00", "2024-08-30 00:00:00"}},
	{NULL, "0 0 31W * *", "2024-01-01 00:00:00",
		{"2024-01-31 00:00:00", "2024-03-29 00:00:00", "2024-05-31 00:00:00",
	"2024-07-31 00:00:00", "2024-08-30 00:00:00"}},

	/* the nth and the last weekday */
	{NULL, "0 0 * * 1#1", "2024-09-01 00:00:00",
	{"2024-09-02 00:00:00", "2024-10-07 00:00:00"}},
	{NULL, "0 0 * * 5#5", "2024-01-01 00:00:00",
	{"2024-03-29 00:00:00", "2024-05-31 00:00:00", "2024-08-30 00:00:00"}},
	{NULL, "0 0 * * 5L", "2024-01-01 00:00:00",
	{"2024-01-26 00:00:00", "2024-02-23 00:00:00", "2024-03-29 00:00:00"}},
	{NULL, "0 0 * * sunL,7#1", "2024-02-01 00:00:00",
	{"2024-02-04 00:00:00", "2024-02-25 00:00:00", "2024-03-03 00:00:00"}},
	{NULL, "0 0 * 2 4L", "2024-01-01 00:00:00", {"2024-02-29 00:00:00"}},

	/* leap years, and a weekday that 29 February has every 28 or 40 years */
	{NULL, "0 0 29 2 *", "2096-02-29 00:00:00", {"2104-02-29 00:00:00"}},
	{NULL, "0 0 29 2 *", "1896-02-29 00:00:00", {"1904-02-29 00:00:00"}},
	{NULL, "0 0 29 2 *", "1996-03-01 00:00:00", {"2000-02-29 00:00:00"}},
	{NULL, "0 0 29 2 +0", "2088-02-29 00:00:00", {"2128-02-29 00:00:00"}},
	{NULL, "0 0 29 2 +1", "2024-03-01 00:00:00", {"2044-02-29 00:00:00"}},
	{NULL, "0 0 29 2 */7", "2088-02-29 00:00:00", {"2128-02-29 00:00:00"}},
	{NULL, "0 0 31 2 *", "2024-01-01 00:00:00", {"never"}},
	{NULL, "0 0 30W 2 *", "2024-01-01 00:00:00", {"never"}},

	/* far from today */
	{NULL, "0 0 1 1 *", "1969-06-01 00:00:00",
	{"1970-01-01 00:00:00", "1971-01-01 00:00:00"}},
	{NULL, "59 59 23 31 12 *", "1900-01-01 00:00:00", {"1900-12-31 23:59:59"}},
	{NULL, "0 0 * * 1", "1582-10-10 00:00:00", {"1582-10-11 00:00:00"}},
	{NULL, "14 8 19 1 *", "2038-01-01 00:00:00", {"2038-01-19 08:14:00"}},
	{NULL, "28 6 7 2 *", "2106-01-01 00:00:00", {"2106-02-07 06:28:00"}},
	{NULL, "0 0 1 1 *", "9999-12-31 00:00:00", {"10000-01-01 00:00:00"}}
};

static const Sequence daylight_saving[] = {
	/* New York, forward at 02:00 on 10 March 2024 */
	{"America/New_York", "30 2 * * *", "2024-03-09 12:00:00 -0500",
	{"2024-03-10 03:00:00 -0400", "2024-03-11 02:30:00 -0400"}},
	{"America/New_York", "0 2 * * *", "2024-03-09 12:00:00 -0500",
	{"2024-03-10 03:00:00 -0400", "2024-03-11 02:00:00 -0400"}},
	{"America/New_York", "0,30 2 * * *", "2024-03-09 12:00:00 -0500",
	{"2024-03-10 03:00:00 -0400", "2024-03-11 02:00:00 -0400"}},
	{"America/New_York", "0,30 2,3 * * *", "2024-03-09 12:00:00 -0500",
		{"2024-03-10 03:00:00 -0400", "2024-03-10 03:30:00 -0400",
	"2024-03-11 02:00:00 -0400"}},
	{"America/New_York", "59 59 2 * * *", "2024-03-09 12:00:00 -0500",
	{"2024-03-10 03:00:00 -0400", "2024-03-11 02:59:59 -0400"}},
	{"America/New_York", "30 2 10 3 *", "2024-01-01 00:00:00 -0500",
	{"2024-03-10 03:00:00 -0400", "2025-03-10 02:30:00 -0400"}},
	{"America/New_York", "30 2 * * *", "2024-03-10 03:00:00 -0400",
	{"2024-03-11 02:30:00 -0400"}},
	{"America/New_York", "*/30 2 * * *", "2024-03-09 12:00:00 -0500",
	{"2024-03-11 02:00:00 -0400", "2024-03-11 02:30:00 -0400"}},
	{"America/New_York", "* 30 2 * * *", "2024-03-10 01:00:00 -0500",
	{"2024-03-11 02:30:00 -0400"}},
	{"America/New_York", "30 * * * *", "2024-03-10 01:00:00 -0500",
	{"2024-03-10 01:30:00 -0500", "2024-03-10 03:30:00 -0400"}},
	{"America/New_York", "*/20 * * * *", "2024-03-10 01:30:00 -0500",
		{"2024-03-10 01:40:00 -0500", "2024-03-10 03:00:00 -0400",
	"2024-03-10 03:20:00 -0400"}},

	/* New York, back at 02:00 on 3 November 2024 */
	{"America/New_York", "30 1 * * *", "2024-11-02 12:00:00 -0400",
	{"2024-11-03 01:30:00 -0400", "2024-11-04 01:30:00 -0500"}},
	{"America/New_York", "30 1 * * *", "2024-11-03 01:10:00 -0500",
	{"2024-11-04 01:30:00 -0500"}},
	{"America/New_York", "0 1,2 * * *", "2024-11-03 00:00:00 -0400",
		{"2024-11-03 01:00:00 -0400", "2024-11-03 02:00:00 -0500",
	"2024-11-04 01:00:00 -0500"}},
	{"America/New_York", "15,45 1 * * *", "2024-11-03 00:00:00 -0400",
		{"2024-11-03 01:15:00 -0400", "2024-11-03 01:45:00 -0400",
	"2024-11-04 01:15:00 -0500"}},
	{"America/New_York", "0-59/15 1 * * *", "2024-11-03 01:20:00 -0400",
		{"2024-11-03 01:30:00 -0400", "2024-11-03 01:45:00 -0400",
	"2024-11-04 01:00:00 -0500"}},
	{"America/New_York", "30 * * * *", "2024-11-03 00:45:00 -0400",
		{"2024-11-03 01:30:00 -0400", "2024-11-03 01:30:00 -0500",
	"2024-11-03 02:30:00 -0500"}},
	{"America/New_York", "*/30 1 * * *", "2024-11-03 00:45:00 -0400",
		{"2024-11-03 01:00:00 -0400", "2024-11-03 01:30:00 -0400",
			"2024-11-03 01:00:00 -0500", "2024-11-03 01:30:00 -0500",
	"2024-11-04 01:00:00 -0500"}},

	/* half an hour: Lord Howe Island */
	{"Australia/Lord_Howe", "15 2 * * *", "2024-10-05 12:00:00 +1030",
	{"2024-10-06 02:30:00 +1100", "2024-10-07 02:15:00 +1100"}},
	{"Australia/Lord_Howe", "45 2 * * *", "2024-10-05 12:00:00 +1030",
	{"2024-10-06 02:45:00 +1100", "2024-10-07 02:45:00 +1100"}},
	{"Australia/Lord_Howe", "*/15 2 * * *", "2024-10-05 12:00:00 +1030",
		{"2024-10-06 02:30:00 +1100", "2024-10-06 02:45:00 +1100",
	"2024-10-07 02:00:00 +1100"}},
	{"Australia/Lord_Howe", "45 1 * * *", "2024-04-06 12:00:00 +1100",
	{"2024-04-07 01:45:00 +1100", "2024-04-08 01:45:00 +1030"}},
	{"Australia/Lord_Howe", "*/15 1 * * *", "2024-04-07 01:20:00 +1100",
		{"2024-04-07 01:30:00 +1100", "2024-04-07 01:45:00 +1100",
			"2024-04-07 01:30:00 +1030", "2024-04-07 01:45:00 +1030",
	"2024-04-08 01:00:00 +1030"}},

	/* midnight: Sao Paulo and Havana */
	{"America/Sao_Paulo", "0 0 * * *", "2018-11-03 12:00:00 -0300",
	{"2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200"}},
	{"America/Sao_Paulo", "0 0 4 11 *", "2018-01-01 00:00:00 -0200",
	{"2018-11-04 01:00:00 -0200", "2019-11-04 00:00:00 -0300"}},
	{"America/Sao_Paulo", "0 0 * * 0", "2018-10-30 00:00:00 -0300",
	{"2018-11-04 01:00:00 -0200", "2018-11-11 00:00:00 -0200"}},
	{"America/Sao_Paulo", "*/30 0 * * *", "2018-11-03 12:00:00 -0300",
	{"2018-11-05 00:00:00 -0200"}},
	{"America/Sao_Paulo", "30 23 * * *", "2018-02-17 12:00:00 -0200",
	{"2018-02-17 23:30:00 -0200", "2018-02-18 23:30:00 -0300"}},
	{"America/Havana", "0 0 * * *", "2024-03-09 12:00:00 -0500",
	{"2024-03-10 01:00:00 -0400", "2024-03-11 00:00:00 -0400"}},
	{"America/Havana", "0 0 * * *", "2024-11-02 12:00:00 -0400",
	{"2024-11-03 00:00:00 -0400", "2024-11-04 00:00:00 -0500"}},
	{"America/Havana", "30 * * * *", "2024-11-03 00:00:00 -0400",
		{"2024-11-03 00:30:00 -0400", "2024-11-03 00:30:00 -0500",
	"2024-11-03 01:30:00 -0500"}},

	/* a day that never was: Samoa, 30 December 2011 */
	{"Pacific/Apia", "0 12 * * *", "2011-12-28 13:00:00 -1000",
	{"2011-12-29 12:00:00 -1000", "2011-12-31 12:00:00 +1400"}},
	{"Pacific/Apia", "0 0 30 12 *", "2011-12-01 00:00:00 -1000",
	{"2012-12-30 00:00:00 +1400"}},
	{"Pacific/Apia", "0 * * * *", "2011-12-29 22:30:00 -1000",
	{"2011-12-29 23:00:00 -1000", "2011-12-31 00:00:00 +1400"}},

	/* an offset of zero, and one with odd minutes */
	{"Europe/London", "30 1 * * *", "2024-03-30 12:00:00 +0000",
	{"2024-03-31 02:00:00 +0100", "2024-04-01 01:30:00 +0100"}},
	{"Asia/Kathmandu", "0 12 * * *", "2024-03-30 12:00:00 +0545",
	{"2024-03-31 12:00:00 +0545"}},

	/* a time that is skipped each year, until the zone's data ends in 2100 */
	{"America/New_York", "*/30 2 * 3 +0#2", "2024-01-01 00:00:00 -0500",
	{"2100-03-14 02:00:00 -0500"}}
};

static void
parse(const char *text, JobqCron *cron)
{
	JobqCronError error;

	CHECK(jobq_cron_parse(text, strlen(text), cron, &error), "\"%s\": %s",
		  text, error.message);
}

/*
 * Walk along a sequence with next, and from each firing and the instants
 * beside it with prev.
 */
static void
check_sequence(const Sequence *sequence)
{
	JobqCron	cron;
	JobqZone	zone = jobq_zone_fixed(0);
	int64_t		time = parse_instant(sequence->after);
	int64_t		last = 0;
	char		buf[2][INSTANT_SIZE];
	int			i;

	parse(sequence->text, &cron);
	if (sequence->zone != NULL)
		zone = zone_callback(load_zone(sequence->zone));

	for (i = 0; i < FIRINGS_MAX && sequence->firings[i] != NULL; i++)
	{
		bool		never = strcmp(sequence->firings[i], "never") == 0;
		JobqCronResult result;
		int64_t		expected;
		int64_t		firing = 0;
		int64_t		prev = 0;

		result = jobq_cron_next(&cron, time, &zone, 0, &firing);
		CHECK((result == JOBQ_CRON_NEVER) == never,
			  "%s \"%s\" after %s: never", sequence->zone,
			  sequence->text, format_instant(time, buf[0]));
		if (never)
		{
			CHECK(!cron.any_year ||
				  jobq_cron_prev(&cron, time, &zone, 0, &prev) ==
				  JOBQ_CRON_NEVER, "\"%s\" has fired", sequence->text);
			return;
		}
		expected = parse_instant(sequence->firings[i]);
		CHECK(firing == expected, "%s \"%s\" after %s: expected %s, got %s",
			  sequence->zone, sequence->text, sequence->after,
			  sequence->firings[i], format_instant(firing, buf[0]));

		CHECK(jobq_cron_prev(&cron, expected, &zone, 0, &prev) == JOBQ_CRON_OK
			  && prev == expected, "%s \"%s\" at %s: prev is %s",
			  sequence->zone, sequence->text, sequence->firings[i],
			  format_instant(prev, buf[0]));
		if (i > 0)
			CHECK(jobq_cron_prev(&cron, expected - 1, &zone, 0, &prev) ==
				  JOBQ_CRON_OK && prev == last,
				  "%s \"%s\" before %s: prev is %s", sequence->zone,
				  sequence->text, sequence->firings[i],
				  format_instant(prev, buf[0]));
		last = time = expected;
	}
}

static void
check_next(const char *text, TestZone *zone, int64_t after, int64_t expected,
		   int line)
{
	JobqCron	cron;
	JobqZone	callback = zone_callback(zone);
	int64_t		next = -1;
	char		buf[2][INSTANT_SIZE];

	parse(text, &cron);
	CHECK(jobq_cron_next(&cron, after, &callback, 0, &next) == JOBQ_CRON_OK,
		  "\"%s\" never", text);
	check_that(next == expected, __FILE__, line,
			   "\"%s\": expected %s, got %s", text,
			   format_instant(expected, buf[0]), format_instant(next, buf[1]));
}

#define NEXT(text, zone, after, expected) \
	check_next(text, zone, after, expected, __LINE__)

/*
 * Changes as no zone has them today.
 */
static void
test_made_up_zones(void)
{
	static TestZone zone;
	const int64_t day = 86400;
	const int64_t hour = 3600;
	int			i;

	/* only the abbreviation changes, again and again */
	begin_zone(&zone, "abbreviation", 3600);
	for (i = 1; i <= 20; i++)
		add_change(&zone, i * hour, 3600);
	NEXT("30 12 * * *", &zone, 0, 11 * hour + 1800);
	NEXT("*/30 * * * *", &zone, 5 * hour, 5 * hour + 1800);
	NEXT("0 4 * * *", &zone, 0, 3 * hour);

	/* the longest gap that is made up for, and one second more */
	begin_zone(&zone, "three hours", 0);
	add_change(&zone, 10 * hour, 3 * 3600);
	NEXT("0 11 * * *", &zone, 0, 10 * hour);
	NEXT("0 11 * * *", &zone, 10 * hour, day + 8 * hour);
	NEXT("0 13 * * *", &zone, 0, 10 * hour);
	NEXT("0 */11 * * *", &zone, 1, 19 * hour);
	begin_zone(&zone, "more than three hours", 0);
	add_change(&zone, 10 * hour, 3 * 3600 + 1);
	NEXT("0 11 * * *", &zone, 0, day + 8 * hour - 1);
	NEXT("0 10 * * *", &zone, 0, day + 7 * hour - 1);

	/* back by a day: the second one is the first one again */
	begin_zone(&zone, "a day back", 43200);
	add_change(&zone, day, -43200);
	NEXT("0 6 * * *", &zone, -day + 1, -6 * hour);
	NEXT("0 6 * * *", &zone, -6 * hour, 18 * hour);
	NEXT("0 6 * * *", &zone, 18 * hour, 3 * day - 6 * hour);
	NEXT("0 12 * * *", &zone, 0, 2 * day);
	NEXT("0 * * * *", &zone, day, day + hour);

	/* an hour forward while an hour is still being repeated */
	begin_zone(&zone, "forth and back", 0);
	add_change(&zone, 10 * hour, -3600);
	add_change(&zone, 10 * hour + 1800, 0);
	NEXT("15 9 * * *", &zone, 0, 9 * hour + 900);
	NEXT("15 9 * * *", &zone, 9 * hour + 900, day + 9 * hour + 900);
	NEXT("45 9 * * *", &zone, 9 * hour + 2700, day + 9 * hour + 2700);
	NEXT("15 10 * * *", &zone, 0, 10 * hour + 1800);
	NEXT("45 10 * * *", &zone, 0, 10 * hour + 2700);

	/* two changes within one skipped stretch */
	begin_zone(&zone, "twice forward", 0);
	add_change(&zone, 10 * hour, 3600);
	add_change(&zone, 10 * hour + 60, 7200);
	NEXT("30 10 * * *", &zone, 0, 10 * hour);
	NEXT("30 11 * * *", &zone, 0, 10 * hour + 60);
	NEXT("30 10,11 * * *", &zone, 10 * hour, 10 * hour + 60);
}

static void
test_intervals(void)
{
	JobqCron	cron;
	int64_t		time;

	parse("@every 10s", &cron);
	CHECK(jobq_cron_next(&cron, 100, NULL, 3, &time) == JOBQ_CRON_OK &&
		  time == 103, "next is %lld", (long long) time);
	CHECK(jobq_cron_next(&cron, 103, NULL, 3, &time) == JOBQ_CRON_OK &&
		  time == 113, "next is %lld", (long long) time);
	CHECK(jobq_cron_prev(&cron, 112, NULL, 3, &time) == JOBQ_CRON_OK &&
		  time == 103, "prev is %lld", (long long) time);
	CHECK(jobq_cron_prev(&cron, 113, NULL, 3, &time) == JOBQ_CRON_OK &&
		  time == 113, "prev is %lld", (long long) time);

	/* nothing before the anchor */
	CHECK(jobq_cron_next(&cron, -100, NULL, 3, &time) == JOBQ_CRON_OK &&
		  time == 3, "next is %lld", (long long) time);
	CHECK(jobq_cron_prev(&cron, 3, NULL, 3, &time) == JOBQ_CRON_OK &&
		  time == 3, "prev is %lld", (long long) time);
	CHECK(jobq_cron_prev(&cron, 2, NULL, 3, &time) == JOBQ_CRON_NEVER,
		  "prev is %lld", (long long) time);

	/* instants before 1970 and anchors out of this world */
	CHECK(jobq_cron_next(&cron, -101, NULL, -1000, &time) == JOBQ_CRON_OK &&
		  time == -100, "next is %lld", (long long) time);
	CHECK(jobq_cron_next(&cron, 5, NULL, INT64_MIN, &time) == JOBQ_CRON_OK &&
		  time > 5 && time <= 15, "next is %lld", (long long) time);
	CHECK(jobq_cron_prev(&cron, 5, NULL, INT64_MIN, &time) == JOBQ_CRON_OK &&
		  time <= 5 && time > -5, "prev is %lld", (long long) time);
	CHECK(jobq_cron_next(&cron, 5, NULL, INT64_MAX, &time) == JOBQ_CRON_NEVER,
		  "next is %lld", (long long) time);
	CHECK(jobq_cron_prev(&cron, 5, NULL, INT64_MAX, &time) == JOBQ_CRON_NEVER,
		  "prev is %lld", (long long) time);

	/* elapsed time: daylight saving time does not matter */
	parse("@every 1 day", &cron);
	{
		JobqZone	zone = zone_callback(load_zone("America/New_York"));
		int64_t		anchor = parse_instant("2024-03-09 12:00:00 -0500");

		CHECK(jobq_cron_next(&cron, anchor, &zone, anchor, &time) ==
			  JOBQ_CRON_OK && time == anchor + 86400, "next is %lld",
			  (long long) time);
	}
}

/*
 * The ends of the server's range, infinity included.
 */
static void
test_limits(void)
{
	static const char *const texts[] = {
		"* * * * * *", "0 0 * * *", "0 0 29 2 *", "0 0 31 2 *", "@every 1h",
		"0 0 29 2 +1", "*/30 2 * 3 +0#2"
	};
	static const int64_t times[] = {
		INT64_MIN, INT64_MIN + 1, JOBQ_CRON_TIME_MIN - 1, JOBQ_CRON_TIME_MIN,
		JOBQ_CRON_TIME_MIN + 1, -1, 0, 1, JOBQ_CRON_TIME_MAX - 1,
		JOBQ_CRON_TIME_MAX, JOBQ_CRON_TIME_MAX + 1, INT64_MAX
	};
	JobqZone	zones[3];
	JobqCron	cron;
	int64_t		time;
	size_t		i;
	size_t		j;
	int			k;

	zones[0] = jobq_zone_fixed(86400);
	zones[1] = jobq_zone_fixed(-86400);
	zones[2] = zone_callback(load_zone("America/New_York"));
	for (i = 0; i < COUNT(texts); i++)
	{
		parse(texts[i], &cron);
		for (j = 0; j < COUNT(times); j++)
		{
			for (k = 0; k < 3; k++)
			{
				if (jobq_cron_next(&cron, times[j], &zones[k], times[j],
								   &time) == JOBQ_CRON_OK)
					CHECK(time > times[j] && time >= JOBQ_CRON_TIME_MIN &&
						  time <= JOBQ_CRON_TIME_MAX, "\"%s\" after %lld",
						  texts[i], (long long) times[j]);
				if (jobq_cron_prev(&cron, times[j], &zones[k], times[j],
								   &time) == JOBQ_CRON_OK)
					CHECK(time <= times[j] && time >= JOBQ_CRON_TIME_MIN &&
						  time <= JOBQ_CRON_TIME_MAX, "\"%s\" at %lld",
						  texts[i], (long long) times[j]);
			}
		}
	}

	parse("@every 90s", &cron);
	CHECK(jobq_cron_count(&cron, 1000, 1000, NULL, 1000) == 1, "the anchor");
	CHECK(jobq_cron_count(&cron, 0, 999, NULL, 1000) == 0, "before it");
	CHECK(jobq_cron_count(&cron, 0, 1180, NULL, 1000) == 3, "from before it");
	CHECK(jobq_cron_count(&cron, 1001, 1180, NULL, 1000) == 2, "after it");
	CHECK(jobq_cron_count(&cron, 1091, 1179, NULL, 1000) == 0, "between");
	CHECK(jobq_cron_count(&cron, 1180, 1091, NULL, 1000) == 0, "backwards");

	parse("* * * * * *", &cron);
	CHECK(jobq_cron_count(&cron, 1, 10 * INT64_C(86400), NULL, 0) ==
		  10 * INT64_C(86400), "every second of ten days");
	CHECK(jobq_cron_next(&cron, INT64_MIN, NULL, 0, &time) == JOBQ_CRON_OK &&
		  time == JOBQ_CRON_TIME_MIN, "the first second");
	CHECK(jobq_cron_prev(&cron, INT64_MAX, NULL, 0, &time) == JOBQ_CRON_OK &&
		  time == JOBQ_CRON_TIME_MAX, "the last second");
	CHECK(jobq_cron_next(&cron, JOBQ_CRON_TIME_MAX, NULL, 0, &time) ==
		  JOBQ_CRON_NEVER, "after the last second");
	CHECK(jobq_cron_prev(&cron, JOBQ_CRON_TIME_MIN - 1, NULL, 0, &time) ==
		  JOBQ_CRON_NEVER, "before the first second");
}

int
main(void)
{
	size_t		i;

	for (i = 0; i < COUNT(calendar); i++)
		check_sequence(&calendar[i]);
	for (i = 0; i < COUNT(daylight_saving); i++)
		check_sequence(&daylight_saving[i]);
	test_made_up_zones();
	test_intervals();
	test_limits();
	return check_finish();
}
