/*-------------------------------------------------------------------------
 *
 * firing.c
 *	  Firing one schedule that is due: which of its runs are enqueued, caught
 *	  up, or left out.
 *
 * Everything that is known to go wrong with a schedule (its owner was dropped,
 * its queue is gone, a privilege was revoked, ...) is checked first and
 * disables the schedule, without an error.
 *
 * Nothing here waits: a schedule whose queue is locked by another transaction,
 * or whose run would have to wait for one, is tried again a little later.
 *
 * IDENTIFICATION
 *	  src/schedule/firing.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/firing.h"

#include "base/extension.h"
#include "guc.h"
#include "job/cancel.h"
#include "job/cancel_request.h"
#include "queue/queue.h"
#include "schedule/schedule_enqueue.h"
#include "schedule/schedule_form.h"
#include "shared/interval.h"

#include "storage/lmgr.h"
#include "utils/builtins.h"

/*
 * Number of missed runs of one schedule that are started before others have
 * their turn.
 */
#define CATCH_UP_BATCH 100

typedef enum Decision
{
	DECISION_FIRE,
	DECISION_SKIP,
	DECISION_WAIT,				/* for the previous run's end */
	DECISION_PUT_OFF			/* it would have to wait for a lock */
} Decision;

TimestampTz
jobq_firing_next_run(const JobqFiring *firing)
{
	return DatumGetTimestampTz(firing->values[Anum_schedule_next_run - 1]);
}

/* Records the outcome of runs. */
static void
note_runs(JobqFiring *firing, const JobqScheduleEvent *event)
{
	jobq_schedule_history_add(&firing->history, firing->values, event);
}

/* The same for one run. */
static void
note_run(JobqFiring *firing, JobqScheduleRunOutcome outcome, TimestampTz slot,
		 const char *reason)
{
	JobqScheduleEvent event = {.outcome = outcome,.reason = reason,.runs = 1};

	event.first = event.last = slot;
	note_runs(firing, &event);
}

static void
count(JobqFiring *firing, AttrNumber attnum, int64 runs)
{
	Datum	   *value = &firing->values[attnum - 1];

	*value = Int64GetDatum(DatumGetInt64(*value) + runs);
}

/* Disables a schedule that cannot fire. */
void
jobq_firing_disable(JobqFiring *firing, const char *problem)
{
	jobq_fire_batch_note_disabled(firing->batch,
								  firing->values[Anum_schedule_name - 1],
								  problem);
	note_run(firing, JOBQ_SCHEDULE_RUN_FAILED, jobq_firing_next_run(firing),
			 problem);
	firing->values[Anum_schedule_enabled - 1] = BoolGetDatum(false);
	firing->values[Anum_schedule_waits - 1] = BoolGetDatum(false);
	firing->values[Anum_schedule_next_run - 1] =
		TimestampTzGetDatum(JOBQ_NEVER);
	firing->values[Anum_schedule_disabled_reason - 1] =
		CStringGetTextDatum(problem);
	firing->nulls[Anum_schedule_disabled_reason - 1] = false;
	jobq_table_update(firing->schedules, firing->slot, firing->values,
					  firing->nulls);
	firing->batch->done++;
}

/*
 * Decides about a due run whose previous run is unfinished.  With missed =>
 * 'all', all missed runs but the first would be skipped or cancel each other;
 * since all of them are wanted, none affects the next run.
 */
static Decision
decide(const JobqFiring *firing, bool caught_up)
{
	bool		makes_up = firing->missed == JOBQ_MISSED_ALL &&
	firing->overlap != JOBQ_OVERLAP_QUEUE;
	bool		last_caught_up = firing->added_caught_up;
	int64		last_job;
	int			pid;

	if (firing->overlap == JOBQ_OVERLAP_ALLOW ||
		firing->nulls[Anum_schedule_last_job - 1] || (makes_up && caught_up))
		return DECISION_FIRE;
	last_job = DatumGetInt64(firing->values[Anum_schedule_last_job - 1]);
	if (last_job != firing->added &&
		!jobq_schedule_job_is_live(firing->jobs, last_job, &last_caught_up))
		return DECISION_FIRE;
	if (makes_up && last_caught_up)
		return DECISION_FIRE;

	switch (firing->overlap)
	{
		case JOBQ_OVERLAP_QUEUE:
			return DECISION_WAIT;
		case JOBQ_OVERLAP_CANCEL:
			if (jobq_cancel_is_busy(last_job, &pid))
			{
				jobq_fire_batch_put_off(firing->batch, jobq_firing_next_run(firing), pid);
				return DECISION_PUT_OFF;
			}
			(void) jobq_cancel_or_request(last_job,
										  "the schedule's next run is due");
			return DECISION_FIRE;
		default:
			return DECISION_SKIP;
	}
}

/*
 * How late a run may still be started, in microseconds.  A run that is not
 * late has not been missed, however short the window is.
 */
static int64
lateness_allowed(const JobqFiring *firing)
{
	Datum		own = firing->values[Anum_schedule_catch_up_window - 1];
	int64		window = jobq_catch_up_window * USECS_PER_SEC;

	if (firing->missed == JOBQ_MISSED_SKIP)
		window = 0;
	else if (!firing->nulls[Anum_schedule_catch_up_window - 1])
		window = jobq_interval_microseconds(DatumGetIntervalP(own));
	return Max(window, JOBQ_SCHEDULE_LATE_AFTER);
}

/*
 * The first due run to consider: next_run, unless some runs have been missed.
 * `latest` is the last due run.  The result is after now if all of them are
 * too late.
 */
static TimestampTz
first_slot(const JobqFiring *firing, TimestampTz latest)
{
	TimestampTz now = firing->batch->turns.now;
	TimestampTz oldest = now - lateness_allowed(firing);
	TimestampTz next_run = jobq_firing_next_run(firing);

	if (latest < oldest)
		return jobq_timetable_next(&firing->timetable, now);
	if (firing->missed != JOBQ_MISSED_ALL)
		return latest;
	return next_run >= oldest ? next_run :
		jobq_timetable_next(&firing->timetable, oldest - 1);
}

/*
 * Records that the due runs before `slot`, the first run to consider, have
 * been missed.
 */
static void
note_missed(JobqFiring *firing, TimestampTz slot)
{
	JobqScheduleEvent event = {.outcome = JOBQ_SCHEDULE_RUN_MISSED};

	event.first = jobq_firing_next_run(firing);
	if (slot <= event.first)
		return;
	event.last = jobq_timetable_latest(&firing->timetable, event.first,
									   Min(slot - 1, firing->batch->turns.now));
	event.runs = jobq_timetable_count(&firing->timetable, event.first,
									  event.last);
	count(firing, Anum_schedule_missed_runs, event.runs);
	note_runs(firing, &event);
}

/* Skips a run because of the previous one. */
static void
note_skipped(JobqFiring *firing, TimestampTz slot)
{
	int64		last_job =
	DatumGetInt64(firing->values[Anum_schedule_last_job - 1]);

	count(firing, Anum_schedule_skipped_runs, 1);
	note_run(firing, JOBQ_SCHEDULE_RUN_SKIPPED, slot,
			 psprintf("job " INT64_FORMAT " was not finished", last_job));
}

/* Adds the job of a run, and stores it in the values of the row. */
static void
add_job(JobqFiring *firing, TimestampTz slot, bool late, bool caught_up)
{
	Datum	   *values = firing->values;
	JobqScheduleEvent event = {
		.outcome = JOBQ_SCHEDULE_RUN_ENQUEUED,.runs = 1,
		.caught_up = caught_up
	};

	firing->added = jobq_schedule_enqueue(firing->jobs, firing->queue, values,
										  firing->nulls, slot, caught_up);
	firing->added_caught_up = caught_up;
	jobq_fire_batch_count_bytes(firing->batch,
								DatumGetObjectId(values[Anum_schedule_owner - 1]),
								jobq_schedule_copied_bytes(values,
														   firing->nulls));
	count(firing, Anum_schedule_runs, 1);
	if (late)
		count(firing, Anum_schedule_late_runs, 1);
	event.first = event.last = slot;
	event.job = firing->added;
	note_runs(firing, &event);
	values[Anum_schedule_last_run - 1] = TimestampTzGetDatum(slot);
	firing->nulls[Anum_schedule_last_run - 1] = false;
	values[Anum_schedule_last_job - 1] = Int64GetDatum(firing->added);
	firing->nulls[Anum_schedule_last_job - 1] = false;
}

/* Writes the row, with the run that is due next, and whether that waits. */
static void
write_row(JobqFiring *firing, TimestampTz next_run, bool waits)
{
	Datum	   *values = firing->values;

	values[Anum_schedule_next_run - 1] = TimestampTzGetDatum(next_run);
	values[Anum_schedule_waits - 1] = BoolGetDatum(waits);
	firing->batch->turn->waits = waits;
	jobq_table_update(firing->schedules, firing->slot, values, firing->nulls);
}

/*
 * Adds the jobs of due runs from `slot` on, until one cannot be decided now, or
 * it is the turn of others.  Returns the next run, and the last decision;
 * `latest` is the last due run.
 */
static TimestampTz
fire_runs(JobqFiring *firing, TimestampTz slot, TimestampTz latest,
		  int *nslots, Decision *decision)
{
	JobqFireBatch *batch = firing->batch;
	Datum	   *values = firing->values;
	Oid			owner = DatumGetObjectId(values[Anum_schedule_owner - 1]);
	TimestampTz first = slot;

	while (slot <= batch->turns.now && *nslots < CATCH_UP_BATCH &&
		   (*nslots == 0 || !jobq_fire_batch_has_served(batch, owner)))
	{
		bool		late = slot < batch->turns.now - JOBQ_SCHEDULE_LATE_AFTER;
		bool		caught_up = late || slot < latest;

		*decision = decide(firing, caught_up);
		if (*decision == DECISION_WAIT || *decision == DECISION_PUT_OFF)
			break;
		if ((*nslots)++ == 0)
			note_missed(firing, first);
		if (*decision == DECISION_FIRE)
			add_job(firing, slot, late, caught_up);
		else
			note_skipped(firing, slot);
		if (jobq_schedule_is_exhausted(values, firing->nulls))
			slot = JOBQ_NEVER;
		else
			slot = jobq_timetable_next(&firing->timetable,
									   firing->missed == JOBQ_MISSED_ALL ?
									   slot : batch->turns.now);
	}
	return slot;
}

/*
 * Adds the jobs of the runs that are due, and updates the row.  If the first
 * one has to wait, next_run stays as it is: which runs were missed is decided
 * afterwards.
 */
static void
fire_slots(JobqFiring *firing)
{
	JobqFireBatch *batch = firing->batch;
	TimestampTz next_run = jobq_firing_next_run(firing);
	TimestampTz latest;
	TimestampTz first;
	TimestampTz slot;
	Decision	decision = DECISION_FIRE;
	int			nslots = 0;

	if (next_run > batch->turns.now)
	{
		/* it has waited, and the clock was set back */
		write_row(firing, next_run, false);
		return;
	}
	latest = jobq_timetable_latest(&firing->timetable, next_run,
								   batch->turns.now);
	first = first_slot(firing, latest);
	slot = fire_runs(firing, first, latest, &nslots, &decision);

	/* a schedule that is put off costs no write */
	if (decision == DECISION_PUT_OFF && nslots == 0)
		return;
	batch->done += Max(nslots, 1);
	if (decision == DECISION_WAIT)
	{
		write_row(firing, nslots == 0 ? next_run : slot, true);
		return;
	}
	if (nslots == 0)
		note_missed(firing, first);
	write_row(firing, slot, false);
	if (slot <= batch->turns.now && decision != DECISION_PUT_OFF)
		jobq_fire_batch_leave(batch, slot);
}

void
jobq_firing_read_row(JobqFiring *firing)
{
	slot_getallattrs(firing->slot);
	memcpy(firing->values, firing->slot->tts_values, sizeof(firing->values));
	memcpy(firing->nulls, firing->slot->tts_isnull, sizeof(firing->nulls));
}

/*
 * Locks a queue against being dropped; returns false if it is being dropped.
 */
static bool
lock_queue(int32 queue)
{
	return ConditionalLockDatabaseObject(jobq_relation_oid(JOBQ_REL_QUEUE),
										 queue, 0, AccessShareLock);
}

/*
 * Finds the schedule's queue and locks it against being dropped.  If the
 * schedule cannot fire, now or at all, handles that and returns false.
 */
static bool
find_queue(JobqFiring *firing)
{
	const Datum *values = firing->values;
	bool		is_command = !firing->nulls[Anum_schedule_command - 1];
	Oid			owner = DatumGetObjectId(values[Anum_schedule_owner - 1]);
	char	   *problem;
	int			pid = 0;

	/* do not wait for a queue that is being dropped or created */
	if (is_command ? jobq_queue_run_is_busy(owner, &pid) :
		!lock_queue(DatumGetInt32(values[Anum_schedule_queue - 1])))
	{
		jobq_fire_batch_put_off(firing->batch, jobq_firing_next_run(firing), pid);
		return false;
	}
	firing->queue = jobq_schedule_queue(values, firing->nulls, &problem);
	if (firing->queue == NULL)
	{
		jobq_firing_disable(firing, problem);
		return false;
	}
	if (!is_command)
		return true;
	if (!lock_queue(firing->queue->id))
	{
		jobq_fire_batch_put_off(firing->batch, jobq_firing_next_run(firing), 0);
		return false;
	}
	/* it may have changed before it was locked */
	firing->queue = jobq_schedule_lock_queue(firing->queue, owner);
	return true;
}

JobqScheduleOverlap
jobq_firing_overlap(Datum value)
{
	return jobq_schedule_word(value, jobq_schedule_overlap_words,
							  JOBQ_OVERLAP_SKIP);
}

/*
 * Checks whether the schedule can fire.  If it cannot, now or at all, handles
 * that and returns false.
 */
static bool
prepare_firing(JobqFiring *firing)
{
	const Datum *values = firing->values;
	char	   *problem;

	firing->missed = jobq_schedule_word(values[Anum_schedule_missed - 1],
										jobq_schedule_missed_words,
										JOBQ_MISSED_ONCE);
	firing->overlap = jobq_firing_overlap(values[Anum_schedule_overlap - 1]);
	problem = jobq_timetable_read(&firing->timetable, values, firing->nulls);
	if (problem != NULL)
	{
		jobq_firing_disable(firing, problem);
		return false;
	}
	return find_queue(firing);
}

/* Fires the schedule in firing->slot, locked.  For jobq_subtransaction(). */
void
jobq_firing_fire(void *arg)
{
	JobqFiring *firing = arg;

	jobq_firing_read_row(firing);
	firing->added = 0;
	if (prepare_firing(firing))
		fire_slots(firing);
}
