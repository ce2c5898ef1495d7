/*-------------------------------------------------------------------------
 *
 * schedule_history.c
 *	  What became of the latest runs of schedules.
 *
 * Each schedule has a ring of places in jobq_store.schedule_run.  The n-th
 * event of its history is written to place n modulo the size of the ring, over
 * the one that was there, so that history is bounded without anything that
 * looks for old rows; schedule.history is n.  The same lock guards both: that
 * of the schedule's row.  Runs that are left out one after the other share a
 * row, lest a job that runs for hours pushes everything else out.
 *
 * The view jobq.schedule_runs hides what is older than a year.
 *
 * IDENTIFICATION
 *	  src/schedule_history.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Events of a schedule that are kept. */
#define EVENTS_KEPT 100

void
jobq_schedule_history_open(JobqScheduleHistory *history)
{
	history->table = jobq_table_open(JOBQ_REL_SCHEDULE_RUN);
	history->slot = jobq_table_slot(history->table);
}

void
jobq_schedule_history_close(JobqScheduleHistory *history)
{
	jobq_table_close(history->table);
}

/* Finds the row of a place, and locks it. */
static bool
find_place(JobqScheduleHistory *history, Datum schedule, int place)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, schedule);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(place));
	if (jobq_table_find(history->table, jobq_relation_oid(JOBQ_IDX_SCHEDULE_RUN),
						keys, 2, JOBQ_WAIT, history->slot) != JOBQ_FOUND)
		return false;
	slot_getallattrs(history->slot);
	return true;
}

/*
 * Adds runs that were skipped to the latest event, if that is of the same
 * kind.
 */
static bool
extend_latest(JobqScheduleHistory *history, const Datum *schedule,
			  const JobqScheduleEvent *event)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	TupleTableSlot *slot = history->slot;
	Datum		values[Natts_schedule_run];
	bool		nulls[Natts_schedule_run];
	int64		runs;

	if (strcmp(event->outcome, "skipped") != 0 || n == 0 ||
		!find_place(history, schedule[Anum_schedule_id - 1],
					(int) ((n - 1) % EVENTS_KEPT)))
		return false;
	memcpy(values, slot->tts_values, sizeof(values));
	memcpy(nulls, slot->tts_isnull, sizeof(nulls));
	if (strcmp(TextDatumGetCString(values[Anum_schedule_run_outcome - 1]),
			   event->outcome) != 0)
		return false;
	runs = DatumGetInt64(values[Anum_schedule_run_runs - 1]) + event->runs;
	values[Anum_schedule_run_runs - 1] = Int64GetDatum(runs);
	values[Anum_schedule_run_last_slot - 1] = TimestampTzGetDatum(event->last);
	values[Anum_schedule_run_fired_at - 1] = TimestampTzGetDatum(jobq_now());
	jobq_table_update(history->table, slot, values, nulls);
	return true;
}

/* Writes down what has become of runs, and counts it in the schedule. */
void
jobq_schedule_history_add(JobqScheduleHistory *history, Datum *schedule,
						  const JobqScheduleEvent *event)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	int			place = (int) (n % EVENTS_KEPT);
	Datum		values[Natts_schedule_run] = {0};
	bool		nulls[Natts_schedule_run] = {0};

	if (extend_latest(history, schedule, event))
		return;
	values[Anum_schedule_run_schedule - 1] = schedule[Anum_schedule_id - 1];
	values[Anum_schedule_run_runs - 1] = Int64GetDatum(event->runs);
	values[Anum_schedule_run_slot - 1] = TimestampTzGetDatum(event->first);
	values[Anum_schedule_run_last_slot - 1] = TimestampTzGetDatum(event->last);
	values[Anum_schedule_run_fired_at - 1] = TimestampTzGetDatum(jobq_now());
	values[Anum_schedule_run_place - 1] = Int32GetDatum(place);
	values[Anum_schedule_run_caught_up - 1] = BoolGetDatum(event->caught_up);
	values[Anum_schedule_run_outcome - 1] =
		CStringGetTextDatum(event->outcome);
	values[Anum_schedule_run_job - 1] = Int64GetDatum(event->job);
	nulls[Anum_schedule_run_job - 1] = event->job == 0;
	nulls[Anum_schedule_run_reason - 1] = event->reason == NULL;
	if (event->reason != NULL)
		values[Anum_schedule_run_reason - 1] =
			CStringGetTextDatum(event->reason);

	/* the places of the first round are empty */
	if (n >= EVENTS_KEPT &&
		find_place(history, schedule[Anum_schedule_id - 1], place))
		jobq_table_update(history->table, history->slot, values, nulls);
	else
		jobq_table_insert(history->table, values, nulls);
	schedule[Anum_schedule_history - 1] = Int64GetDatum(n + 1);
}

/* Removes the history of a schedule that is to be removed. */
void
jobq_schedule_history_remove(const Datum *schedule)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	JobqScheduleHistory history;

	jobq_schedule_history_open(&history);
	for (int place = 0; place < Min(n, EVENTS_KEPT); place++)
	{
		if (find_place(&history, schedule[Anum_schedule_id - 1], place))
			jobq_table_delete(history.table, history.slot);
	}
	jobq_schedule_history_close(&history);
}
