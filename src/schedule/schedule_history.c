/*-------------------------------------------------------------------------
 *
 * schedule_history.c
 *	  The history of schedules' latest runs.
 *
 * Each schedule has a ring of places in jobq_store.schedule_run.  The n-th
 * event of its history overwrites place n modulo the size of the ring, so
 * history is bounded without searching for old rows; schedule.history is n.
 * The lock of the schedule's row protects both.  Consecutive skipped runs
 * share a row, so that a job that runs for hours does not push everything else
 * out.
 *
 * With keep_runs => 'errors', successful runs need not be kept, and the next
 * event takes the place of one.  When a run is recorded, the outcome of its
 * job is not known; and the transaction that ends the job cannot change the
 * row, since it must not lock the schedule's row, which would block the
 * coordinator.  So the next event checks the outcome of the latest runs.
 * Until then the view hides successful ones.
 *
 * The view jobq.schedule_runs hides what is older than a year.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_history.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/schedule_history.h"

#include "base/extension.h"
#include "base/table_find.h"
#include "job/ended.h"
#include "job/history.h"
#include "queue/queue.h"
#include "queue/queue_row.h"
#include "schedule/schedule_row.h"
#include "shared/clock.h"
#include "shared/ended_owner.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

/* Events of a schedule that are kept. */
#define EVENTS_KEPT 100

/*
 * Number of latest events searched for one that need not be kept.  More than
 * one, since jobs may overlap, and runs may be skipped while one is running.
 */
#define EVENTS_SEARCHED 10

/* As the view jobq.schedule_runs shows them. */
static const char *const outcome_words[JOBQ_NUM_SCHEDULE_RUN_OUTCOMES + 1] = {
	[JOBQ_SCHEDULE_RUN_ENQUEUED] = "enqueued",
	[JOBQ_SCHEDULE_RUN_SKIPPED] = "skipped",
	[JOBQ_SCHEDULE_RUN_MISSED] = "missed",
	[JOBQ_SCHEDULE_RUN_FAILED] = "failed",
};

static bool
keeps_errors_only(const Datum *schedule)
{
	return jobq_schedule_word(schedule[Anum_schedule_keep_runs - 1],
							  jobq_schedule_keep_runs_words,
							  JOBQ_KEEP_RUNS_ALL) == JOBQ_KEEP_RUNS_ERRORS;
}

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

/* Finds the row of a place, and locks it if it will be written. */
static bool
find_place(JobqScheduleHistory *history, Datum schedule, int place, bool lock)
{
	Oid			index = jobq_relation_oid(JOBQ_IDX_SCHEDULE_RUN);
	ScanKeyData keys[2];
	bool		found;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, schedule);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(place));
	found = lock ?
		jobq_table_find(history->table, index, keys, 2, JOBQ_WAIT,
						history->slot) == JOBQ_FOUND :
		jobq_table_read(history->table, index, keys, 2, history->slot);
	if (found)
		slot_getallattrs(history->slot);
	return found;
}

/* Whether the jobs of a schedule are enqueued into that queue. */
static bool
goes_to(const Datum *schedule, bool is_command, const JobqQueue *queue)
{
	if (!is_command)
		return queue->id == DatumGetInt32(schedule[Anum_schedule_queue - 1]);
	return queue->is_run &&
		queue->owner == DatumGetObjectId(schedule[Anum_schedule_owner - 1]);
}

/*
 * Whether a recorded run of a schedule has that job.  Searches the latest runs
 * first, since it is nearly always one of those.
 */
static bool
has_run(const Datum *schedule, int64 job_id)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	JobqScheduleHistory history;
	bool		found = false;

	jobq_schedule_history_open(&history);
	for (int64 i = n - 1; i >= Max(n - EVENTS_KEPT, 0) && !found; i--)
		found = find_place(&history, schedule[Anum_schedule_id - 1],
						   (int) (i % EVENTS_KEPT), false) &&
			!history.slot->tts_isnull[Anum_schedule_run_job - 1] &&
			DatumGetInt64(history.slot->tts_values[Anum_schedule_run_job - 1]) ==
			job_id;
	jobq_schedule_history_close(&history);
	return found;
}

/* The next run of a schedule may wait for the end of its last job. */
static void
note_end(const Datum *schedule, const bool *nulls, int64 job_id)
{
	if (!nulls[Anum_schedule_last_job - 1] &&
		DatumGetInt64(schedule[Anum_schedule_last_job - 1]) == job_id)
		jobq_at_commit_scheduled_job_end(DatumGetObjectId(schedule[Anum_schedule_owner - 1]));
}

/* Whether a completed job of the schedule should leave no trace. */
static bool
is_needless(const Datum *schedule, const bool *nulls, const JobqQueue *queue,
			int64 job_id)
{
	return keeps_errors_only(schedule) &&
		goes_to(schedule, !nulls[Anum_schedule_command - 1], queue) &&
		jobq_queue_allows(queue,
						  DatumGetObjectId(schedule[Anum_schedule_owner - 1]),
						  JOBQ_PRIV_MANAGE) &&
		has_run(schedule, job_id);
}

/*
 * A job that names a schedule ends.  The name comes from a header that any user
 * may set when enqueueing, so the schedule must know the job.  Whether jobs are
 * kept is up to the roles that manage the queue.
 */
static bool
follow_end(const char *name, int64 job_id, const JobqQueue *queue)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_SCHEDULE);
	TupleTableSlot *slot = jobq_table_slot(table);
	bool		result = false;

	if (jobq_table_read_name(table, JOBQ_IDX_SCHEDULE_NAME, name, slot))
	{
		slot_getallattrs(slot);
		note_end(slot->tts_values, slot->tts_isnull, job_id);
		result = queue != NULL &&
			is_needless(slot->tts_values, slot->tts_isnull, queue, job_id);
	}
	jobq_table_close(table);
	return result;
}

/* Whether the row of a place belongs to a run whose job has succeeded. */
static bool
has_succeeded(TupleTableSlot *slot, JobqTable *jobs, TupleTableSlot *job_slot)
{
	int64		id = DatumGetInt64(slot->tts_values[Anum_schedule_run_job - 1]);
	JobqJob		job;
	JobqState	state;

	return !slot->tts_isnull[Anum_schedule_run_job - 1] &&
		!jobq_job_find(jobs, id, job_slot, &job) &&
		(!jobq_history_read_state(id, &state) ||
		 state == JOBQ_STATE_COMPLETED);
}

/* Finds the place of one of the latest runs that need not be kept, or -1. */
static int
find_needless_place(JobqScheduleHistory *history, const Datum *schedule)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	JobqTable  *jobs;
	TupleTableSlot *job_slot;
	int			place = -1;

	if (!keeps_errors_only(schedule))
		return -1;
	jobs = jobq_table_open(JOBQ_REL_JOB);
	job_slot = jobq_table_slot(jobs);
	for (int64 i = n - 1; i >= Max(n - EVENTS_SEARCHED, 0) && place < 0; i--)
	{
		if (find_place(history, schedule[Anum_schedule_id - 1],
					   (int) (i % EVENTS_KEPT), false) &&
			has_succeeded(history->slot, jobs, job_slot))
			place = (int) (i % EVENTS_KEPT);
	}
	jobq_table_close(jobs);
	return place;
}

/* Whether the row of a place is of runs that were skipped for that reason. */
static bool
is_skipped(TupleTableSlot *slot, const char *reason)
{
	const Datum *values = slot->tts_values;

	return jobq_schedule_word(values[Anum_schedule_run_outcome - 1],
							  outcome_words, -1) == JOBQ_SCHEDULE_RUN_SKIPPED &&
		strcmp(TextDatumGetCString(values[Anum_schedule_run_reason - 1]),
			   reason) == 0;
}

/*
 * Finds and locks the row of runs that were skipped for the same reason as
 * this one.  The reason names the unfinished job: if it is another one, there
 * was a run in between.  The row is that of the latest event, or of an earlier
 * place if a successful run has freed it.
 */
static bool
find_skipped(JobqScheduleHistory *history, const Datum *schedule,
			 const char *reason)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	int			searched = keeps_errors_only(schedule) ? EVENTS_SEARCHED : 1;

	for (int64 i = n - 1; i >= Max(n - searched, 0); i--)
	{
		int			place = (int) (i % EVENTS_KEPT);

		if (find_place(history, schedule[Anum_schedule_id - 1], place, false) &&
			is_skipped(history->slot, reason))
			return find_place(history, schedule[Anum_schedule_id - 1], place,
							  true);
	}
	return false;
}

/* Adds skipped runs to those skipped right before them, if any. */
static bool
extend_skipped(JobqScheduleHistory *history, const Datum *schedule,
			   const JobqScheduleEvent *event)
{
	TupleTableSlot *slot = history->slot;
	Datum		values[Natts_schedule_run];
	bool		nulls[Natts_schedule_run];
	int64		runs;

	if (event->outcome != JOBQ_SCHEDULE_RUN_SKIPPED ||
		!find_skipped(history, schedule, event->reason))
		return false;
	memcpy(values, slot->tts_values, sizeof(values));
	memcpy(nulls, slot->tts_isnull, sizeof(nulls));
	runs = DatumGetInt64(values[Anum_schedule_run_runs - 1]) + event->runs;
	values[Anum_schedule_run_runs - 1] = Int64GetDatum(runs);
	values[Anum_schedule_run_last_slot - 1] = TimestampTzGetDatum(event->last);
	values[Anum_schedule_run_fired_at - 1] = TimestampTzGetDatum(jobq_now());
	jobq_table_update(history->table, slot, values, nulls);
	return true;
}

/* Records the outcome of runs, and counts the event in the schedule. */
void
jobq_schedule_history_add(JobqScheduleHistory *history, Datum *schedule,
						  const JobqScheduleEvent *event)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	int			place;
	bool		taken;
	Datum		values[Natts_schedule_run] = {0};
	bool		nulls[Natts_schedule_run] = {0};

	if (extend_skipped(history, schedule, event))
		return;
	place = find_needless_place(history, schedule);
	taken = place >= 0;
	if (!taken)
	{
		/* the places of the first round are empty */
		place = (int) (n % EVENTS_KEPT);
		taken = n >= EVENTS_KEPT;
		schedule[Anum_schedule_history - 1] = Int64GetDatum(n + 1);
	}
	values[Anum_schedule_run_schedule - 1] = schedule[Anum_schedule_id - 1];
	values[Anum_schedule_run_runs - 1] = Int64GetDatum(event->runs);
	values[Anum_schedule_run_slot - 1] = TimestampTzGetDatum(event->first);
	values[Anum_schedule_run_last_slot - 1] = TimestampTzGetDatum(event->last);
	values[Anum_schedule_run_fired_at - 1] = TimestampTzGetDatum(jobq_now());
	values[Anum_schedule_run_place - 1] = Int32GetDatum(place);
	values[Anum_schedule_run_caught_up - 1] = BoolGetDatum(event->caught_up);
	values[Anum_schedule_run_outcome - 1] =
		CStringGetTextDatum(outcome_words[event->outcome]);
	values[Anum_schedule_run_job - 1] = Int64GetDatum(event->job);
	nulls[Anum_schedule_run_job - 1] = event->job == 0;
	nulls[Anum_schedule_run_reason - 1] = event->reason == NULL;
	if (event->reason != NULL)
		values[Anum_schedule_run_reason - 1] =
			CStringGetTextDatum(event->reason);

	if (taken &&
		find_place(history, schedule[Anum_schedule_id - 1], place, true))
		jobq_table_update(history->table, history->slot, values, nulls);
	else
		jobq_table_insert(history->table, values, nulls);
}

/* Removes the history of a schedule that is being removed. */
void
jobq_schedule_history_remove(const Datum *schedule)
{
	int64		n = DatumGetInt64(schedule[Anum_schedule_history - 1]);
	JobqScheduleHistory history;

	jobq_schedule_history_open(&history);
	for (int place = 0; place < Min(n, EVENTS_KEPT); place++)
	{
		if (find_place(&history, schedule[Anum_schedule_id - 1], place, true))
			jobq_table_delete(history.table, history.slot);
	}
	jobq_schedule_history_close(&history);
}

/* Called once, by _PG_init. */
void
jobq_schedule_history_init(void)
{
	jobq_ended_follow_schedules(follow_end);
}
