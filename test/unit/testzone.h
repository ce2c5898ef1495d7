/*-------------------------------------------------------------------------
 *
 * testzone.h
 *	  Time zones for tests: from the system's data, or made up.
 *
 * IDENTIFICATION
 *	  test/unit/testzone.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef TESTZONE_H
#define TESTZONE_H

#include "cron.h"

#define ZONE_CHANGES_MAX		1000

typedef struct TestZone
{
	const char *name;
	int			count;
	int64_t		changes[ZONE_CHANGES_MAX];
	int32_t		offsets[ZONE_CHANGES_MAX + 1];	/* [i]: before change i */
} TestZone;

extern TestZone *load_zone(const char *name);
extern void begin_zone(TestZone *zone, const char *name, int32_t offset);
extern void add_change(TestZone *zone, int64_t change, int32_t offset);
extern int32_t zone_offset(const TestZone *zone, int64_t utc);
extern JobqZone zone_callback(TestZone *zone);

#endif							/* TESTZONE_H */
