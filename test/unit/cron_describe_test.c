/*-------------------------------------------------------------------------
 *
 * cron_describe_test.c
 *	  Descriptions in English.
 *
 * IDENTIFICATION
 *	  test/unit/cron_describe_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "cron.h"

static const struct
{
	const char *text;
	const char *description;
}			cases[] = {

	/* times of day */
	{"* * * * *", "every minute"},
	{"*/15 * * * *", "every 15 minutes"},
	{"*/30 * * * *", "every 30 minutes"},
	{"5/15 * * * *", "every 15 minutes from minute 5"},
	{"*/7 * * * *", "every 7 minutes from minute 0 through 56 of every hour"},
	{"10-20/5 * * * *",
	"every 5 minutes from minute 10 through 20 of every hour"},
	{"15-20 * * * *", "every minute from minute 15 through 20 of every hour"},
	{"50-5 * * * *", "every minute from minute 50 through 5 of every hour"},
	{"30 * * * *", "at minute 30 of every hour"},
	{"5,35 * * * *", "every 30 minutes from minute 5"},
	{"5,40 * * * *", "at minutes 5 and 40 of every hour"},
	{"5-7,35 * * * *", "at minutes 5 through 7 and 35 of every hour"},
	{"@hourly", "every hour"},
	{"0 */2 * * *", "every 2 hours"},
	{"0 1/2 * * *", "every 2 hours, from 01:00 through 23:00"},
	{"0 9-17 * * *", "every hour, from 09:00 through 17:00"},
	{"0 */5 * * *", "at 00:00, 05:00, 10:00, 15:00 and 20:00, every day"},
	{"30 2 * * *", "at 02:30, every day"},
	{"0,30 9,17 * * *", "at 09:00, 09:30, 17:00 and 17:30, every day"},
	{"15 1,2,3,5,8,13,21 * * *",
	"at 01:15, 02:15, 03:15, 05:15, 08:15, 13:15 and 21:15, every day"},
	{"30 9-17 * * *", "at minute 30 of every hour, from 09:00 through 17:59"},
	{"* 9 * * *", "every minute, from 09:00 through 09:59"},
	{"* 22-2 * * *", "every minute, from 22:00 through 02:59"},
	{"*/10 9-11,14-16 * * *",
		"every 10 minutes, from 09:00 through 11:59 and from 14:00 through "
	"16:59"},
	{"* */2 * * *",
	"every minute, in every 2nd hour from 00:00 through 22:59"},

	/* seconds */
	{"* * * * * *", "every second"},
	{"*/10 * * * * *", "every 10 seconds"},
	{"5 * * * * *", "at second 5 of every minute"},
	{"*/10 30 * * * *", "every 10 seconds, at minute 30 of every hour"},
	{"30 */10 * * * *", "at second 30, every 10 minutes"},
	{"15 30 2 * * *", "at 02:30:15, every day"},
	{"0 30 2 * * *", "at 02:30, every day"},
	{"* * 9-17 * * *", "every second, from 09:00 through 17:59"},

	/* days */
	{"*/15 9-17 * * mon-fri",
	"every 15 minutes, from 09:00 through 17:59, Monday through Friday"},
	{"0 0 1 * *", "at 00:00, on day 1 of the month"},
	{"0 0 1,15 * *", "at 00:00, on days 1 and 15 of the month"},
	{"0 0 1-7,15 * *", "at 00:00, on days 1 through 7 and 15 of the month"},
	{"0 0 */2 * *",
	"at 00:00, on every 2nd day from day 1 through 31 of the month"},
	{"0 0 L * *", "at 00:00, on the last day of the month"},
	{"0 0 L-1 * *", "at 00:00, on 1 day before the last day of the month"},
	{"0 0 L-3 * *", "at 00:00, on 3 days before the last day of the month"},
	{"0 0 LW * *", "at 00:00, on the last weekday of the month"},
	{"0 0 15W * *", "at 00:00, on the weekday nearest to day 15 of the month"},
	{"0 0 1,15W,L * *",
		"at 00:00, on day 1, the weekday nearest to day 15 and the last day "
	"of the month"},
	{"0 0 * * 1", "at 00:00, on Monday"},
	{"0 0 * * 1,3", "at 00:00, on Monday and Wednesday"},
	{"0 0 * * 5-7", "at 00:00, Friday through Sunday"},
	{"0 0 * * fri-mon", "at 00:00, Friday through Monday"},
	{"0 0 * * 0,6", "at 00:00, on Saturday and Sunday"},
	{"0 0 * * 1#1", "at 00:00, on the first Monday of the month"},
	{"0 0 * * 5L,2#3",
	"at 00:00, on the third Tuesday and the last Friday of the month"},
	{"0 0 * * 1,5L", "at 00:00, on Monday and the last Friday of the month"},
	{"0 0 13 * 5", "at 00:00, on day 13 of the month or on Friday"},
	{"0 0 */2 * 1",
		"at 00:00, on every 2nd day from day 1 through 31 of the month, but "
	"only on Monday"},
	{"0 0 1-7 * +mon",
	"at 00:00, on days 1 through 7 of the month, but only on Monday"},
	{"0 0 1-31 * 1", "at 00:00, every day"},
	{"0 0 1 * 0-7", "at 00:00, every day"},

	/* months */
	{"0 0 * 1 *", "at 00:00, every day, in January"},
	{"* * * jun-aug *", "every minute, in June through August"},
	{"0 0 1 */3 *",
	"at 00:00, on day 1 of the month, in January, April, July and October"},
	{"0 0 1 nov-feb *",
	"at 00:00, on day 1 of the month, in November through February"},
	{"@yearly", "at 00:00, on day 1 of the month, in January"},
	{"0 0 0 1 1 * 2030", "at 00:00, on day 1 of the month, in January, in 2030"},
	{"0 0 9 * * mon 2030-2032,2040,2044-2045", "at 09:00, on Monday, in 2030 "
	"through 2032, 2040 and 2044 and 2045"},
	{"0 0 9 29 2 * 2028/4", "at 09:00, on day 29 of the month, in February, "
	"every 4 years from 2028 through 2196"},
	{"0 * * * * * *", "every minute"},
	{"0 0 9 +13 * 5", "at 09:00, on day 13 of the month, but only on Friday"},
	{"@weekly", "at 00:00, on Sunday"},

	/* intervals */
	{"@every 10s", "every 10 seconds"},
	{"@every 60s", "every 1 minute"},
	{"@every 1h30m", "every 1 hour 30 minutes"},
	{"@every 2w", "every 14 days"},
	{"@every 90061s", "every 1 day 1 hour 1 minute 1 second"}
};

int
main(void)
{
	JobqCron	cron;
	JobqCronError error;
	char		buf[JOBQ_CRON_DESCRIBE_SIZE];
	char		small[8];
	size_t		len;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *text = cases[i].text;

		CHECK(jobq_cron_parse(text, strlen(text), &cron, &error), "\"%s\": %s",
			  text, error.message);
		len = jobq_cron_describe(&cron, buf, sizeof(buf));
		CHECK(strcmp(buf, cases[i].description) == 0,
			  "\"%s\": expected \"%s\", got \"%s\"", text,
			  cases[i].description, buf);
		CHECK(len == strlen(buf), "\"%s\": length %zu", text, len);

		/* a buffer that is too small, or none at all */
		CHECK(jobq_cron_describe(&cron, small, sizeof(small)) == len,
			  "\"%s\": another length if cut", text);
		CHECK(strlen(small) == 7 && memcmp(small, buf, 7) == 0,
			  "\"%s\": cut to \"%s\"", text, small);
		CHECK(jobq_cron_describe(&cron, NULL, 0) == len,
			  "\"%s\": another length without a buffer", text);
	}
	return check_finish();
}
