/*-------------------------------------------------------------------------
 *
 * cron_describe.c
 *	  A cron expression in English.
 *
 * The description is made from the parsed values, not from the text: two
 * texts that mean the same read the same, and a reader sees what the
 * schedule will do rather than what its author had in mind.
 *
 * It consists of up to four parts: when on a day, on which days, in which
 * months, in which years; for example "every 15 minutes, from 09:00 through 17:59, Monday
 * through Friday, in June through August".
 *
 * IDENTIFICATION
 *	  src/common/cron_describe.c
 *
 *-------------------------------------------------------------------------
 */
#include "cron_private.h"
#include "textbuf.h"

/* more times of day than this are described by their pattern */
#define TIMES_MAX				6

/* no set of values falls into more runs */
#define RUNS_MAX				60

/* Consecutive values; last < first if they go over the end of the range. */
typedef struct Run
{
	int			first;
	int			last;
} Run;

/* Values at equal distances. */
typedef struct Series
{
	int			first;
	int			last;
	int			step;
} Series;

static const char *const month_names[] = {
	NULL, "January", "February", "March", "April", "May", "June", "July",
	"August", "September", "October", "November", "December"
};

static const char *const weekday_names[] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
	"Saturday"
};

static const char *const ordinals[] = {
	"first", "second", "third", "fourth", "fifth"
};

static int
count_bits(uint64_t mask)
{
	int			count = 0;

	for (; mask != 0; mask &= mask - 1)
		count++;
	return count;
}

static bool
has_bit(uint64_t mask, int bit)
{
	return (mask >> bit & 1) != 0;
}

/*
 * Split a mask into runs of consecutive values, in order, and return their
 * number.  With "wrap" the smallest value follows the largest one.  Runs
 * that are shorter than "shortest" are given value by value.
 */
static int
collect_runs(uint64_t mask, int min, int max, bool wrap, int shortest,
			 Run *runs)
{
	int			size = max - min + 1;
	int			start = 0;
	int			count = 0;
	int			i;

	if (wrap && has_bit(mask, min) && has_bit(mask, max))
	{
		while (start < size && has_bit(mask, min + start))
			start++;
		start %= size;
	}

	for (i = 0; i < size;)
	{
		int			length = 0;
		int			k;

		while (i + length < size &&
			   has_bit(mask, min + (start + i + length) % size))
			length++;
		if (length >= shortest)
		{
			runs[count].first = min + (start + i) % size;
			runs[count++].last = min + (start + i + length - 1) % size;
		}
		else
		{
			for (k = 0; k < length; k++)
			{
				runs[count].first = min + (start + i + k) % size;
				runs[count].last = runs[count].first;
				count++;
			}
		}
		i += length > 0 ? length : 1;
	}
	return count;
}

/*
 * Are these at least three values with the same distance of two or more?
 * Two will do if their distance is "half", half of the whole.
 */
static bool
find_series(uint64_t mask, int half, Series *series)
{
	int			value = first_bit(mask, 0);
	int			next = first_bit(mask, value + 1);

	if (next - value < 2 ||
		(count_bits(mask) == 2 && next - value != half))
		return false;
	series->first = value;
	series->step = next - value;
	for (; next >= 0; next = first_bit(mask, next + 1))
	{
		if (next - value != series->step)
			return false;
		value = next;
	}
	series->last = value;
	return true;
}

/* Append what stands before item i of n. */
static void
append_separator(JobqTextBuf *buf, int i, int n)
{
	if (i > 0)
		jobq_text_append(buf, i == n - 1 ? " and " : ", ");
}

static void
append_value(JobqTextBuf *buf, int value, const char *const *names)
{
	if (names != NULL)
		jobq_text_append(buf, names[value]);
	else
		jobq_text_append_number(buf, value, 0);
}

/*
 * Append a list such as "1, 15 and 20 through 25".  Only the days of a month
 * do not wrap around: the next month may be another one.
 */
static void
append_values(JobqTextBuf *buf, uint64_t mask, int min, int max,
			  const char *const *names)
{
	Run			runs[RUNS_MAX];
	int			count = collect_runs(mask, min, max, max != 31, 3, runs);
	int			i;

	for (i = 0; i < count; i++)
	{
		append_separator(buf, i, count);
		append_value(buf, runs[i].first, names);
		if (runs[i].last != runs[i].first)
		{
			jobq_text_append(buf, " through ");
			append_value(buf, runs[i].last, names);
		}
	}
}

/* Append "1 minute", "2 minutes". */
static void
append_count(JobqTextBuf *buf, int64_t number, const char *unit)
{
	jobq_text_append_number(buf, number, 0);
	jobq_text_append(buf, " ");
	jobq_text_append(buf, unit);
	if (number != 1)
		jobq_text_append(buf, "s");
}

/* Append "2nd" to "20th". */
static void
append_ordinal(JobqTextBuf *buf, int number)
{
	jobq_text_append_number(buf, number, 0);
	jobq_text_append(buf, number == 2 ? "nd" : number == 3 ? "rd" : "th");
}

static void
append_time(JobqTextBuf *buf, int hour, int minute)
{
	jobq_text_append_number(buf, hour, 2);
	jobq_text_append(buf, ":");
	jobq_text_append_number(buf, minute, 2);
}

/*
 * Append every time of day: "at 09:00 and 17:00".
 */
static void
append_times(JobqTextBuf *buf, const JobqCron *cron)
{
	int			count = count_bits(cron->hours) * count_bits(cron->minutes) *
	count_bits(cron->seconds);
	int			i = 0;
	int			hour;
	int			minute;
	int			second;

	jobq_text_append(buf, "at ");
	for (hour = first_bit(cron->hours, 0); hour >= 0;
		 hour = first_bit(cron->hours, hour + 1))
	{
		for (minute = first_bit(cron->minutes, 0); minute >= 0;
			 minute = first_bit(cron->minutes, minute + 1))
		{
			for (second = first_bit(cron->seconds, 0); second >= 0;
				 second = first_bit(cron->seconds, second + 1))
			{
				append_separator(buf, i++, count);
				append_time(buf, hour, minute);
				if (cron->seconds != 1)
				{
					jobq_text_append(buf, ":");
					jobq_text_append_number(buf, second, 2);
				}
			}
		}
	}
}

/*
 * Append the seconds of a minute or the minutes of an hour.  Returns false
 * if the words leave open "of what", as in "at minute 30".
 */
static bool
append_sixtieths(JobqTextBuf *buf, uint64_t mask, const char *unit)
{
	Series		series;
	Run			runs[RUNS_MAX];

	if (mask == ALL_SECONDS)
	{
		jobq_text_append(buf, "every ");
		jobq_text_append(buf, unit);
		return true;
	}

	if (find_series(mask, 30, &series))
	{
		bool		even = 60 % series.step == 0 &&
		series.first < series.step && series.last + series.step > 59;

		jobq_text_append(buf, "every ");
		append_count(buf, series.step, unit);
		if (even && series.first == 0)
			return true;
		jobq_text_append(buf, " from ");
		jobq_text_append(buf, unit);
		jobq_text_append(buf, " ");
		jobq_text_append_number(buf, series.first, 0);
		if (even)
			return true;
		jobq_text_append(buf, " through ");
		jobq_text_append_number(buf, series.last, 0);
		return false;
	}

	if (collect_runs(mask, 0, 59, true, 3, runs) == 1 &&
		runs[0].first != runs[0].last)
	{
		jobq_text_append(buf, "every ");
		jobq_text_append(buf, unit);
		jobq_text_append(buf, " from ");
		jobq_text_append(buf, unit);
	}
	else
	{
		jobq_text_append(buf, "at ");
		jobq_text_append(buf, unit);
		if (count_bits(mask) > 1)
			jobq_text_append(buf, "s");
	}
	jobq_text_append(buf, " ");
	append_values(buf, mask, 0, 59, NULL);
	return false;
}

/*
 * Append the hours as spans of time that end with the given minute.
 */
static void
append_hours(JobqTextBuf *buf, uint32_t hours, int end_minute)
{
	Series		series;
	Run			runs[RUNS_MAX];
	int			count;
	int			i;

	if (hours == ALL_HOURS)
		return;

	if (find_series(hours, 0, &series))
	{
		jobq_text_append(buf, ", in every ");
		append_ordinal(buf, series.step);
		jobq_text_append(buf, " hour from ");
		append_time(buf, series.first, 0);
		jobq_text_append(buf, " through ");
		append_time(buf, series.last, end_minute);
		return;
	}

	count = collect_runs(hours, 0, 23, true, 1, runs);
	jobq_text_append(buf, ", ");
	for (i = 0; i < count; i++)
	{
		append_separator(buf, i, count);
		jobq_text_append(buf, "from ");
		append_time(buf, runs[i].first, 0);
		jobq_text_append(buf, " through ");
		append_time(buf, runs[i].last, end_minute);
	}
}

/*
 * Are the times of day few enough to be listed, or without any pattern?
 */
static bool
lists_times(const JobqCron *cron)
{
	Series		series;
	Run			runs[RUNS_MAX];
	int			count = count_bits(cron->minutes) * count_bits(cron->seconds);

	if (count * count_bits(cron->hours) <= TIMES_MAX)
		return true;
	return count == 1 && cron->hours != ALL_HOURS &&
		!find_series(cron->hours, 0, &series) &&
		collect_runs(cron->hours, 0, 23, true, 1, runs) > 1;
}

/*
 * Append when on a day: the times, or the pattern they follow.
 */
static void
append_time_part(JobqTextBuf *buf, const JobqCron *cron)
{
	Series		series;
	bool		complete = true;

	if (lists_times(cron))
	{
		append_times(buf, cron);
		return;
	}

	if (cron->seconds == 1 && cron->minutes == 1)
	{
		jobq_text_append(buf, "every ");
		if (!find_series(cron->hours, 0, &series))
		{
			jobq_text_append(buf, "hour");
			append_hours(buf, cron->hours, 0);
			return;
		}
		append_count(buf, series.step, "hour");
		if (series.first > 0 || 24 % series.step != 0 ||
			series.last + series.step != 24)
		{
			jobq_text_append(buf, ", from ");
			append_time(buf, series.first, 0);
			jobq_text_append(buf, " through ");
			append_time(buf, series.last, 0);
		}
		return;
	}

	if (cron->seconds != 1)
	{
		complete = append_sixtieths(buf, cron->seconds, "second");
		if (cron->minutes != ALL_MINUTES)
			jobq_text_append(buf, ", ");
		else if (!complete)
			jobq_text_append(buf, " of every minute");
	}
	if (cron->seconds == 1 || cron->minutes != ALL_MINUTES)
	{
		if (!append_sixtieths(buf, cron->minutes, "minute"))
			jobq_text_append(buf, " of every hour");
	}
	append_hours(buf, cron->hours, 59);
}

/*
 * Append the day of month field: "on day 15 and the last day of the month".
 */
static void
append_month_days(JobqTextBuf *buf, const JobqCron *cron)
{
	uint32_t	before_last = cron->days_from_last & ~UINT32_C(1);
	uint32_t	nearest = cron->days_nearest & ~UINT32_C(1);
	int			count = (cron->days != 0) + (before_last != 0) +
	(cron->days_from_last & 1) + (nearest != 0) + (cron->days_nearest & 1);
	int			i = 0;
	Series		series;

	jobq_text_append(buf, "on ");
	if (cron->days != 0)
	{
		append_separator(buf, i++, count);
		if (count_bits(cron->days) > 3 && find_series(cron->days, 0, &series))
		{
			jobq_text_append(buf, "every ");
			append_ordinal(buf, series.step);
			jobq_text_append(buf, " day from day ");
			jobq_text_append_number(buf, series.first, 0);
			jobq_text_append(buf, " through ");
			jobq_text_append_number(buf, series.last, 0);
		}
		else
		{
			jobq_text_append(buf, "day");
			jobq_text_append(buf, count_bits(cron->days) > 1 ? "s " : " ");
			append_values(buf, cron->days, 1, 31, NULL);
		}
	}
	if (nearest != 0)
	{
		append_separator(buf, i++, count);
		jobq_text_append(buf, "the weekday nearest to ");
		jobq_text_append(buf, count_bits(nearest) > 1 ? "days " : "day ");
		append_values(buf, nearest, 1, 31, NULL);
	}
	if (before_last != 0)
	{
		append_separator(buf, i++, count);
		append_values(buf, before_last, 1, 31, NULL);
		jobq_text_append(buf, before_last == 2 ? " day" : " days");
		jobq_text_append(buf, " before the last day");
	}
	if ((cron->days_nearest & 1) != 0)
	{
		append_separator(buf, i++, count);
		jobq_text_append(buf, "the last weekday");
	}
	if ((cron->days_from_last & 1) != 0)
	{
		append_separator(buf, i++, count);
		jobq_text_append(buf, "the last day");
	}
	jobq_text_append(buf, " of the month");
}

/*
 * Append the day of week field: "on Monday and the last Friday of the month".
 */
static void
append_weekdays(JobqTextBuf *buf, const JobqCron *cron)
{
	Run			runs[RUNS_MAX];
	int			special = count_bits(cron->weekdays_last);
	int			count;
	int			i;
	int			k;
	int			day;

	for (k = 0; k < 5; k++)
		special += count_bits(cron->weekdays_nth[k]);

	count = collect_runs(cron->weekdays, 0, 6, true, 3, runs);
	if (special > 0 || count != 1 || runs[0].first == runs[0].last)
		jobq_text_append(buf, "on ");
	if (special == 0)
	{
		append_values(buf, cron->weekdays, 0, 6, weekday_names);
		return;
	}

	i = 0;
	count = special + (cron->weekdays != 0);
	if (cron->weekdays != 0)
	{
		append_separator(buf, i++, count);
		append_values(buf, cron->weekdays, 0, 6, weekday_names);
	}
	for (k = 0; k < 6; k++)
	{
		uint32_t	days = k < 5 ? cron->weekdays_nth[k] : cron->weekdays_last;

		for (day = first_bit(days, 0); day >= 0;
			 day = first_bit(days, day + 1))
		{
			append_separator(buf, i++, count);
			jobq_text_append(buf, "the ");
			jobq_text_append(buf, k < 5 ? ordinals[k] : "last");
			jobq_text_append(buf, " ");
			jobq_text_append(buf, weekday_names[day]);
		}
	}
	jobq_text_append(buf, " of the month");
}

/*
 * Append the years: "in 2030 and 2032 through 2040", "every 4 years from 2028
 * through 2196".
 */
static void
append_years(JobqTextBuf *buf, const JobqCron *cron)
{
	Run			runs[JOBQ_CRON_YEAR_MAX - JOBQ_CRON_YEAR_MIN + 1] = {{0, 0}};
	int			count = 0;
	int			year;
	int			i;
	bool		series;

	for (year = JOBQ_CRON_YEAR_MIN; year <= JOBQ_CRON_YEAR_MAX; year++)
	{
		if (!jobq_cron_match_year(cron, year))
			continue;
		if (count > 0 && runs[count - 1].last == year - 1)
			runs[count - 1].last = year;
		else
		{
			runs[count].first = year;
			runs[count++].last = year;
		}
	}

	series = count > 2;
	for (i = 0; i < count; i++)
		series = series && runs[i].first == runs[i].last &&
			(i == 0 || runs[i].first - runs[i - 1].first ==
			 runs[1].first - runs[0].first);
	jobq_text_append(buf, series ? ", every " : ", in ");
	if (series)
	{
		append_count(buf, runs[1].first - runs[0].first, "year");
		jobq_text_append(buf, " from ");
		runs[0].last = runs[count - 1].last;
		count = 1;
	}
	for (i = 0; i < count; i++)
	{
		append_separator(buf, i, count);
		jobq_text_append_number(buf, runs[i].first, 0);
		if (runs[i].last == runs[i].first)
			continue;
		jobq_text_append(buf, runs[i].last == runs[i].first + 1 ? " and " :
						 " through ");
		jobq_text_append_number(buf, runs[i].last, 0);
	}
}

/*
 * Append on which days and in which months.  "times" says that the times of
 * day were listed, after which "every day" may not be left out.
 */
static void
append_date_part(JobqTextBuf *buf, const JobqCron *cron, bool times)
{
	bool		every_day = cron->days == ALL_DAYS;
	bool		every_weekday = cron->weekdays == ALL_WEEKDAYS;

	if (!cron->match_both && (every_day || every_weekday))
		every_day = every_weekday = true;

	if (!every_day)
	{
		jobq_text_append(buf, ", ");
		append_month_days(buf, cron);
		if (!every_weekday)
			jobq_text_append(buf, cron->match_both ? ", but only " : " or ");
	}
	else if (!every_weekday)
		jobq_text_append(buf, ", ");
	else if (times)
		jobq_text_append(buf, ", every day");
	if (!every_weekday)
		append_weekdays(buf, cron);

	if (cron->months != ALL_MONTHS)
	{
		jobq_text_append(buf, ", in ");
		append_values(buf, cron->months, 1, 12, month_names);
	}
	if (!cron->any_year)
		append_years(buf, cron);
}

/*
 * Append "every 1 hour 30 minutes".
 */
static void
append_interval(JobqTextBuf *buf, int64_t seconds)
{
	static const struct
	{
		const char *name;
		int64_t		seconds;
	}			units[] = {
		{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}
	};
	size_t		i;

	jobq_text_append(buf, "every");
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (seconds >= units[i].seconds)
		{
			jobq_text_append(buf, " ");
			append_count(buf, seconds / units[i].seconds, units[i].name);
			seconds %= units[i].seconds;
		}
	}
}

/*
 * Describe an expression in English.  Like snprintf(), writes what fits in
 * "size" bytes, terminated, and returns the length of the whole; a buffer of
 * JOBQ_CRON_DESCRIBE_SIZE is always large enough.
 */
size_t
jobq_cron_describe(const JobqCron *cron, char *buf, size_t size)
{
	JobqTextBuf text;

	jobq_text_init(&text, buf, size);
	if (cron->every > 0)
		append_interval(&text, cron->every);
	else
	{
		append_time_part(&text, cron);
		append_date_part(&text, cron, lists_times(cron));
	}
	return text.len;
}
