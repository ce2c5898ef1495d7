/*-------------------------------------------------------------------------
 *
 * schedule.h
 *	  Cron schedules: when they fire, and the jobs they make.
 *
 * A schedule is handled as the columns of its row in jobq_store.schedule
 * (values and nulls, by the numbers of schema.h).  All that is durable about
 * it is there; next_run is the nominal time of the run that comes next, and
 * JOBQ_NEVER for a schedule that is disabled or has had its last run.
 *
 * IDENTIFICATION
 *	  src/schedule.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEDULE_H
#define JOBQ_SCHEDULE_H

#include "common/cron.h"
#include "queue.h"
#include "table.h"

/* A run that is enqueued so long after its time is late. */
#define JOBQ_SCHEDULE_LATE_AFTER (60 * USECS_PER_SEC)

/* What decides when a schedule fires.  Times are as in cron.h. */
typedef struct JobqTimetable
{
	JobqCron	cron;
	JobqZone	zone;
	int64		anchor;			/* of "@every" */
	int64		first;			/* no run is before */
	int64		last;			/* no run is after */
} JobqTimetable;

/* A row of jobq_store.schedule. */
typedef struct JobqScheduleRow
{
	Datum		values[Natts_schedule];
	bool		nulls[Natts_schedule];
} JobqScheduleRow;

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

/*
 * What has become of runs of a schedule, for its history: of one, or of
 * several in a row that were left out.
 */
typedef struct JobqScheduleEvent
{
	const char *outcome;		/* 'enqueued', 'skipped', 'missed', 'failed' */
	const char *reason;			/* NULL: none */
	TimestampTz first;			/* nominal times of the first and the last */
	TimestampTz last;
	int64		runs;			/* their number */
	int64		job;			/* 0: none */
	bool		caught_up;
} JobqScheduleEvent;

/* jobq_store.schedule_run, open for writing. */
typedef struct JobqScheduleHistory
{
	JobqTable  *table;
	TupleTableSlot *slot;
} JobqScheduleHistory;

/* cron_sql.c */

/* Raises 22023 if the text is malformed. */
extern void jobq_cron_require(const char *text, JobqCron *cron);

/*
 * Where in the text something is wrong, and what (palloc'd).  The position is
 * in characters, the first one of the whole text being 1.
 */
extern char *jobq_cron_error_detail(const char *text,
									const JobqCronError *error);

/* schedule_run.c */

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

/*
 * Where the schedule's jobs go.  NULL, and in *problem why (palloc'd), if its
 * owner cannot put any there.
 */
extern const JobqQueue *jobq_schedule_queue(const Datum *values,
											const bool *nulls,
											char **problem);

/* Adds the job of the run of a given nominal time; returns its id. */
extern int64 jobq_schedule_enqueue(JobqTable *jobs, const JobqQueue *queue,
								   const Datum *values, const bool *nulls,
								   TimestampTz slot, bool caught_up);

/*
 * Whether a job is not finished, as the active snapshot sees it; and if so, in
 * *caught_up unless that is NULL, whether it is that of a run made up for.
 */
extern bool jobq_schedule_job_is_live(JobqTable *jobs, int64 id,
									  bool *caught_up);

/* schedule_history.c */

/*
 * Whether a job of the queue is that of one of the last runs, 100 at most, of
 * the schedule of that name, and those of them that succeed are to leave no
 * trace (keep_runs => 'errors').  A backfill is one run, and names no job.
 */
extern bool jobq_schedule_keeps_errors_only(const char *name,
											const JobqQueue *queue,
											int64 job_id);

/*
 * values[] are those of the schedule's row, which is locked and is to be
 * written by the caller after jobq_schedule_history_add() has counted the
 * event there.
 */
extern void jobq_schedule_history_open(JobqScheduleHistory *history);
extern void jobq_schedule_history_close(JobqScheduleHistory *history);
extern void jobq_schedule_history_add(JobqScheduleHistory *history,
									  Datum *values,
									  const JobqScheduleEvent *event);
extern void jobq_schedule_history_remove(const Datum *values);

/* schedule_form.c */

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

/* schedule_manage.c */

extern void jobq_schedule_set(JobqScheduleRow *row, AttrNumber attnum,
							  Datum value);
extern TimestampTz jobq_schedule_next_run(const JobqScheduleRow *row);
extern void jobq_schedule_peek(JobqTable *table, const char *name,
							   JobqScheduleRow *row);
extern bool jobq_schedule_find(JobqTable *table, TupleTableSlot *slot,
							   const char *name, JobqScheduleRow *row);
extern void jobq_schedule_check_owner(const JobqScheduleRow *row);
extern void jobq_schedule_require(JobqTable *table, TupleTableSlot *slot,
								  const char *name, JobqScheduleRow *row);
extern TimestampTz jobq_schedule_next_run_from_now(const JobqScheduleRow *row);
extern void jobq_schedule_note_next_run(const JobqScheduleRow *row);

#endif							/* JOBQ_SCHEDULE_H */
