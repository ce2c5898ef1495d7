/*-------------------------------------------------------------------------
 *
 * cron_random_test.c
 *	  Random schedules against a slow evaluator that knows no shortcuts.
 *
 * The generator writes a cron text and, beside it, the meaning of each part
 * as plain arrays.  The evaluator then goes through a span of time step by
 * step, a minute or a second each, with the local time as a clock shows it.
 * It keeps a list of the local times seen so far instead of reasoning about
 * gaps and overlaps.  It shares no code with src/common: neither parser nor
 * calendar nor the handling of zones.
 *
 * Each schedule has its own seed, which is printed when it fails.
 *
 * IDENTIFICATION
 *	  test/unit/cron_random_test.c
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "cron.h"
#include "testzone.h"

#define COUNT(array)			(sizeof(array) / sizeof((array)[0]))

/* schedules per span */
#define SCHEDULES				30

/* instants per schedule at which next and prev are asked */
#define PROBES					250

/* room for repeated or skipped local time on either side of a span */
#define MARGIN_SECONDS			(3 * 86400)

/* A schedule: its text, and what it means. */
typedef struct Spec
{
	char		text[512];
	bool		has_seconds;
	bool		second[60];
	bool		minute[60];
	bool		hour[24];
	bool		day[32];
	bool		day_from_last[31];
	bool		day_nearest[32];	/* [0]: the last one */
	bool		month[13];
	bool		weekday[7];
	bool		weekday_last[7];
	bool		weekday_nth[6][7];
	bool		has_year;
	bool		year[JOBQ_CRON_YEAR_MAX - JOBQ_CRON_YEAR_MIN + 1];
	bool		star[6];
	bool		plus;
} Spec;

/* A stretch of time in a zone; seconds, or minutes if step is 60. */
typedef struct Span
{
	const char *zone;
	const char *start;
	const char *end;
	int			step;
} Span;

static const Span spans[] = {
	{"UTC", "1999-12-01 00:00:00", "2001-02-01 00:00:00", 60},
	{"America/New_York", "2023-10-01 00:00:00", "2024-12-31 00:00:00", 60},
	{"Australia/Lord_Howe", "2024-01-01 00:00:00", "2025-01-01 00:00:00", 60},
	{"America/Sao_Paulo", "2018-01-01 00:00:00", "2019-03-01 00:00:00", 60},
	{"Pacific/Apia", "2011-06-01 00:00:00", "2012-06-01 00:00:00", 60},
	{"America/Havana", "2024-01-01 00:00:00", "2025-01-01 00:00:00", 60},
	{"Africa/Casablanca", "2024-01-01 00:00:00", "2025-01-01 00:00:00", 60},
	{"Antarctica/Troll", "2024-01-01 00:00:00", "2025-01-01 00:00:00", 60},
	{"Europe/Dublin", "1999-01-01 00:00:00", "2000-04-10 00:00:00", 60},
	{"Asia/Kathmandu", "1985-06-01 00:00:00", "1986-06-01 00:00:00", 60},
	{"America/New_York", "2024-03-08 12:00:00", "2024-03-11 12:00:00", 1},
	{"America/New_York", "2024-11-01 12:00:00", "2024-11-04 12:00:00", 1},
	{"Australia/Lord_Howe", "2024-04-05 00:00:00", "2024-04-08 12:00:00", 1},
	{"Australia/Lord_Howe", "2024-10-04 00:00:00", "2024-10-07 12:00:00", 1},
	{"Pacific/Kwajalein", "1969-09-28 00:00:00", "1969-10-03 00:00:00", 1}
};

static void
append(Spec *spec, const char *format, int number)
{
	size_t		used = strlen(spec->text);

	snprintf(spec->text + used, sizeof(spec->text) - used, format, number);
}

/*
 * Append a number, or in some cases its name if the field has names.
 */
static void
append_value(Spec *spec, uint64_t *seed, int field, int value)
{
	static const char *const months[] = {
		"", "jan", "FEB", "mar", "apr", "May", "jun", "jul", "aug", "sep",
		"oct", "nov", "dEC"
	};
	static const char *const weekdays[] = {
		"sun", "MON", "tue", "wed", "Thu", "fri", "sat", "7"
	};

	if (field == 4 && random_below(seed, 3) == 0)
		append(spec, months[value], 0);
	else if (field == 5 && random_below(seed, 3) == 0)
		append(spec, weekdays[value], 0);
	else
		append(spec, "%d", value);
}

/*
 * Append one of the forms that only the two day fields have.
 */
static void
append_day_form(Spec *spec, uint64_t *seed, int field)
{
	int			n;
	int			k;

	if (field == 5)
	{
		n = (int) random_below(seed, 8);
		append_value(spec, seed, field, n);
		k = (int) random_below(seed, 6);
		if (k == 0)
		{
			append(spec, "L", 0);
			spec->weekday_last[n % 7] = true;
			return;
		}
		append(spec, "#%d", k);
		spec->weekday_nth[k][n % 7] = true;
		return;
	}

	switch (random_below(seed, 4))
	{
		case 0:
			append(spec, random_below(seed, 2) == 0 ? "L" : "$", 0);
			spec->day_from_last[0] = true;
			break;
		case 1:
			n = (int) random_below(seed, 31);
			append(spec, "L-%d", n);
			spec->day_from_last[n] = true;
			break;
		case 2:
			append(spec, "LW", 0);
			spec->day_nearest[0] = true;
			break;
		default:
			n = 1 + (int) random_below(seed, 31);
			append(spec, "%dW", n);
			spec->day_nearest[n] = true;
	}
}

/*
 * Append an item of a list and mark its values.
 */
static void
append_item(Spec *spec, uint64_t *seed, int field, int min, int max,
			bool *values, bool first)
{
	int			low = min;
	int			high = max;
	int			step = 1;
	int			value;
	int			i;
	uint32_t	kind = random_below(seed, 10);

	if (kind == 0 && (field == 3 || field == 5))
	{
		append_day_form(spec, seed, field);
		return;
	}
	if (kind <= 2)
	{
		append(spec, "*", 0);
		if (first)
			spec->star[field] = true;
	}
	else
	{
		low = min + (int) random_below(seed, (uint32_t) (max - min + 1));
		append_value(spec, seed, field, low);
		if (kind <= 5)
		{
			high = min + (int) random_below(seed, (uint32_t) (max - min + 1));
			append(spec, "-", 0);
			append_value(spec, seed, field, high);
		}
		else if (kind <= 8)
			high = low;
	}
	if (kind == 9 || (kind < 6 && random_below(seed, 2) == 0))
	{
		step = 1 + (int) random_below(seed, (uint32_t) (kind < 3 ? 12 : 5));
		if (step > max)
			step = max;
		append(spec, "/%d", step);
	}

	/* count from the low end to the high end, over the top if need be */
	if (field == 5 && low > high)
	{
		low %= 7;
		max = 6;
	}
	for (value = low, i = 0;; i++)
	{
		if (i % step == 0)
			values[field == 5 ? value % 7 : value] = true;
		if (value == high)
			break;
		value = value == max ? min : value + 1;
	}
}

static void
append_field(Spec *spec, uint64_t *seed, int field, int min, int max,
			 bool *values)
{
	uint32_t	items = 1 + (random_below(seed, 3) == 0) *
	random_below(seed, 4);
	uint32_t	i;

	if (spec->text[0] != '\0')
		append(spec, " ", 0);
	if ((field == 3 || field == 5) && random_below(seed, 6) == 0)
	{
		append(spec, "+", 0);
		spec->plus = true;
	}
	for (i = 0; i < items; i++)
	{
		if (i > 0)
			append(spec, ",", 0);
		append_item(spec, seed, field, min, max, values, i == 0);
	}
}

/* Append a field that matches everything. */
static void
append_star(Spec *spec, int field, int min, int max, bool *values)
{
	int			value;

	append(spec, spec->text[0] != '\0' ? " *" : "*", 0);
	spec->star[field] = true;
	for (value = min; value <= max; value++)
		values[value] = true;
}

/*
 * Append a field of years, some of which are near a given one.
 */
static void
append_years(Spec *spec, uint64_t *seed, int near)
{
	uint32_t	items = 1 + random_below(seed, 3);
	uint32_t	i;

	append(spec, " ", 0);
	for (i = 0; i < items; i++)
	{
		uint32_t	kind = random_below(seed, 8);
		int			low = near - 2 + (int) random_below(seed, 5);
		int			high;
		int			step = 1;
		int			year;

		if (low < JOBQ_CRON_YEAR_MIN)
			low = JOBQ_CRON_YEAR_MIN;
		high = low;
		if (i > 0)
			append(spec, ",", 0);
		if (kind == 0)
		{
			append(spec, "*", 0);
			low = JOBQ_CRON_YEAR_MIN;
			high = JOBQ_CRON_YEAR_MAX;
		}
		else
			append(spec, "%d", low);
		if (kind == 1 || kind == 2)
		{
			high = low + (int) random_below(seed, 4);
			append(spec, "-%d", high);
		}
		if (kind < 2 || kind == 3)
		{
			step = 1 + (int) random_below(seed, 4);
			append(spec, "/%d", step);
			if (kind == 3)
				high = JOBQ_CRON_YEAR_MAX;
		}
		for (year = low; year <= high; year += step)
			spec->year[year - JOBQ_CRON_YEAR_MIN] = true;
	}
}

static void
generate(Spec *spec, uint64_t *seed, bool has_seconds, int near)
{
	memset(spec, 0, sizeof(*spec));
	spec->has_seconds = has_seconds;
	spec->has_year = random_below(seed, 4) == 0;
	if (has_seconds)
		append_field(spec, seed, 0, 0, 59, spec->second);
	else
	{
		if (spec->has_year)
			append(spec, "%d", 0);
		spec->second[0] = true;
	}
	append_field(spec, seed, 1, 0, 59, spec->minute);

	/* the small hours, where clocks change, more often than others */
	if (random_below(seed, 3) == 0)
	{
		int			hour = (int) random_below(seed, 4);

		append(spec, " %d", hour);
		spec->hour[hour] = true;
	}
	else
		append_field(spec, seed, 2, 0, 23, spec->hour);

	if (has_seconds || random_below(seed, 3) == 0)
		append_star(spec, 3, 1, 31, spec->day);
	else
		append_field(spec, seed, 3, 1, 31, spec->day);
	if (has_seconds || random_below(seed, 2) == 0)
		append_star(spec, 4, 1, 12, spec->month);
	else
		append_field(spec, seed, 4, 1, 12, spec->month);
	if (random_below(seed, 3) == 0)
		append_star(spec, 5, 0, 6, spec->weekday);
	else
		append_field(spec, seed, 5, 0, 7, spec->weekday);
	if (spec->has_year)
		append_years(spec, seed, near);
}

/*
 * Does a date match?  "tm" is a date that gmtime() has filled in.
 */
static bool
matches_date(const Spec *spec, const struct tm *tm)
{
	int			length = 31;
	int			day = tm->tm_mday;
	int			weekday = tm->tm_wday;
	int			count = 0;
	bool		by_day;
	bool		by_weekday;
	int			n;

	while (length > 28)
	{
		struct tm	last = *tm;

		last.tm_mday = length;
		timegm(&last);
		if (last.tm_mon == tm->tm_mon)
			break;
		length--;
	}

	by_day = spec->day[day] || spec->day_from_last[length - day];
	for (n = 0; n <= length; n++)
	{
		static const int distances[] = {0, -1, 1, -2, 2};
		size_t		i;

		for (i = 0; spec->day_nearest[n] && i < COUNT(distances); i++)
		{
			int			other = (n > 0 ? n : length) + distances[i];
			int			its_weekday = (weekday + other - day + 70) % 7;

			if (other >= 1 && other <= length && its_weekday >= 1 &&
				its_weekday <= 5)
			{
				by_day = by_day || other == day;
				break;
			}
		}
	}

	for (n = day; n > 0; n -= 7)
		count++;
	by_weekday = spec->weekday[weekday] || spec->weekday_nth[count][weekday] ||
		(spec->weekday_last[weekday] && day + 7 > length);

	if (!spec->month[tm->tm_mon + 1])
		return false;
	if (spec->has_year && (tm->tm_year + 1900 < JOBQ_CRON_YEAR_MIN ||
						   !spec->year[tm->tm_year + 1900 - JOBQ_CRON_YEAR_MIN]))
		return false;
	if (spec->star[3] || spec->star[5] || spec->plus)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

/*
 * Find all firings of a span, one flag per step.
 */
static void
evaluate(const Spec *spec, const Span *span, const TestZone *zone,
		 int64_t start, int count, bool *fired)
{
	int			step = span->step;
	int			margin = MARGIN_SECONDS / step;
	int			size = count + 2 * margin;
	bool	   *matches = calloc((size_t) size, sizeof(bool));
	bool	   *seen = calloc((size_t) size, sizeof(bool));
	bool		fixed_time = !spec->star[0] && !spec->star[1] &&
	!spec->star[2];
	int64_t		base = start - MARGIN_SECONDS;
	struct tm	tm;
	bool		date = false;
	int			known_day = -1;
	int			shown = -1;
	int			i;

	/* which local times match, as if local time were UTC */
	for (i = 0; i < size; i++)
	{
		int64_t		local = base + (int64_t) i * step;
		int			of_day = (int) (((local % 86400) + 86400) % 86400);
		int			day = (int) ((local - of_day) / 86400);

		if (day != known_day)
		{
			time_t		time = (time_t) local;

			gmtime_r(&time, &tm);
			date = matches_date(spec, &tm);
			known_day = day;
		}
		matches[i] = date && spec->hour[of_day / 3600] &&
			spec->minute[of_day / 60 % 60] && spec->second[of_day % 60];
	}

	for (i = 0; i < count; i++)
	{
		int64_t		utc = start + (int64_t) i * step;
		int64_t		shift = zone_offset(zone, utc);
		int			local = (int) ((utc + shift - base) / step);
		int			skipped;

		fired[i] = matches[local] && !(fixed_time && seen[local]);
		if (fixed_time && shown >= 0 && local - shown - 1 <= 3 * 3600 / step)
		{
			for (skipped = shown + 1; skipped < local; skipped++)
			{
				fired[i] = fired[i] || (matches[skipped] && !seen[skipped]);
				seen[skipped] = true;
			}
		}
		seen[local] = true;
		shown = local;
	}
	free(matches);
	free(seen);
}

/*
 * Compare next and prev with the evaluator at one instant: "at" is "index"
 * steps and possibly some seconds after the start.
 */
static bool
agrees(const JobqCron *cron, const JobqZone *zone, const Span *span,
	   int64_t start, int count, const int *before, const int *behind,
	   int64_t at)
{
	int64_t		end = start + (int64_t) count * span->step;
	int			index = (int) ((at - start) / span->step);
	int64_t		time;
	bool		found;

	found = jobq_cron_next(cron, at, zone, 0, &time) == JOBQ_CRON_OK;
	if (found && time <= at)
		return false;
	if (index + 1 < count && behind[index + 1] >= 0)
	{
		if (!found || time != start + (int64_t) behind[index + 1] * span->step)
			return false;
	}
	else if (found && time < end)
		return false;

	found = jobq_cron_prev(cron, at, zone, 0, &time) == JOBQ_CRON_OK;
	if (found && time > at)
		return false;
	if (before[index] >= 0)
		return found && time == start + (int64_t) before[index] * span->step;
	return !found || time < start;
}

/*
 * Whether the number of firings is right between an instant and a later one.
 */
static bool
counts(const JobqCron *cron, const JobqZone *zone, const Span *span,
	   int64_t start, int count, const bool *fired, int64_t from, int64_t to)
{
	int64_t		expected = 0;
	int64_t		time;
	int			i = (int) ((from - start + span->step - 1) / span->step);

	for (; i < count; i++)
	{
		time = start + (int64_t) i * span->step;
		if (time > to)
			break;
		if (fired[i])
			expected++;
	}
	return jobq_cron_count(cron, from, to, zone, 0) == expected;
}

/*
 * Check one random schedule.
 */
static void
check_schedule(const Span *span, TestZone *zone, uint64_t seed)
{
	int64_t		start = parse_instant(span->start);
	int64_t		seconds = parse_instant(span->end) - start;
	int			count = (int) (seconds / span->step);
	uint64_t	state = seed;
	bool	   *fired = calloc((size_t) count, sizeof(bool));
	int		   *before = calloc((size_t) count, sizeof(int));
	int		   *behind = calloc((size_t) count, sizeof(int));
	JobqZone	callback = zone_callback(zone);
	JobqCron	cron;
	JobqCronError error;
	Spec		spec;
	int64_t		failed_at = INT64_MIN;
	int64_t		time;
	char		buf[INSTANT_SIZE];
	int			last = -1;
	int			i;

	generate(&spec, &state, span->step == 1, atoi(span->start));
	if (!jobq_cron_parse(spec.text, strlen(spec.text), &cron, &error))
	{
		CHECK(false, "seed %llu: \"%s\": %s", (unsigned long long) seed,
			  spec.text, error.message);
		goto done;
	}
	evaluate(&spec, span, zone, start, count, fired);
	for (i = 0; i < count; i++)
		before[i] = last = fired[i] ? i : last;
	for (i = count - 1, last = -1; i >= 0; i--)
		behind[i] = last = fired[i] ? i : last;

	/* anywhere, and about every change of the zone */
	for (i = 0; i < PROBES && failed_at == INT64_MIN; i++)
	{
		time = start + random_below(&state, (uint32_t) count) * span->step +
			random_below(&state, (uint32_t) span->step);
		if (!agrees(&cron, &callback, span, start, count, before, behind,
					time))
			failed_at = time;
	}
	for (i = 0; i < zone->count; i++)
	{
		int			delta;

		for (delta = -4 * 3600; delta <= 4 * 3600; delta += 1200)
		{
			time = zone->changes[i] + delta -
				(int64_t) random_below(&state, 2);
			if (time >= start && time < start + (int64_t) count * span->step &&
				failed_at == INT64_MIN &&
				!agrees(&cron, &callback, span, start, count, before, behind,
						time))
				failed_at = time;
		}
	}
	for (i = 0; i < PROBES / 10 && failed_at == INT64_MIN; i++)
	{
		int64_t		from = random_below(&state, (uint32_t) count) * span->step;
		int64_t		to = from + random_below(&state,
											 (uint32_t) (i % 2 == 0 ? 7200 :
														 seconds - from));

		if (i % 3 == 0 && zone->count > 0)
		{
			time = zone->changes[random_below(&state,
											  (uint32_t) zone->count)] - start;
			if (time >= 0 && time < seconds)
			{
				from = time - random_below(&state, 3) * 3600;
				to = time + random_below(&state, 3) * 3600;
			}
		}
		if (from < 0 || to >= (int64_t) count * span->step)
			continue;
		if (!counts(&cron, &callback, span, start, count, fired, start + from,
					start + to))
			failed_at = start + from;
	}
	CHECK(failed_at == INT64_MIN, "seed %llu: %s \"%s\" about %s",
		  (unsigned long long) seed, span->zone, spec.text,
		  format_instant(failed_at, buf));

done:
	free(fired);
	free(before);
	free(behind);
}

/*
 * Properties that hold for every schedule in every zone at any time: next is
 * later, prev leads back, and nothing lies between.
 */
static void
check_properties(TestZone *zone, uint64_t seed)
{
	JobqZone	callback = zone_callback(zone);
	uint64_t	state = seed;
	Spec		spec;
	JobqCron	cron;
	JobqCronError error;
	int			i;

	generate(&spec, &state, random_below(&state, 3) == 0, 2024);
	if (!jobq_cron_parse(spec.text, strlen(spec.text), &cron, &error))
	{
		CHECK(false, "seed %llu: \"%s\": %s", (unsigned long long) seed,
			  spec.text, error.message);
		return;
	}

	for (i = 0; i < 8; i++)
	{
		int64_t		years = (int64_t) random_below(&state, 260) - 100;
		int64_t		at = years * 31556952 +
		random_below(&state, 31556952);
		int64_t		next;
		int64_t		other;
		int64_t		middle;

		if (jobq_cron_next(&cron, at, &callback, 0, &next) != JOBQ_CRON_OK)
		{
			CHECK(!cron.possible || !cron.fixed_time || !cron.any_year,
				  "seed %llu: %s \"%s\" after %lld: never",
				  (unsigned long long) seed, zone->name, spec.text,
				  (long long) at);
			continue;
		}
		CHECK(next > at, "seed %llu: %s \"%s\": next is not after %lld",
			  (unsigned long long) seed, zone->name, spec.text,
			  (long long) at);
		CHECK(jobq_cron_prev(&cron, next, &callback, 0, &other) ==
			  JOBQ_CRON_OK && other == next,
			  "seed %llu: %s \"%s\": no firing at %lld",
			  (unsigned long long) seed, zone->name, spec.text,
			  (long long) next);
		CHECK(jobq_cron_count(&cron, at + 1, next, &callback, 0) == 1,
			  "seed %llu: %s \"%s\": not one firing from %lld to %lld",
			  (unsigned long long) seed, zone->name, spec.text,
			  (long long) at, (long long) next);
		middle = at + (next - at) / 2;
		CHECK(jobq_cron_next(&cron, middle, &callback, 0, &other) ==
			  JOBQ_CRON_OK && (other == next || middle == next),
			  "seed %llu: %s \"%s\": a firing between %lld and %lld",
			  (unsigned long long) seed, zone->name, spec.text,
			  (long long) at, (long long) next);
		if (jobq_cron_prev(&cron, next - 1, &callback, 0, &other) ==
			JOBQ_CRON_OK)
			CHECK(other <= at, "seed %llu: %s \"%s\": a firing at %lld",
				  (unsigned long long) seed, zone->name, spec.text,
				  (long long) other);
	}
}

int
main(void)
{
	size_t		i;
	uint64_t	seed;

	for (i = 0; i < COUNT(spans); i++)
	{
		TestZone   *zone = load_zone(spans[i].zone);

		for (seed = 1; seed <= SCHEDULES; seed++)
			check_schedule(&spans[i], zone, seed + 1000 * (i + 1));
		for (seed = 1; seed <= 2 * SCHEDULES; seed++)
			check_properties(zone, seed + 1000 * (i + 101));
	}
	return check_finish();
}
