/*-------------------------------------------------------------------------
 *
 * schedule.c
 *	  The SQL functions that create, change and run schedules.
 *
 * They write the row of jobq_store.schedule, under its lock.  The coordinator
 * is told of a new next_run when the transaction commits; it learns of
 * anything else when it reads the row.
 *
 * A schedule belongs to the role that created it or last replaced it: its
 * command runs as that role, and its jobs are enqueued with that role's
 * privileges.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/home.h"
#include "base/sequence.h"
#include "compat.h"
#include "jobq.h"
#include "queue/payload.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "schedule/schedule_form.h"
#include "schedule/schedule_row.h"
#include "shared/clock.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_schedule);

/* The name of a schedule: 22004, 22023. */
static char *
name_argument(FunctionCallInfo fcinfo)
{
	char	   *name = jobq_required_string(fcinfo, JOBQ_SCHEDULE_NAME, "name");

	jobq_check_name(name, "schedule name");
	return name;
}

/* Makes the row from schedule()'s arguments, except for its id. */
static void
form_row(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	const JobqQueue *queue;

	memset(row->values, 0, sizeof(row->values));
	memset(row->nulls, true, sizeof(row->nulls));
	jobq_schedule_set(row, Anum_schedule_name,
					  CStringGetTextDatum(name_argument(fcinfo)));
	jobq_schedule_set(row, Anum_schedule_owner, ObjectIdGetDatum(GetUserId()));
	jobq_schedule_set(row, Anum_schedule_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_missed_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_skipped_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_late_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_history, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_created_at,
					  TimestampTzGetDatum(jobq_now()));
	jobq_schedule_set(row, Anum_schedule_system_identifier,
					  Int64GetDatum(jobq_home_identifier()));
	jobq_schedule_set(row, Anum_schedule_database,
					  ObjectIdGetDatum(MyDatabaseId));
	jobq_schedule_set(row, Anum_schedule_enabled, BoolGetDatum(true));
	jobq_schedule_set(row, Anum_schedule_waits, BoolGetDatum(false));
	jobq_schedule_set_defaults(row);

	jobq_require_argument(fcinfo, JOBQ_SCHEDULE_CRON, "cron");
	jobq_schedule_set_options(fcinfo, row);
	jobq_schedule_set_times(row);
	if (PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND) && PG_ARGISNULL(JOBQ_SCHEDULE_QUEUE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a schedule needs either a command or a queue")));
	queue = jobq_schedule_target_queue(fcinfo);
	jobq_schedule_set_target(fcinfo, row, queue);
	if (queue != NULL)
	{
		jobq_payload_check_job(queue, row->values[Anum_schedule_payload - 1]);
		/* which may have dropped it */
		jobq_queue_recheck(queue->id, JOBQ_PRIV_ENQUEUE);
	}
	if (!DatumGetBool(row->values[Anum_schedule_enabled - 1]))
		jobq_schedule_set(row, Anum_schedule_next_run,
						  TimestampTzGetDatum(JOBQ_NEVER));
}

/*
 * Copies what must be kept from an old row into the one that replaces it:
 * identity and past, what alter_schedule() has set, and also next_run if
 * nothing that determines it has changed.
 */
static void
keep_from_old(JobqScheduleRow *row, const JobqScheduleRow *old)
{
	static const AttrNumber kept[] = {
		Anum_schedule_id, Anum_schedule_runs, Anum_schedule_missed_runs,
		Anum_schedule_skipped_runs, Anum_schedule_late_runs,
		Anum_schedule_history, Anum_schedule_created_at,
		Anum_schedule_last_run, Anum_schedule_last_job,
		Anum_schedule_keep_runs, Anum_schedule_catch_up_window
	};

	for (int i = 0; i < lengthof(kept); i++)
	{
		row->values[kept[i] - 1] = old->values[kept[i] - 1];
		row->nulls[kept[i] - 1] = old->nulls[kept[i] - 1];
	}
	jobq_schedule_keep_times(row, old);
}

/* schedule(name, cron, ...): see form_row() for what it raises. */
Datum
jobq_schedule(PG_FUNCTION_ARGS)
{
	Oid			arbiter;
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;
	JobqScheduleRow old;
	char	   *name;
	int64		id = 0;

	jobq_begin_write("jobq.schedule()");
	form_row(fcinfo, &row);
	name = TextDatumGetCString(row.values[Anum_schedule_name - 1]);
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	arbiter = jobq_relation_oid(JOBQ_IDX_SCHEDULE_NAME);
	slot = jobq_table_slot(table);
	for (;;)
	{
		ItemPointerData conflict;

		CHECK_FOR_INTERRUPTS();
		if (jobq_schedule_find(table, slot, name, &old))
		{
			jobq_schedule_check_owner(&old);
			keep_from_old(&row, &old);
			id = DatumGetInt64(row.values[Anum_schedule_id - 1]);
			jobq_table_update(table, slot, row.values, row.nulls);
			break;
		}
		if (id == 0)
			id = jobq_sequence_take(jobq_relation_oid(JOBQ_SEQ_SCHEDULE_ID), 1);
		jobq_schedule_set(&row, Anum_schedule_id, Int64GetDatum(id));

		/*
		 * If another schedule with this name has just been removed, it may
		 * have had a run since form_row(), which must not be repeated.
		 */
		if (DatumGetBool(row.values[Anum_schedule_enabled - 1]))
			jobq_schedule_set(&row, Anum_schedule_next_run,
							  TimestampTzGetDatum(jobq_schedule_next_run_from_now(&row)));
		if (jobq_table_insert_unique(table, arbiter, row.values, row.nulls,
									 &conflict))
			break;
	}
	jobq_schedule_note_next_run(&row);
	jobq_table_close(table);

	/* may have waited for the rows of the queue and the schedule */
	jobq_recheck_function(fcinfo, true);
	jobq_queue_recheck(DatumGetInt32(row.values[Anum_schedule_queue - 1]),
					   JOBQ_PRIV_ENQUEUE);
	PG_RETURN_INT64(id);
}
