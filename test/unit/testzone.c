/*-------------------------------------------------------------------------
 *
 * testzone.c
 *	  Time zones for tests: from the system's data, or made up.
 *
 * The C library tells offsets but not when they change, so the changes from
 * 1900 to 2100 are found by sampling and then by halving.
 *
 * IDENTIFICATION
 *	  test/unit/testzone.c
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "testzone.h"

#define ZONES_MAX				24

/* no two changes of a zone in use are as close as this */
#define SAMPLE_SECONDS			(12 * 3600)

static TestZone zones[ZONES_MAX];
static int	zone_count;

static int32_t
system_offset(int64_t utc)
{
	time_t		time = (time_t) utc;
	struct tm	tm;

	if (localtime_r(&time, &tm) == NULL)
		abort();
	return (int32_t) tm.tm_gmtoff;
}

void
begin_zone(TestZone *zone, const char *name, int32_t offset)
{
	zone->name = name;
	zone->count = 0;
	zone->offsets[0] = offset;
}

void
add_change(TestZone *zone, int64_t change, int32_t offset)
{
	if (zone->count >= ZONE_CHANGES_MAX)
		abort();
	zone->changes[zone->count++] = change;
	zone->offsets[zone->count] = offset;
}

/*
 * Return a zone of the system's database; it is loaded once.
 */
TestZone *
load_zone(const char *name)
{
	int64_t		end = parse_instant("2100-01-01 00:00:00");
	int64_t		time = parse_instant("1900-01-01 00:00:00");
	char		path[128];
	TestZone   *zone;
	int			i;

	for (i = 0; i < zone_count; i++)
	{
		if (strcmp(zones[i].name, name) == 0)
			return &zones[i];
	}

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	if (access(path, R_OK) != 0 || zone_count == ZONES_MAX)
	{
		printf("cannot load the time zone %s\n", name);
		exit(EXIT_FAILURE);
	}
	setenv("TZ", name, 1);
	tzset();

	zone = &zones[zone_count++];
	begin_zone(zone, name, system_offset(time));
	for (; time < end; time += SAMPLE_SECONDS)
	{
		int64_t		low = time;
		int64_t		high = time + SAMPLE_SECONDS;
		int32_t		after = system_offset(high);

		if (after == zone->offsets[zone->count])
			continue;
		while (high - low > 1)
		{
			int64_t		middle = low + (high - low) / 2;

			if (system_offset(middle) == after)
				high = middle;
			else
				low = middle;
		}
		add_change(zone, high, after);
	}
	return zone;
}

/*
 * Return the number of changes at or before an instant.
 */
static int
changes_until(const TestZone *zone, int64_t utc)
{
	int			low = 0;
	int			high = zone->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (zone->changes[middle] <= utc)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int32_t
zone_offset(const TestZone *zone, int64_t utc)
{
	return zone->offsets[changes_until(zone, utc)];
}

static bool
next_change(void *arg, int64_t utc, int64_t *change, int32_t *offset_before,
			int32_t *offset_after)
{
	const TestZone *zone = arg;
	int			i = changes_until(zone, utc);

	*offset_before = zone->offsets[i];
	if (i == zone->count)
		return false;
	*change = zone->changes[i];
	*offset_after = zone->offsets[i + 1];
	return true;
}

JobqZone
zone_callback(TestZone *zone)
{
	JobqZone	callback;

	callback.next_change = next_change;
	callback.arg = zone;
	return callback;
}
