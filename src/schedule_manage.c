/*-------------------------------------------------------------------------
 *
 * schedule_manage.c
 *	  The SQL functions for schedules that exist, and what they have in common
 *	  with schedule().
 *
 * IDENTIFICATION
 *	  src/schedule_manage.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule.h"

#include "arguments.h"
#include "timezone.h"
#include "xact.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(jobq_unschedule);
PG_FUNCTION_INFO_V1(jobq_enable_schedule);
PG_FUNCTION_INFO_V1(jobq_run_schedule);
PG_FUNCTION_INFO_V1(jobq_backfill);

/* More runs than this are not enqueued in one call. */
#define BACKFILL_MAX 10000

void
jobq_schedule_set(JobqScheduleRow *row, AttrNumber attnum, Datum value)
{
	row->values[attnum - 1] = value;
	row->nulls[attnum - 1] = false;
}

TimestampTz
jobq_schedule_next_run(const JobqScheduleRow *row)
{
	return DatumGetTimestampTz(row->values[Anum_schedule_next_run - 1]);
}

/* Reads the row in the slot; it is valid as long as the slot has it. */
static void
read_row(TupleTableSlot *slot, JobqScheduleRow *row)
{
	slot_getallattrs(slot);
	memcpy(row->values, slot->tts_values, sizeof(row->values));
	memcpy(row->nulls, slot->tts_isnull, sizeof(row->nulls));
}

/* Looks up a schedule by name, locks its row and reads it. */
bool
jobq_schedule_find(JobqTable *table, TupleTableSlot *slot, const char *name,
				   JobqScheduleRow *row)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name));
	if (jobq_table_find(table, jobq_relation_oid(JOBQ_IDX_SCHEDULE_NAME),
						&key, 1, JOBQ_WAIT, slot) != JOBQ_FOUND)
		return false;
	read_row(slot, row);
	return true;
}

/* Who may change a schedule of that owner. */
static bool
may_change(Oid owner)
{
	return has_privs_of_role(GetUserId(), owner) ||
		jobq_is_administrator(GetUserId());
}

/*
 * Raises 42501 unless the user may change the schedule, whose row is locked,
 * after whatever that was waited for.
 */
void
jobq_schedule_check_owner(const JobqScheduleRow *row)
{
	AcceptInvalidationMessages();
	if (!may_change(DatumGetObjectId(row->values[Anum_schedule_owner - 1])))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of schedule \"%s\"",
						TextDatumGetCString(row->values[Anum_schedule_name - 1])),
				 errhint("Its owner, members of that role and superusers can do that.")));
}

/* next_run of an enabled schedule that goes on from now. */
TimestampTz
jobq_schedule_next_run_from_now(const JobqScheduleRow *row)
{
	JobqTimetable timetable;
	char	   *problem;

	problem = jobq_timetable_read(&timetable, row->values, row->nulls);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schedule \"%s\" cannot run",
						TextDatumGetCString(row->values[Anum_schedule_name - 1])),
				 errdetail_internal("%s", problem)));
	if (jobq_schedule_is_exhausted(row->values, row->nulls))
		return JOBQ_NEVER;
	return jobq_timetable_next(&timetable, jobq_now());
}

/* The coordinator is to know of the schedule's next run. */
void
jobq_schedule_note_next_run(const JobqScheduleRow *row)
{
	if (jobq_schedule_next_run(row) != JOBQ_NEVER)
		jobq_at_commit_schedule(jobq_schedule_next_run(row));
}

/* unschedule(name): false if there is none. */
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
	}
	jobq_table_close(table);
	PG_RETURN_BOOL(found);
}

/* The queue of a schedule that is to run; 55000 if there is none. */
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
		jobq_table_update(table, slot, row.values, row.nulls);
		jobq_schedule_note_next_run(&row);
	}
	jobq_table_close(table);
	PG_RETURN_BOOL(changed);
}

/* The name most like the given one of a schedule that the user may change. */
static char *
closest_name(JobqTable *table, const char *name)
{
	char	   *best = NULL;
	int			best_distance = Max((int) strlen(name) / 2, 1) + 1;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (strlen(name) > JOBQ_MAX_NAME_LENGTH)
		return NULL;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = systable_beginscan(table->rel, InvalidOid, false, snapshot, 0,
							  NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		JobqScheduleRow row;
		char	   *candidate;
		int			distance;

		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(tuple, RelationGetDescr(table->rel), row.values,
						  row.nulls);
		if (!may_change(DatumGetObjectId(row.values[Anum_schedule_owner - 1])))
			continue;
		candidate = TextDatumGetCString(row.values[Anum_schedule_name - 1]);
		distance = varstr_levenshtein_less_equal(name, strlen(name), candidate,
												 strlen(candidate), 1, 1, 1,
												 best_distance, true);
		if (distance < best_distance)
		{
			best = candidate;
			best_distance = distance;
		}
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return best;
}

/* Raises 42704: there is no schedule of that name. */
static void
report_missing(JobqTable *table, const char *name)
{
	char	   *closest = closest_name(table, name);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("schedule \"%s\" does not exist", name),
			 closest == NULL ?
			 errhint("The view jobq.schedules has the names of those that you may see.") :
			 errhint("Perhaps you meant the schedule \"%s\".", closest)));
}

/*
 * Reads a schedule by name without locking it, for who has to lock something
 * before it: 42704, 42501.  The row is valid until the table is closed.
 */
void
jobq_schedule_peek(JobqTable *table, const char *name, JobqScheduleRow *row)
{
	TupleTableSlot *slot = jobq_table_slot(table);
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name));
	if (!jobq_table_read(table, jobq_relation_oid(JOBQ_IDX_SCHEDULE_NAME),
						 &key, 1, slot))
		report_missing(table, name);
	read_row(slot, row);
	jobq_schedule_check_owner(row);
}

/*
 * Looks up a schedule by name, locks its row and reads it.  Raises 42704 if
 * there is none of that name, and 42501 unless the user may change it.
 */
void
jobq_schedule_require(JobqTable *table, TupleTableSlot *slot,
					  const char *name, JobqScheduleRow *row)
{
	if (!jobq_schedule_find(table, slot, name, row))
		report_missing(table, name);
	jobq_schedule_check_owner(row);
}

/*
 * As jobq_schedule_require(), for a schedule that is to run; returns its
 * queue, which is kept from being dropped.  Raises also 55000 if its jobs have
 * nowhere to go.  drop_queue() locks the queue first, and the schedule then:
 * so does this.
 */
static const JobqQueue *
require_runnable(JobqTable *table, TupleTableSlot *slot, const char *name,
				 JobqScheduleRow *row)
{
	jobq_schedule_peek(table, name, row);
	(void) jobq_queue_try_lock_shared(require_queue(name, row));
	jobq_schedule_require(table, slot, name, row);
	return require_queue(name, row);
}

/* Writes down runs that somebody has asked for. */
static void
add_event(JobqScheduleRow *row, const JobqScheduleEvent *event)
{
	JobqScheduleHistory history;

	jobq_schedule_history_open(&history);
	jobq_schedule_history_add(&history, row->values, event);
	jobq_schedule_history_close(&history);
}

/*
 * run_schedule(name): a run besides those that the schedule has.  It counts
 * as the previous one when the next is due, but moves nothing else.
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
	JobqScheduleEvent event = {.outcome = "enqueued",.runs = 1,
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
	jobq_schedule_check_owner(&row);
	row.nulls[Anum_schedule_jitter - 1] =
		slot->tts_isnull[Anum_schedule_jitter - 1];
	jobq_schedule_set(&row, Anum_schedule_last_job, Int64GetDatum(job));
	event.first = event.last = now;
	event.job = job;
	add_event(&row, &event);
	jobq_table_update(table, slot, row.values, row.nulls);
	jobq_table_close(table);
	PG_RETURN_INT64(job);
}

/*
 * backfill(name, from_time, to_time): the runs of a time that has passed, or
 * not been the schedule's, whatever its bounds; those that it has had are had
 * again.  22023 for times that are no range, 54000 for too many runs.
 */
Datum
jobq_backfill(PG_FUNCTION_ARGS)
{
	char	   *name;
	TimestampTz from;
	TimestampTz to;
	JobqTimetable timetable;
	JobqTable  *table;
	JobqTable  *jobs;
	TupleTableSlot *slot;
	const JobqQueue *queue;
	JobqScheduleRow row;
	JobqScheduleRow unchanged;
	JobqScheduleEvent event = {.outcome = "enqueued",.caught_up = true,
	.reason = "backfill()"};
	char	   *problem;

	jobq_begin_write("jobq.backfill()");
	name = jobq_required_string(fcinfo, 0, "name");
	jobq_require_argument(fcinfo, 1, "from_time");
	jobq_require_argument(fcinfo, 2, "to_time");
	from = PG_GETARG_TIMESTAMPTZ(1);
	to = PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to) || from > to ||
		to > jobq_now())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("from_time and to_time must be a range of time that has passed")));
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	queue = require_runnable(table, slot, name, &row);
	unchanged = row;
	problem = jobq_timetable_read(&timetable, row.values, row.nulls);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" cannot run", name),
				 errdetail_internal("%s", problem)));

	/* as if the schedule had been there */
	timetable.first = PG_INT64_MIN;
	timetable.last = jobq_timestamp_to_seconds(to);
	if (timetable.cron.every > 0 &&
		timetable.anchor > jobq_timestamp_to_seconds(from))
		timetable.anchor -= timetable.cron.every *
			((timetable.anchor - jobq_timestamp_to_seconds(from)) /
			 timetable.cron.every + 1);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	row.nulls[Anum_schedule_jitter - 1] = true;
	row.nulls[Anum_schedule_last_run - 1] = true;
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		from = jobq_timetable_next(&timetable, from);
		if (from == JOBQ_NEVER)
			break;
		if (event.runs++ == 0)
			event.first = from;
		event.last = from;
		if (event.runs > BACKFILL_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many runs to backfill"),
					 errdetail("At most %d are allowed at a time.",
							   BACKFILL_MAX)));
		(void) jobq_schedule_enqueue(jobs, queue, row.values, row.nulls, from,
									 true);
		jobq_schedule_set(&row, Anum_schedule_last_run,
						  TimestampTzGetDatum(from));
	}
	jobq_table_close(jobs);
	jobq_schedule_check_owner(&unchanged);
	if (event.runs > 0)
	{
		add_event(&unchanged, &event);
		jobq_table_update(table, slot, unchanged.values, unchanged.nulls);
	}
	jobq_table_close(table);
	PG_RETURN_INT64(event.runs);
}
