/*-------------------------------------------------------------------------
 *
 * schedule_form.h
 *	  Applying the arguments of schedule() and alter_schedule() to a row of
 *	  jobq_store.schedule, and checking the result.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_form.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEDULE_FORM_H
#define JOBQ_SCHEDULE_FORM_H

#include "queue/queue_row.h"
#include "schedule/schedule_row.h"

#include "fmgr.h"

/* Arguments of schedule(), and of alter_schedule(). */
enum
{
	JOBQ_SCHEDULE_NAME,
	JOBQ_SCHEDULE_CRON,
	JOBQ_SCHEDULE_COMMAND,
	JOBQ_SCHEDULE_QUEUE,
	JOBQ_SCHEDULE_PAYLOAD,
	JOBQ_SCHEDULE_TIMEZONE,
	JOBQ_SCHEDULE_MISSED,
	JOBQ_SCHEDULE_OVERLAP,
	JOBQ_SCHEDULE_JITTER,
	JOBQ_SCHEDULE_STARTS_AT,
	JOBQ_SCHEDULE_ENDS_AT,
	JOBQ_SCHEDULE_MAX_RUNS,
	JOBQ_SCHEDULE_ENABLED,
	JOBQ_SCHEDULE_PRIORITY,
	JOBQ_SCHEDULE_MAX_ATTEMPTS,
	JOBQ_SCHEDULE_TIMEOUT,
	JOBQ_SCHEDULE_TAGS,
	JOBQ_SCHEDULE_NARGS,		/* of schedule() */
	JOBQ_SCHEDULE_KEEP_RUNS = JOBQ_SCHEDULE_NARGS,	/* of alter_schedule() */
	JOBQ_SCHEDULE_CATCH_UP_WINDOW
};

/* How many bytes of a schedule's row are copied into each of its jobs. */
extern Size jobq_schedule_copied_bytes(const Datum *values, const bool *nulls);

extern void jobq_schedule_set_defaults(JobqScheduleRow *row);
extern bool jobq_schedule_reset(JobqScheduleRow *row, const char *name);
extern void jobq_schedule_set_options(FunctionCallInfo fcinfo,
									  JobqScheduleRow *row);
extern void jobq_schedule_set_more_options(FunctionCallInfo fcinfo,
										   JobqScheduleRow *row);
extern const JobqQueue *jobq_schedule_target_queue(FunctionCallInfo fcinfo);
extern void jobq_schedule_set_target(FunctionCallInfo fcinfo,
									 JobqScheduleRow *row,
									 const JobqQueue *queue);
extern void jobq_schedule_set_times(JobqScheduleRow *row);
extern void jobq_schedule_keep_times(JobqScheduleRow *row,
									 const JobqScheduleRow *old);

#endif							/* JOBQ_SCHEDULE_FORM_H */
