/*-------------------------------------------------------------------------
 *
 * schedule_alter.c
 *	  The SQL functions alter_schedule and reset_schedule.
 *
 * They change only what is named, and keep the past, the owner and, if nothing
 * that determines it has changed, the next run.  keep_runs and catch_up_window
 * can be set only here, and are kept when schedule() replaces the schedule, so
 * that the script of the next deployment does not undo an operator's
 * decisions.
 *
 * A role that has the privileges of a schedule's owner may change the
 * schedule.  But a schedule runs as its owner, so a command or its parameters
 * may be changed only by roles that can SET ROLE to the owner.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_alter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/rights.h"
#include "compat.h"
#include "queue/payload.h"
#include "queue/queue.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "schedule/schedule_enqueue.h"
#include "schedule/schedule_form.h"
#include "schedule/schedule_row.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_alter_schedule);
PG_FUNCTION_INFO_V1(jobq_reset_schedule);

/* Raises 42501 unless the user may run commands as the owner. */
static void
check_may_run_as_owner(const JobqScheduleRow *row)
{
	Oid			owner = DatumGetObjectId(row->values[Anum_schedule_owner - 1]);

	if (!jobq_may_run_as(owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change the command of schedule \"%s\"",
						TextDatumGetCString(row->values[Anum_schedule_name - 1])),
				 errdetail("It runs as the schedule's owner, \"%s\", and you cannot SET ROLE to that role.",
						   GetUserNameFromId(owner, false)),
				 errhint("Use jobq.schedule() to replace the schedule with one that runs as you.")));
}

/*
 * Checks what the schedule will do after a change, with the row locked.
 * Raises 42501, 23514 and 55000.
 */
static void
check_target(const JobqScheduleRow *row, bool new_target)
{
	const JobqQueue *queue;
	char	   *problem;

	if (!row->nulls[Anum_schedule_command - 1])
	{
		check_may_run_as_owner(row);
		return;
	}
	queue = jobq_schedule_queue(row->values, row->nulls, &problem);
	if (queue == NULL)
		ereport(ERROR,
				(errcode(new_target ? ERRCODE_INSUFFICIENT_PRIVILEGE :
						 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" cannot run",
						TextDatumGetCString(row->values[Anum_schedule_name - 1])),
				 errdetail_internal("%s", problem)));
	/* check the user's privilege again after waiting */
	if (new_target)
		jobq_queue_check_privilege(queue, JOBQ_PRIV_ENQUEUE);
	jobq_payload_check_job(queue, row->values[Anum_schedule_payload - 1]);
}

/*
 * Creates the run() queue of the schedule's owner, if it does not exist,
 * before the schedule is locked, since that may wait for the name of the
 * queue.
 */
static void
make_run_queue(const JobqScheduleRow *row)
{
	check_may_run_as_owner(row);
	(void) jobq_queue_run_of(DatumGetObjectId(row->values[Anum_schedule_owner - 1]));
}

/*
 * Writes the changed row; `times` says that something that determines the
 * times of runs was set.
 */
static void
finish(JobqTable *table, TupleTableSlot *slot, JobqScheduleRow *row,
	   const JobqScheduleRow *old, bool times)
{
	bool		enabled = DatumGetBool(row->values[Anum_schedule_enabled - 1]);

	if (times)
		jobq_schedule_set_times(row);
	jobq_schedule_keep_times(row, old);
	if (enabled != DatumGetBool(old->values[Anum_schedule_enabled - 1]))
		row->nulls[Anum_schedule_disabled_reason - 1] = true;
	jobq_schedule_write(table, slot, row);
	jobq_table_close(table);
}

/* Whether one of the arguments determines the times of runs. */
static bool
has_times(FunctionCallInfo fcinfo)
{
	return !PG_ARGISNULL(JOBQ_SCHEDULE_CRON) ||
		!PG_ARGISNULL(JOBQ_SCHEDULE_TIMEZONE) ||
		!PG_ARGISNULL(JOBQ_SCHEDULE_JITTER) ||
		!PG_ARGISNULL(JOBQ_SCHEDULE_STARTS_AT) ||
		!PG_ARGISNULL(JOBQ_SCHEDULE_ENDS_AT) ||
		!PG_ARGISNULL(JOBQ_SCHEDULE_MAX_RUNS);
}

/*
 * Locks the schedule, and makes a new row from its row (`old`) and the
 * arguments of alter_schedule().
 */
static void
lock_and_alter(FunctionCallInfo fcinfo, JobqTable *table, TupleTableSlot *slot,
			   const JobqQueue *queue, JobqScheduleRow *row,
			   JobqScheduleRow *old)
{
	jobq_schedule_require(table, slot,
						  text_to_cstring(PG_GETARG_TEXT_PP(JOBQ_SCHEDULE_NAME)),
						  row);
	*old = *row;
	jobq_schedule_set_options(fcinfo, row);
	jobq_schedule_set_more_options(fcinfo, row);
	jobq_schedule_set_target(fcinfo, row, queue);
}

/*
 * alter_schedule(name, ...): sets what is not NULL.  See schedule_form.c and
 * jobq_schedule_require() for the errors it raises.
 */
Datum
jobq_alter_schedule(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;
	JobqScheduleRow old;
	char	   *name;
	bool		new_target = !PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND) ||
	!PG_ARGISNULL(JOBQ_SCHEDULE_QUEUE);

	jobq_begin_write("jobq.alter_schedule()");
	name = jobq_required_string(fcinfo, JOBQ_SCHEDULE_NAME, "name");

	/* schedule() locks queue and schedule in this order, too */
	queue = jobq_schedule_target_queue(fcinfo);
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND))
	{
		jobq_schedule_peek(table, name, &row);
		make_run_queue(&row);
	}
	lock_and_alter(fcinfo, table, slot, queue, &row, &old);
	if (new_target || !PG_ARGISNULL(JOBQ_SCHEDULE_PAYLOAD))
	{
		check_target(&row, new_target);
		/* a payload_check may have changed the schedule */
		lock_and_alter(fcinfo, table, slot, queue, &row, &old);
	}
	finish(table, slot, &row, &old, has_times(fcinfo));

	/* creating a run() queue, and a payload_check, may have waited */
	jobq_schedule_check_owner(&row);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_QUEUE))
		jobq_queue_recheck(queue->id, JOBQ_PRIV_ENQUEUE);
	PG_RETURN_VOID();
}

/*
 * Locks the schedule, and makes a new row from its row (`old`) and the
 * arguments of reset_schedule().  Returns whether something was reset that
 * determines the times of runs; sets *payload if the payload was reset.
 */
static bool
lock_and_reset(FunctionCallInfo fcinfo, JobqTable *table, TupleTableSlot *slot,
			   JobqScheduleRow *row, JobqScheduleRow *old, bool *payload)
{
	int			nelements;
	Datum	   *elements = jobq_array_elements("options",
											   PG_GETARG_ARRAYTYPE_P(1),
											   TEXTOID, NULL, &nelements);
	bool		times = false;

	jobq_schedule_require(table, slot, text_to_cstring(PG_GETARG_TEXT_PP(0)),
						  row);
	*old = *row;
	*payload = false;
	for (int i = 0; i < nelements; i++)
	{
		char	   *name = TextDatumGetCString(elements[i]);

		times = jobq_schedule_reset(row, name) || times;
		*payload = *payload || strcmp(name, "payload") == 0;
	}
	return times;
}

/* reset_schedule(name, option, ...): restores defaults. */
Datum
jobq_reset_schedule(PG_FUNCTION_ARGS)
{
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;
	JobqScheduleRow old;
	bool		payload;
	bool		times;

	jobq_begin_write("jobq.reset_schedule()");
	jobq_require_argument(fcinfo, 0, "name");
	jobq_require_argument(fcinfo, 1, "options");
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	times = lock_and_reset(fcinfo, table, slot, &row, &old, &payload);
	if (payload)
	{
		check_target(&row, false);
		/* a payload_check may have changed the schedule */
		times = lock_and_reset(fcinfo, table, slot, &row, &old, &payload);
	}
	finish(table, slot, &row, &old, times);
	PG_RETURN_VOID();
}
