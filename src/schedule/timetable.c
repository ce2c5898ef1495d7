/*-------------------------------------------------------------------------
 *
 * timetable.c
 *	  When a schedule runs.
 *
 * IDENTIFICATION
 *	  src/schedule/timetable.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/timetable.h"

#include "base/schema.h"
#include "base/timezone.h"
#include "schedule/cron_expression.h"
#include "shared/shmem.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

char *
jobq_timetable_read(JobqTimetable *timetable, const Datum *values,
					const bool *nulls)
{
	char	   *cron = TextDatumGetCString(values[Anum_schedule_cron - 1]);
	char	   *zone = TextDatumGetCString(values[Anum_schedule_timezone - 1]);
	TimestampTz at;
	JobqCronError error;
	pg_tz	   *tz;

	if (!jobq_cron_parse(cron, strlen(cron), &timetable->cron, &error))
		return psprintf("invalid cron expression: %s",
						jobq_cron_error_detail(cron, &error));
	tz = jobq_timezone_find(zone);
	if (tz == NULL)
		return psprintf("time zone \"%s\" not recognized", zone);
	timetable->zone = jobq_timezone_rules(tz);
	at = DatumGetTimestampTz(values[Anum_schedule_anchor - 1]);
	timetable->anchor = jobq_timestamp_to_seconds(at);
	timetable->first = PG_INT64_MIN;
	if (!nulls[Anum_schedule_starts_at - 1])
	{
		at = DatumGetTimestampTz(values[Anum_schedule_starts_at - 1]);
		/* rounded up */
		timetable->first = jobq_timestamp_to_seconds(at - 1) + 1;
	}
	timetable->last = PG_INT64_MAX;
	if (!nulls[Anum_schedule_ends_at - 1])
	{
		at = DatumGetTimestampTz(values[Anum_schedule_ends_at - 1]);
		timetable->last = jobq_timestamp_to_seconds(at);
	}
	return NULL;
}

TimestampTz
jobq_timetable_next(const JobqTimetable *timetable, TimestampTz after)
{
	int64		seconds = jobq_timestamp_to_seconds(after);
	int64		next;

	if (seconds < timetable->first)
		seconds = timetable->first - 1;
	if (jobq_cron_next(&timetable->cron, seconds, &timetable->zone,
					   timetable->anchor, &next) != JOBQ_CRON_OK ||
		next > timetable->last)
		return JOBQ_NEVER;
	return jobq_timestamp_from_seconds(next);
}

TimestampTz
jobq_timetable_latest(const JobqTimetable *timetable, TimestampTz run,
					  TimestampTz now)
{
	int64		latest;

	/* usually none was missed; looking back is expensive */
	if (jobq_timetable_next(timetable, run) > now)
		return run;
	if (jobq_cron_prev(&timetable->cron,
					   Min(jobq_timestamp_to_seconds(now), timetable->last),
					   &timetable->zone, timetable->anchor,
					   &latest) != JOBQ_CRON_OK)
		return run;
	return Max(run, jobq_timestamp_from_seconds(latest));
}

int64
jobq_timetable_count(const JobqTimetable *timetable, TimestampTz from,
					 TimestampTz to)
{
	/* rounded up */
	int64		first = jobq_timestamp_to_seconds(from - 1) + 1;
	int64		last = jobq_timestamp_to_seconds(to);

	return jobq_cron_count(&timetable->cron, Max(first, timetable->first),
						   Min(last, timetable->last), &timetable->zone,
						   timetable->anchor);
}

/* Whether a schedule has had all the runs it may have. */
bool
jobq_schedule_is_exhausted(const Datum *values, const bool *nulls)
{
	return !nulls[Anum_schedule_max_runs - 1] &&
		DatumGetInt64(values[Anum_schedule_runs - 1]) >=
		DatumGetInt32(values[Anum_schedule_max_runs - 1]);
}
