/*-------------------------------------------------------------------------
 *
 * cron_next.c
 *	  When a cron expression fires.
 *
 * Time is cut at the changes of the zone's offset into pieces within which
 * local time is UTC plus a constant; in each piece the search is one on a
 * plain calendar.  What happens at the cuts depends on the schedule:
 *
 * If the second, minute or hour field starts with a star, the schedule
 * follows the clock on the wall: local times that are skipped do not fire,
 * and those that come twice fire twice.
 *
 * All others are "fixed-time" schedules and follow a clock that is never put
 * back: it shows the latest local time reached so far.  Hence a local time
 * that comes again does not fire again.  Where the clock is put forward by
 * at most GAP_MAX, whatever was due in the skipped hours fires once, at the
 * change.  Longer jumps (a zone crossing the date line) are not caught up.
 *
 * Whether an instant is a firing depends only on the zone, not on where a
 * search began, so next and prev agree with each other by construction.
 * jobq_cron_count() goes through the same pieces, but counts in each of them
 * without looking at the firings one by one.
 *
 * IDENTIFICATION
 *	  src/common/cron_next.c
 *
 *-------------------------------------------------------------------------
 */
#include "cron_private.h"

/* longest jump forward whose firings are caught up, in seconds */
#define GAP_MAX					(3 * 3600)

/*
 * A local time can be a repetition of one this far back: as offsets are at
 * most 24 hours, a clock is put back by 48 hours at most.
 */
#define LOOK_BACK				(2 * DAY_SECONDS)

/*
 * How far to search.  The calendar repeats after 400 years, so what does not
 * fire within that time (and a little more, for the zone's changes) never
 * does: for example a wall-clock schedule on dates and hours that daylight
 * saving time skips every year.
 */
#define HORIZON					((146097 + 366) * DAY_SECONDS)

static int64_t
max_int64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
min_int64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool
next_change_fixed(void *arg, int64_t utc, int64_t *change,
				  int32_t *offset_before, int32_t *offset_after)
{
	*offset_before = (int32_t) (intptr_t) arg;
	return false;
}

/*
 * A zone whose offset (seconds, positive east) never changes; 0 is UTC.
 */
JobqZone
jobq_zone_fixed(int32_t offset)
{
	JobqZone	zone;

	zone.next_change = next_change_fixed;
	zone.arg = (void *) (intptr_t) offset;
	return zone;
}

/*
 * Return the first matching time of day that is not before "from", both in
 * seconds since midnight, or -1 if there is none on that day.
 */
static int
find_time(const JobqCron *cron, int from)
{
	int			hour = from / 3600;
	int			minute = from / 60 % 60;
	int			second = from % 60;
	int			found;

	if ((cron->hours >> hour & 1) != 0)
	{
		if ((cron->minutes >> minute & 1) != 0)
		{
			found = first_bit(cron->seconds, second);
			if (found >= 0)
				return hour * 3600 + minute * 60 + found;
		}
		found = first_bit(cron->minutes, minute + 1);
		if (found >= 0)
			return hour * 3600 + found * 60 + first_bit(cron->seconds, 0);
	}

	found = first_bit(cron->hours, hour + 1);
	if (found < 0)
		return -1;
	return found * 3600 + first_bit(cron->minutes, 0) * 60 +
		first_bit(cron->seconds, 0);
}

/*
 * Find the first match with from <= match < to, in seconds of local time
 * since local midnight of 1 January 1970.
 */
static bool
find_local(const JobqCron *cron, int64_t from, int64_t to, int64_t *found)
{
	int64_t		days;
	int			time;
	JobqDate	date;

	if (from >= to)
		return false;

	days = (from >= 0 ? from : from - (DAY_SECONDS - 1)) / DAY_SECONDS;
	time = find_time(cron, (int) (from - days * DAY_SECONDS));
	if (time < 0)
	{
		days++;
		time = find_time(cron, 0);
	}
	else
	{
		/* the rest of a day that may not match; later days start afresh */
		date = jobq_date_from_days(days);
		if ((jobq_cron_match_days(cron, date.year, date.month) >> date.day &
			 1) == 0)
		{
			days++;
			time = find_time(cron, 0);
		}
	}

	date = jobq_date_from_days(days);
	for (;;)
	{
		int64_t		first = jobq_date_to_days(date.year, date.month, 1);
		int			day;

		if (first * DAY_SECONDS >= to)
			return false;

		day = first_bit(jobq_cron_match_days(cron, date.year, date.month),
						date.day);
		if (day > 0)
		{
			*found = (first + day - 1) * DAY_SECONDS + time;
			return *found < to;
		}

		date.day = 1;
		if (date.month++ == 12)
		{
			date.month = 1;
			date.year++;
		}
	}
}

/* A time during which a zone's offset does not change. */
typedef struct Stretch
{
	int64_t		end;			/* where the next one begins */
	int32_t		offset;			/* from UTC, in seconds */
	int32_t		next_offset;	/* of the next one */
	bool		last;			/* goes on to the end of what is searched */
} Stretch;

/* Return the stretch that begins at a time, up to and including `to`. */
static Stretch
stretch_from(const JobqZone *zone, int64_t start, int64_t to)
{
	Stretch		stretch = {0};

	stretch.last = !zone->next_change(zone->arg, start, &stretch.end,
									  &stretch.offset, &stretch.next_offset) ||
		stretch.end <= start || stretch.end > to;
	if (stretch.last)
		stretch.end = to + 1;
	return stretch;
}

/*
 * Find the first firing with from <= firing <= to.
 */
static bool
find_firing(const JobqCron *cron, const JobqZone *zone, int64_t from,
			int64_t to, int64_t *found)
{
	int64_t		start = cron->fixed_time ? from - LOOK_BACK : from;
	int64_t		reached = INT64_MIN;	/* local time already shown */

	for (;;)
	{
		Stretch		stretch = stretch_from(zone, start, to);
		int64_t		local;

		if (stretch.end > from &&
			find_local(cron, max_int64(max_int64(start, from) + stretch.offset,
									   reached),
					   stretch.end + stretch.offset, &local))
		{
			*found = local - stretch.offset;
			return true;
		}
		if (stretch.last)
			return false;

		if (cron->fixed_time)
		{
			reached = max_int64(reached, stretch.end + stretch.offset);
			if (stretch.end >= from &&
				stretch.next_offset - stretch.offset <= GAP_MAX &&
				find_local(cron, reached, stretch.end + stretch.next_offset,
						   &local))
			{
				*found = stretch.end;
				return true;
			}
		}
		start = stretch.end;
	}
}

/*
 * Return the number of matching times of day before one (0 to 86400), in
 * seconds since midnight.
 */
static int64_t
count_times(const JobqCron *cron, int before)
{
	int			hour = before / 3600;
	int			minute = before / 60 % 60;
	int64_t		per_minute = count_bits_below(cron->seconds, 60);
	int64_t		per_hour = count_bits_below(cron->minutes, 60) * per_minute;
	int64_t		count = count_bits_below(cron->hours, hour) * per_hour;

	if ((cron->hours >> hour & 1) != 0)
	{
		count += count_bits_below(cron->minutes, minute) * per_minute;
		if ((cron->minutes >> minute & 1) != 0)
			count += count_bits_below(cron->seconds, before % 60);
	}
	return count;
}

/*
 * Return the number of matching days with from <= day < to, counted from 1
 * January 1970.
 */
static int64_t
count_days(const JobqCron *cron, int64_t from, int64_t to)
{
	JobqDate	date = jobq_date_from_days(from);
	int64_t		first = from - (date.day - 1);
	int64_t		count = 0;

	while (first < to)
	{
		uint32_t	days = jobq_cron_match_days(cron, date.year, date.month);
		int			length = jobq_month_length(date.year, date.month);
		int64_t		end = min_int64(to - first, length) + 1;

		if (end > date.day)
			count += count_bits_below(days, (int) end) -
				count_bits_below(days, date.day);
		first += length;
		date.day = 1;
		if (date.month++ == 12)
		{
			date.month = 1;
			date.year++;
		}
	}
	return count;
}

/*
 * Count the matches with from <= match < to, in seconds of local time as in
 * find_local().
 */
static int64_t
count_local(const JobqCron *cron, int64_t from, int64_t to)
{
	int64_t		first;
	int64_t		last;
	int64_t		count;

	if (from >= to)
		return 0;
	first = (from >= 0 ? from : from - (DAY_SECONDS - 1)) / DAY_SECONDS;
	last = (to >= 0 ? to : to - (DAY_SECONDS - 1)) / DAY_SECONDS;
	count = count_days(cron, first, last) *
		count_times(cron, (int) DAY_SECONDS);
	if (count_days(cron, first, first + 1) > 0)
		count -= count_times(cron, (int) (from - first * DAY_SECONDS));
	if (count_days(cron, last, last + 1) > 0)
		count += count_times(cron, (int) (to - last * DAY_SECONDS));
	return count;
}

/*
 * Count the firings with from <= firing <= to: find_firing(), for all of
 * them at once.
 */
static int64_t
count_firings(const JobqCron *cron, const JobqZone *zone, int64_t from,
			  int64_t to)
{
	int64_t		start = cron->fixed_time ? from - LOOK_BACK : from;
	int64_t		reached = INT64_MIN;	/* local time already shown */
	int64_t		count = 0;

	for (;;)
	{
		Stretch		stretch = stretch_from(zone, start, to);
		int64_t		local;

		if (stretch.end > from)
			count += count_local(cron,
								 max_int64(max_int64(start, from) + stretch.offset,
										   reached),
								 stretch.end + stretch.offset);
		if (stretch.last)
			return count;

		if (cron->fixed_time)
		{
			reached = max_int64(reached, stretch.end + stretch.offset);
			if (stretch.end >= from &&
				stretch.next_offset - stretch.offset <= GAP_MAX &&
				find_local(cron, reached, stretch.end + stretch.next_offset,
						   &local))
			{
				count++;
				/* the change itself may be a time that matches */
				reached = max_int64(reached, stretch.end + stretch.next_offset);
				if (find_local(cron, reached, reached + 1, &local))
					reached++;
			}
		}
		start = stretch.end;
	}
}

/* Return when a year begins, in seconds of local time. */
static int64_t
local_year(int64_t year)
{
	return jobq_date_to_days(year, 1, 1) * DAY_SECONDS;
}

/*
 * Leave out of a span what is before the first and after the last of the years
 * that an expression names, so that nobody searches there; a local time is
 * within LOOK_BACK of what it would be in UTC.  The span may become empty.
 */
static void
limit_to_years(const JobqCron *cron, int64_t *from, int64_t *to)
{
	int64_t		first = JOBQ_CRON_YEAR_MIN;
	int64_t		last = JOBQ_CRON_YEAR_MAX;

	if (cron->any_year)
		return;
	while (first < last && !jobq_cron_match_year(cron, first))
		first++;
	while (last > first && !jobq_cron_match_year(cron, last))
		last--;
	*from = max_int64(*from, local_year(first) - LOOK_BACK);
	*to = min_int64(*to, local_year(last + 1) + LOOK_BACK);
}

/*
 * Return the seconds since the last multiple of an interval; "at" is not
 * before the anchor.  Unsigned, as the distance may not fit an int64.
 */
static int64_t
since_anchor(int64_t at, int64_t anchor, int64_t every)
{
	return (int64_t) (((uint64_t) at - (uint64_t) anchor) % (uint64_t) every);
}

/*
 * Find the first firing strictly after an instant.
 *
 * Only "@every" schedules use the anchor: they fire at it and every interval
 * from then on, never before.  Only the others use the zone; NULL is UTC.
 */
JobqCronResult
jobq_cron_next(const JobqCron *cron, int64_t after, const JobqZone *zone,
			   int64_t anchor, int64_t *next)
{
	JobqZone	utc = jobq_zone_fixed(0);
	int64_t		from;
	int64_t		to;

	if (after >= JOBQ_CRON_TIME_MAX || !cron->possible)
		return JOBQ_CRON_NEVER;
	after = max_int64(after, JOBQ_CRON_TIME_MIN - 1);

	if (cron->every > 0)
	{
		if (after < anchor)
			*next = anchor;
		else
			*next = after + cron->every -
				since_anchor(after, anchor, cron->every);
		return *next <= JOBQ_CRON_TIME_MAX ? JOBQ_CRON_OK : JOBQ_CRON_NEVER;
	}

	from = after + 1;
	to = min_int64(after + HORIZON, JOBQ_CRON_TIME_MAX);
	limit_to_years(cron, &from, &to);
	if (from <= to &&
		find_firing(cron, zone != NULL ? zone : &utc, from, to, next))
		return JOBQ_CRON_OK;
	return JOBQ_CRON_NEVER;
}

/*
 * Find the last firing at or before an instant; anchor and zone as above.
 *
 * A zone can only be walked forwards, so this looks for any firing in spans
 * that grow backwards, and then halves what lies between it and the end.
 * That takes some dozens of searches, but they are short ones, and there is
 * no second set of rules to keep in step.
 */
JobqCronResult
jobq_cron_prev(const JobqCron *cron, int64_t at, const JobqZone *zone,
			   int64_t anchor, int64_t *prev)
{
	JobqZone	utc = jobq_zone_fixed(0);
	int64_t		span = 64;
	int64_t		earliest;
	int64_t		low;
	int64_t		high;

	if (at < JOBQ_CRON_TIME_MIN || !cron->possible)
		return JOBQ_CRON_NEVER;
	at = min_int64(at, JOBQ_CRON_TIME_MAX);

	if (cron->every > 0)
	{
		if (at < anchor)
			return JOBQ_CRON_NEVER;
		*prev = at - since_anchor(at, anchor, cron->every);
		return *prev >= JOBQ_CRON_TIME_MIN ? JOBQ_CRON_OK : JOBQ_CRON_NEVER;
	}

	if (zone == NULL)
		zone = &utc;
	earliest = max_int64(at - HORIZON, JOBQ_CRON_TIME_MIN);
	limit_to_years(cron, &earliest, &at);
	if (earliest > at)
		return JOBQ_CRON_NEVER;
	high = at;
	low = max_int64(at - span, earliest);
	while (!find_firing(cron, zone, low, high, prev))
	{
		if (low <= earliest)
			return JOBQ_CRON_NEVER;
		span *= 4;
		high = low - 1;
		low = max_int64(at - span, earliest);
	}

	while (*prev < high)
	{
		int64_t		middle = high - (high - *prev - 1) / 2;
		int64_t		later;

		if (find_firing(cron, zone, middle, high, &later))
			*prev = later;
		else
			high = middle - 1;
	}
	return JOBQ_CRON_OK;
}

/*
 * Count the firings from one instant to another, both included; anchor and
 * zone as above.  Takes a step for each month and each change of the zone.
 */
int64_t
jobq_cron_count(const JobqCron *cron, int64_t from, int64_t to,
				const JobqZone *zone, int64_t anchor)
{
	JobqZone	utc = jobq_zone_fixed(0);

	from = max_int64(from, JOBQ_CRON_TIME_MIN);
	to = min_int64(to, JOBQ_CRON_TIME_MAX);
	if (from > to || !cron->possible)
		return 0;
	if (cron->every > 0)
	{
		from = max_int64(from, anchor);
		if (from > to)
			return 0;
		/* multiples up to the end, less those before the beginning */
		return (int64_t) (((uint64_t) to - (uint64_t) anchor) /
						  (uint64_t) cron->every) -
			(from == anchor ? -1 :
			 (int64_t) (((uint64_t) from - (uint64_t) anchor - 1) /
						(uint64_t) cron->every));
	}
	limit_to_years(cron, &from, &to);
	if (from > to)
		return 0;
	return count_firings(cron, zone != NULL ? zone : &utc, from, to);
}
