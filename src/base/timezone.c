/*-------------------------------------------------------------------------
 *
 * timezone.c
 *	  The server's time zones, as common/cron.h wants them.
 *
 * Zones are those of PostgreSQL's own database, so that a schedule fires
 * when SQL says the time has come.  The server keeps every loaded zone, so
 * that later look-ups only search a hash table.
 *
 * Only names of the IANA database are accepted, see common/zone_name.c.
 *
 * IDENTIFICATION
 *	  src/base/timezone.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/timezone.h"

#include "guc.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

/* The server's default if its configuration has no time zone. */
#define BUILTIN_TIMEZONE "GMT"

#define EPOCH_DIFFERENCE \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/*
 * The zone of that name, ignoring case; it stays valid for the life of the
 * process.  NULL if there is none.
 */
pg_tz *
jobq_timezone_find(const char *name)
{
	pg_tz	   *tz;

	StaticAssertStmt(JOBQ_ZONE_NAME_MAX == TZ_STRLEN_MAX,
					 "JOBQ_ZONE_NAME_MAX is wrong");
	if (!jobq_zone_name_is_sound(name))
		return NULL;
	tz = pg_tzset(name);

	/* as SET timezone does, refuse zones that count leap seconds */
	if (tz != NULL && !pg_tz_acceptable(tz))
		return NULL;
	return tz;
}

/* See timezone.h. */
bool
jobq_timezone_check_setting(char **newval, void **extra, GucSource source)
{
	if ((*newval)[0] == '\0' || jobq_timezone_find(*newval) != NULL)
		return true;
	GUC_check_errdetail("There is no time zone with this name; see pg_timezone_names.");
	return false;
}

/* As jobq_timezone_find(), but raises 22023 if there is none. */
pg_tz *
jobq_timezone_require(const char *name)
{
	pg_tz	   *tz = jobq_timezone_find(name);

	if (tz == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 name[0] == '\0' ?
				 errmsg("time zone name must not be empty") :
				 errmsg("time zone \"%s\" not recognized", name),
				 errdetail("Schedules accept names of the IANA time zone database, not offsets, abbreviations or POSIX specifications."),
				 errhint("The view pg_timezone_names lists them.")));
	return tz;
}

/* The zone's callback for cron.h; see there. */
static bool
next_change(void *arg, int64_t utc, int64_t *change, int32_t *offset_before,
			int32_t *offset_after)
{
	const pg_tz *tz = arg;
	pg_time_t	at = utc;
	pg_time_t	boundary = 0;
	long int	before = 0;
	long int	after = 0;
	int			before_isdst;
	int			after_isdst;
	int			result;

	result = pg_next_dst_boundary(&at, &before, &before_isdst, &boundary,
								  &after, &after_isdst, tz);
	if (result == 0)
	{
		long int	ignored;

		/*
		 * At the very last change in its table the server finds no next one,
		 * though it finds one from a second later.
		 */
		at++;
		result = pg_next_dst_boundary(&at, &ignored, &before_isdst, &boundary,
									  &after, &after_isdst, tz);
	}
	*offset_before = (int32_t) before;
	if (result <= 0)
		return false;
	*change = boundary;
	*offset_after = (int32_t) after;
	return true;
}

JobqZone
jobq_timezone_rules(pg_tz *tz)
{
	JobqZone	zone;

	zone.next_change = next_change;
	zone.arg = tz;
	return zone;
}

/*
 * The setting TimeZone from the server's configuration files: not a
 * database's, role's or client's, with which the same call would mean
 * different times for different callers.  Allocated in the current context.
 */
static char *
read_server_timezone(void)
{
	ConfigVariable *head = NULL;
	ConfigVariable *tail = NULL;
	char	   *result = BUILTIN_TIMEZONE;

	if (!ParseConfigFile(ConfigFileName, true, NULL, 0, 0, LOG, &head,
						 &tail) ||
		!ParseConfigFile(PG_AUTOCONF_FILENAME, false, NULL, 0, 0, LOG, &head,
						 &tail))
		return result;
	for (ConfigVariable *item = head; item != NULL; item = item->next)
	{
		if (!item->ignore && item->errmsg == NULL &&
			pg_strcasecmp(item->name, "timezone") == 0)
			result = item->value;
	}
	return result;
}

/*
 * The name of the default zone of schedules: jobq.timezone, or else the
 * server's.  Read again after the configuration was reloaded.
 */
const char *
jobq_timezone_default(void)
{
	static char server_timezone[TZ_STRLEN_MAX + 1];
	static TimestampTz read_at = 0;

	if (jobq_timezone != NULL && jobq_timezone[0] != '\0')
		return jobq_timezone;

	if (server_timezone[0] == '\0' || read_at != PgReloadTime)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
													  "jobq configuration",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext oldcontext = MemoryContextSwitchTo(context);

		strlcpy(server_timezone, read_server_timezone(),
				sizeof(server_timezone));
		read_at = PgReloadTime;
		MemoryContextSwitchTo(oldcontext);
		MemoryContextDelete(context);
	}
	return server_timezone;
}

int64
jobq_timestamp_to_seconds(TimestampTz timestamp)
{
	int64		seconds = timestamp / USECS_PER_SEC;

	Assert(!TIMESTAMP_NOT_FINITE(timestamp));
	if (timestamp % USECS_PER_SEC < 0)
		seconds--;
	return seconds + EPOCH_DIFFERENCE;
}

/* `seconds` is within the range of timestamps, see cron.h. */
TimestampTz
jobq_timestamp_from_seconds(int64 seconds)
{
	return (seconds - EPOCH_DIFFERENCE) * USECS_PER_SEC;
}
