/*-------------------------------------------------------------------------
 *
 * schedule_alter.c
 *	  The SQL functions alter_schedule and reset_schedule: options of a
 *	  schedule that say nothing of what it does and when.
 *
 * They are set for a schedule that exists, and stay when schedule() replaces
 * it: what an operator has decided about a schedule is not undone by the
 * script of the next deployment.
 *
 * IDENTIFICATION
 *	  src/schedule_alter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule.h"

#include "arguments.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_alter_schedule);
PG_FUNCTION_INFO_V1(jobq_reset_schedule);

/* Arguments of alter_schedule(). */
enum
{
	ARG_NAME,
	ARG_KEEP_RUNS,
	ARG_CATCH_UP_WINDOW
};

static const char *const keep_runs_words[] = {"all", "errors", NULL};

/*
 * alter_schedule(name, keep_runs, catch_up_window): sets those that are not
 * null.  22004, 22023, and see jobq_schedule_require().
 */
Datum
jobq_alter_schedule(PG_FUNCTION_ARGS)
{
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;

	jobq_begin_write("jobq.alter_schedule()");
	jobq_require_argument(fcinfo, ARG_NAME, "name");
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	jobq_schedule_require(table, slot,
						  text_to_cstring(PG_GETARG_TEXT_PP(ARG_NAME)), &row);
	if (!PG_ARGISNULL(ARG_KEEP_RUNS))
		jobq_schedule_set(&row, Anum_schedule_keep_runs,
						  jobq_word_argument(fcinfo, ARG_KEEP_RUNS,
											 "keep_runs", keep_runs_words));
	if (!PG_ARGISNULL(ARG_CATCH_UP_WINDOW))
	{
		(void) jobq_duration_argument(fcinfo, ARG_CATCH_UP_WINDOW,
									  "catch_up_window", true);
		jobq_schedule_set(&row, Anum_schedule_catch_up_window,
						  PG_GETARG_DATUM(ARG_CATCH_UP_WINDOW));
	}
	jobq_table_update(table, slot, row.values, row.nulls);
	jobq_table_close(table);
	PG_RETURN_VOID();
}

/* Sets the option of that name back to its default; 22023 if there is none. */
static void
reset_option(JobqScheduleRow *row, const char *name)
{
	if (strcmp(name, "keep_runs") == 0)
		jobq_schedule_set(row, Anum_schedule_keep_runs,
						  CStringGetTextDatum(keep_runs_words[0]));
	else if (strcmp(name, "catch_up_window") == 0)
		row->nulls[Anum_schedule_catch_up_window - 1] = true;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized schedule option \"%s\"", name),
				 errhint("Options are: %s.", "keep_runs, catch_up_window")));
}

/* reset_schedule(name, option, ...): back to the defaults. */
Datum
jobq_reset_schedule(PG_FUNCTION_ARGS)
{
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;
	Datum	   *elements;
	int			nelements;

	jobq_begin_write("jobq.reset_schedule()");
	elements = jobq_array_elements("options", PG_GETARG_ARRAYTYPE_P(1),
								   TEXTOID, NULL, &nelements);
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	slot = jobq_table_slot(table);
	jobq_schedule_require(table, slot, text_to_cstring(PG_GETARG_TEXT_PP(0)),
						  &row);
	for (int i = 0; i < nelements; i++)
		reset_option(&row, TextDatumGetCString(elements[i]));
	jobq_table_update(table, slot, row.values, row.nulls);
	jobq_table_close(table);
	PG_RETURN_VOID();
}
