/*-------------------------------------------------------------------------
 *
 * schedule_manage.c
 *	  The SQL functions for existing schedules.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_manage.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/timezone.h"
#include "compat.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "schedule/schedule_enqueue.h"
#include "schedule/schedule_history.h"
#include "schedule/schedule_row.h"
#include "schedule/timetable.h"
#include "shared/clock.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_unschedule);
PG_FUNCTION_INFO_V1(jobq_enable_schedule);
PG_FUNCTION_INFO_V1(jobq_run_schedule);
PG_FUNCTION_INFO_V1(jobq_backfill);

/* Maximum number of runs enqueued in one call. */
#define BACKFILL_MAX 10000

/* unschedule(name): false if there is no such schedule. */
Datum
jobq_unschedule(PG_FUNCTION_ARGS)
{
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;
	char	   *name;
	bool		found;

	jobq_begin_write("jobq.unschedule()");
	name = jobq_required_string(fcinfo, 0, "name");
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	found = jobq_schedule_find(table, slot, name, &row);
	if (found)
	{
		jobq_schedule_check_owner(&row);
		jobq_schedule_history_remove(row.values);
		jobq_table_delete(table, slot);
		jobq_schedule_check_owner(&row);
	}
	jobq_table_close(table);
	PG_RETURN_BOOL(found);
}

/* The queue of a schedule to be run; raises 55000 if there is none. */
static const JobqQueue *
require_queue(const char *name, const JobqScheduleRow *row)
{
	const JobqQueue *queue;
	char	   *problem;

	queue = jobq_schedule_queue(row->values, row->nulls, &problem);
	if (queue == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" cannot run", name),
				 errdetail_internal("%s", problem)));
	return queue;
}

/* Raises 55000 for a schedule whose queue was dropped. */
static void
check_target(const char *name, const JobqScheduleRow *row)
{
	if (row->nulls[Anum_schedule_command - 1])
		(void) require_queue(name, row);
}

/* enable_schedule(name, enabled): false if that changes nothing. */
Datum
jobq_enable_schedule(PG_FUNCTION_ARGS)
{
	bool		enabled = jobq_flag_argument(fcinfo, 1, true);
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;
	TimestampTz next;
	char	   *name;
	bool		changed = false;

	jobq_begin_write("jobq.enable_schedule()");
	name = jobq_required_string(fcinfo, 0, "name");
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	if (jobq_schedule_find(table, slot, name, &row))
	{
		jobq_schedule_check_owner(&row);
		changed = enabled !=
			DatumGetBool(row.values[Anum_schedule_enabled - 1]);
	}
	if (changed)
	{
		if (enabled)
			check_target(name, &row);
		next = enabled ? jobq_schedule_next_run_from_now(&row) : JOBQ_NEVER;
		jobq_schedule_set(&row, Anum_schedule_enabled, BoolGetDatum(enabled));
		jobq_schedule_set(&row, Anum_schedule_next_run,
						  TimestampTzGetDatum(next));
		row.nulls[Anum_schedule_disabled_reason - 1] = true;
		jobq_schedule_write(table, slot, &row);
		/* may have waited for the table of queues, or an index */
		jobq_schedule_check_owner(&row);
	}
	jobq_table_close(table);
	PG_RETURN_BOOL(changed);
}

/*
 * Like jobq_schedule_require(), for a schedule to be run; returns its queue,
 * locked against being dropped.  Also raises 55000 if the schedule has no
 * queue for its jobs.  Like drop_queue(), locks the queue before the schedule.
 */
static const JobqQueue *
require_runnable(JobqTable *table, TupleTableSlot *slot, const char *name,
				 JobqScheduleRow *row)
{
	jobq_schedule_peek(table, name, row);
	(void) jobq_queue_try_lock_shared(require_queue(name, row));
	jobq_schedule_require(table, slot, name, row);
	return jobq_schedule_lock_queue(require_queue(name, row),
									DatumGetObjectId(row->values[Anum_schedule_owner - 1]));
}

/*
 * Checks the owner of a schedule whose jobs were added, and its queue, again: the table of
 * jobs, its sequence, that of runs, and a queue that is dropped may have been waited for.
 */
static void
recheck_runnable(const char *name, const JobqScheduleRow *row)
{
	jobq_schedule_check_owner(row);
	(void) require_queue(name, row);
}

/* Records runs that a user has requested. */
static void
add_event(JobqScheduleRow *row, const JobqScheduleEvent *event)
{
	JobqScheduleHistory history;

	jobq_schedule_history_open(&history);
	jobq_schedule_history_add(&history, row->values, event);
	jobq_schedule_history_close(&history);
}

/*
 * run_schedule(name): an additional run.  It counts as the previous run when
 * the next one is due, but changes nothing else.
 */
Datum
jobq_run_schedule(PG_FUNCTION_ARGS)
{
	JobqTable  *table;
	JobqTable  *jobs;
	TupleTableSlot *slot;
	const JobqQueue *queue;
	JobqScheduleRow row;
	TimestampTz now = jobq_now();
	JobqScheduleEvent event = {.outcome = JOBQ_SCHEDULE_RUN_ENQUEUED,.runs = 1,
	.reason = "run_schedule()"};
	char	   *name;
	int64		job;

	jobq_begin_write("jobq.run_schedule()");
	name = jobq_required_string(fcinfo, 0, "name");
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	queue = require_runnable(table, slot, name, &row);
	row.nulls[Anum_schedule_jitter - 1] = true;
	jobs = jobq_table_open(JOBQ_REL_JOB);
	job = jobq_schedule_enqueue(jobs, queue, row.values, row.nulls, now,
								false);
	jobq_table_close(jobs);
	row.nulls[Anum_schedule_jitter - 1] =
		slot->tts_isnull[Anum_schedule_jitter - 1];
	jobq_schedule_set(&row, Anum_schedule_last_job, Int64GetDatum(job));
	event.first = event.last = now;
	event.job = job;
	add_event(&row, &event);
	jobq_schedule_write(table, slot, &row);
	recheck_runnable(name, &row);
	jobq_table_close(table);
	PG_RETURN_INT64(job);
}

/* Reads the range of time to backfill; raises 22023 if it is not past. */
static void
read_range(FunctionCallInfo fcinfo, TimestampTz *from, TimestampTz *to)
{
	jobq_require_argument(fcinfo, 1, "from_time");
	jobq_require_argument(fcinfo, 2, "to_time");
	*from = PG_GETARG_TIMESTAMPTZ(1);
	*to = PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_NOT_FINITE(*from) || TIMESTAMP_NOT_FINITE(*to) ||
		*from > *to || *to > jobq_now())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("from_time and to_time must be a range in the past")));
}

/*
 * Reads a schedule's timetable as if the schedule had existed all the time
 * from `from` to `to`; raises 55000 if it cannot run.
 */
static void
read_past_timetable(const char *name, const JobqScheduleRow *row,
					TimestampTz from, TimestampTz to, JobqTimetable *timetable)
{
	int64		start = jobq_timestamp_to_seconds(from);
	char	   *problem = jobq_timetable_read(timetable, row->values,
											  row->nulls);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" cannot run", name),
				 errdetail_internal("%s", problem)));
	timetable->first = PG_INT64_MIN;
	timetable->last = jobq_timestamp_to_seconds(to);
	/* an interval is counted from an anchor that is not after the start */
	if (timetable->cron.every > 0 && timetable->anchor > start)
		timetable->anchor -= timetable->cron.every *
			((timetable->anchor - start) / timetable->cron.every + 1);
}

/*
 * Enqueues the jobs of all runs after `from`, and says in *event which they
 * were; raises 54000 if there are more than BACKFILL_MAX.  Changes the row.
 */
static void
enqueue_past_runs(const JobqQueue *queue, JobqScheduleRow *row,
				  const JobqTimetable *timetable, TimestampTz from,
				  JobqScheduleEvent *event)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TimestampTz run = from;

	row->nulls[Anum_schedule_jitter - 1] = true;
	row->nulls[Anum_schedule_last_run - 1] = true;
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		run = jobq_timetable_next(timetable, run);
		if (run == JOBQ_NEVER)
			break;
		if (event->runs++ == 0)
			event->first = run;
		event->last = run;
		if (event->runs > BACKFILL_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many runs to backfill"),
					 errdetail("At most %d are allowed at a time.",
							   BACKFILL_MAX)));
		(void) jobq_schedule_enqueue(jobs, queue, row->values, row->nulls, run,
									 true);
		jobq_schedule_set(row, Anum_schedule_last_run,
						  TimestampTzGetDatum(run));
	}
	jobq_table_close(jobs);
}

/*
 * backfill(name, from_time, to_time): enqueues runs of a range in the past,
 * regardless of the schedule's bounds, including runs that it has already had.
 * Raises 22023 for an invalid range, and 54000 for too many runs.
 */
Datum
jobq_backfill(PG_FUNCTION_ARGS)
{
	char	   *name;
	TimestampTz from;
	TimestampTz to;
	JobqTimetable timetable;
	JobqTable  *table;
	TupleTableSlot *slot;
	const JobqQueue *queue;
	JobqScheduleRow row;
	JobqScheduleRow unchanged;
	JobqScheduleEvent event = {JOBQ_SCHEDULE_RUN_ENQUEUED, "backfill()"};

	event.caught_up = true;
	jobq_begin_write("jobq.backfill()");
	name = jobq_required_string(fcinfo, 0, "name");
	read_range(fcinfo, &from, &to);
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	queue = require_runnable(table, slot, name, &row);
	unchanged = row;
	read_past_timetable(name, &row, from, to, &timetable);
	enqueue_past_runs(queue, &row, &timetable, from, &event);
	if (event.runs > 0)
	{
		add_event(&unchanged, &event);
		jobq_schedule_write(table, slot, &unchanged);
	}
	recheck_runnable(name, &unchanged);
	jobq_table_close(table);
	PG_RETURN_INT64(event.runs);
}
