/*-------------------------------------------------------------------------
 *
 * timetable.h
 *	  When a schedule runs.
 *
 * IDENTIFICATION
 *	  src/schedule/timetable.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TIMETABLE_H
#define JOBQ_TIMETABLE_H

#include "common/cron.h"

#include "datatype/timestamp.h"

/* What determines when a schedule fires.  Times are as in cron.h. */
typedef struct JobqTimetable
{
	JobqCron	cron;
	JobqZone	zone;
	int64		anchor;			/* of "@every" */
	int64		first;			/* no run is before */
	int64		last;			/* no run is after */
} JobqTimetable;

/* Returns what is wrong with the schedule (palloc'd), or NULL. */
extern char *jobq_timetable_read(JobqTimetable *timetable,
								 const Datum *values, const bool *nulls);

/* The first run strictly after a time, or JOBQ_NEVER. */
extern TimestampTz jobq_timetable_next(const JobqTimetable *timetable,
									   TimestampTz after);

/* The last run that is not after `now`, given an earlier one. */
extern TimestampTz jobq_timetable_latest(const JobqTimetable *timetable,
										 TimestampTz run, TimestampTz now);

/* The number of runs from one time to another, both included. */
extern int64 jobq_timetable_count(const JobqTimetable *timetable,
								  TimestampTz from, TimestampTz to);
extern bool jobq_schedule_is_exhausted(const Datum *values,
									   const bool *nulls);

#endif							/* JOBQ_TIMETABLE_H */
