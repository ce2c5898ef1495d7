/*-------------------------------------------------------------------------
 *
 * timezone.h
 *	  The server's time zones, as common/cron.h wants them, and conversion
 *	  between the server's timestamps and the seconds of cron.h.
 *
 * IDENTIFICATION
 *	  src/base/timezone.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TIMEZONE_H
#define JOBQ_TIMEZONE_H

#include "common/cron.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/guc.h"

/* NULL if there is no zone of that name. */
extern pg_tz *jobq_timezone_find(const char *name);

/* The check hook of jobq.timezone. */
extern bool jobq_timezone_check_setting(char **newval, void **extra,
										GucSource source);

/* Raises 22023 if there is no zone of that name. */
extern pg_tz *jobq_timezone_require(const char *name);

/* The name of the default zone of schedules. */
extern const char *jobq_timezone_default(void);

/* For the functions of cron.h. */
extern JobqZone jobq_timezone_rules(pg_tz *tz);

/* A finite timestamp in seconds since 1970, rounded down. */
extern int64 jobq_timestamp_to_seconds(TimestampTz timestamp);
extern TimestampTz jobq_timestamp_from_seconds(int64 seconds);

#endif							/* JOBQ_TIMEZONE_H */
