/*-------------------------------------------------------------------------
 *
 * schedule_row.c
 *	  Rows of jobq_store.schedule.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/schedule_row.h"

#include "base/closest.h"
#include "base/extension.h"
#include "base/rights.h"
#include "base/table_find.h"
#include "jobq.h"
#include "schedule/timetable.h"
#include "shared/clock.h"
#include "shared/wake.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

const char *const jobq_schedule_missed_words[] = {
	[JOBQ_MISSED_SKIP] = "skip",
	[JOBQ_MISSED_ONCE] = "once",
	[JOBQ_MISSED_ALL] = "all",
	[JOBQ_NUM_MISSED] = NULL
};

const char *const jobq_schedule_overlap_words[] = {
	[JOBQ_OVERLAP_SKIP] = "skip",
	[JOBQ_OVERLAP_ALLOW] = "allow",
	[JOBQ_OVERLAP_QUEUE] = "queue",
	[JOBQ_OVERLAP_CANCEL] = "cancel",
	[JOBQ_NUM_OVERLAPS] = NULL
};

const char *const jobq_schedule_keep_runs_words[] = {
	[JOBQ_KEEP_RUNS_ALL] = "all",
	[JOBQ_KEEP_RUNS_ERRORS] = "errors",
	[JOBQ_NUM_KEEP_RUNS] = NULL
};

int
jobq_schedule_word(Datum value, const char *const *words, int otherwise)
{
	const text *word = DatumGetTextPP(value);
	size_t		length = VARSIZE_ANY_EXHDR(word);

	for (int i = 0; words[i] != NULL; i++)
	{
		if (strlen(words[i]) == length &&
			memcmp(words[i], VARDATA_ANY(word), length) == 0)
			return i;
	}
	return otherwise;
}

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

/* Reads the row in the slot; it is valid as long as the slot holds it. */
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
	if (!jobq_table_lock_name(table, JOBQ_IDX_SCHEDULE_NAME, name, slot))
		return false;
	read_row(slot, row);
	return true;
}

/* Whether the user may change a schedule of that owner. */
static bool
may_change(Oid owner)
{
	return has_privs_of_role(GetUserId(), owner) ||
		jobq_is_administrator(GetUserId());
}

/*
 * Raises 42501 unless the user may change the schedule.  The row is locked;
 * this is called after any waits.
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

/* The next_run of a schedule that is enabled now. */
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

/* Notifies the coordinator of the schedule's next run. */
void
jobq_schedule_note_next_run(const JobqScheduleRow *row)
{
	if (jobq_schedule_next_run(row) != JOBQ_NEVER)
		jobq_at_commit_schedule(jobq_schedule_next_run(row));
}

/*
 * Writes the changed row of a locked schedule.  If it was waiting for a job, the
 * coordinator decides that again.
 */
void
jobq_schedule_write(JobqTable *table, TupleTableSlot *slot,
					JobqScheduleRow *row)
{
	jobq_schedule_set(row, Anum_schedule_waits, BoolGetDatum(false));
	jobq_table_update(table, slot, row->values, row->nulls);
	jobq_schedule_note_next_run(row);
}

/*
 * The name most similar to the given one among the schedules that the user may
 * change.
 */
static const char *
closest_schedule(JobqTable *table, const char *name)
{
	JobqClosest closest;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!jobq_closest_begin(&closest, name))
		return NULL;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = systable_beginscan(table->rel, InvalidOid, false, snapshot, 0,
							  NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		JobqScheduleRow row;

		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(tuple, RelationGetDescr(table->rel), row.values,
						  row.nulls);
		if (may_change(DatumGetObjectId(row.values[Anum_schedule_owner - 1])))
			jobq_closest_consider(&closest,
								  TextDatumGetCString(row.values[Anum_schedule_name - 1]));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return closest.name;
}

/* Raises 42704 for a schedule that does not exist. */
static void
report_missing(JobqTable *table, const char *name)
{
	const char *closest = closest_schedule(table, name);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("schedule \"%s\" does not exist", name),
			 closest == NULL ?
			 errhint("The view jobq.schedules lists those that you may see.") :
			 errhint("Perhaps you meant the schedule \"%s\".", closest)));
}

/*
 * Reads a schedule by name without locking it, for callers that must lock
 * something before it.  Raises 42704 and 42501.  The row is valid until the
 * table is closed.
 */
void
jobq_schedule_peek(JobqTable *table, const char *name, JobqScheduleRow *row)
{
	TupleTableSlot *slot = jobq_table_slot(table);

	if (!jobq_table_read_name(table, JOBQ_IDX_SCHEDULE_NAME, name, slot))
		report_missing(table, name);
	read_row(slot, row);
	jobq_schedule_check_owner(row);
}

/*
 * Looks up a schedule by name, locks its row and reads it.  Raises 42704 if
 * there is no such schedule, and 42501 unless the user may change it.
 */
void
jobq_schedule_require(JobqTable *table, TupleTableSlot *slot,
					  const char *name, JobqScheduleRow *row)
{
	if (!jobq_schedule_find(table, slot, name, row))
		report_missing(table, name);
	jobq_schedule_check_owner(row);
}
