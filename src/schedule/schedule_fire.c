/*-------------------------------------------------------------------------
 *
 * schedule_fire.c
 *	  What the coordinator does when schedules are due: it adds their jobs
 *	  and moves next_run on.
 *
 * Both happen in one transaction, under the lock of the schedule's row and
 * after a look at its latest version.  So there is one job for each schedule
 * and nominal time, no more and no less, whatever crashes, and even if two
 * servers should take themselves for the coordinator.
 *
 * A batch of schedules runs in one subtransaction.  Everything that is known
 * to go wrong with a schedule (its owner was dropped, its queue is gone, a
 * privilege was revoked, ...) is looked for first and disables the schedule;
 * no error is raised for it.  If an error is raised all the same, the batch
 * is rolled back and done again with a subtransaction for each schedule, so
 * that the one that failed is found and does not stop the others.
 *
 * Nothing is waited for here: a schedule whose row or queue is locked by
 * another transaction, or whose run would have to wait for one, is tried again
 * a little later.  No function of users is called: payloads are checked when a
 * schedule is made.
 *
 * A run that waits for the end of the previous one's job (overlap => 'queue')
 * leaves its schedule as it is.  Whoever ends a job that belongs to a schedule
 * wakes the coordinator after commit if schedules_wait is set (wake.c).  It is
 * set here before the snapshot is taken by which is decided that a run has
 * to wait: so either that snapshot sees the job's end, or the one who ends it
 * sees the flag.
 *
 * The index on next_run has dead entries at its low end, one for each run,
 * which cannot be removed while some snapshot needs them.  So they are passed
 * over: a scan begins where the one before has left nothing behind that is to
 * be fired ("proven").  That is exact since every transaction that writes a
 * next_run lowers schedules_low after its commit: it was either visible to
 * the scan, or lowers the beginning of the next one.  What callbacks do not
 * tell (COMMIT PREPARED, start(), ...) changes the database's generation, and
 * has everything looked at; and so does FULL_SCAN_INTERVAL, for rows that came
 * by another way than jobq's functions.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_fire.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/schedule_fire.h"

#include "base/catalog.h"
#include "base/subtransaction.h"
#include "compat.h"
#include "guc.h"
#include "job/cancel.h"
#include "job/cancel_request.h"
#include "queue/queue.h"
#include "queue/queue_row.h"
#include "schedule/schedule_enqueue.h"
#include "schedule/schedule_history.h"
#include "schedule/schedule_row.h"
#include "schedule/timetable.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/interval.h"
#include "shared/late.h"
#include "shared/xact_end.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/relscan.h"
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Runs of one schedule that are made up for before others have their turn. */
#define CATCH_UP_BATCH 100

/*
 * What is longer than this takes the longer to copy into a job the longer it
 * is.  An owner has the jobs of one go made up to so many bytes of it, and all
 * owners together up to so many, before other tasks have their turn.
 */
#define LONG_BYTES 8192
#define OWNER_BYTES (1024 * 1024)
#define MAX_BYTES (4 * OWNER_BYTES)

/* When to look again at a schedule that has failed. */
#define FAILED_DELAY (10 * USECS_PER_SEC)

/*
 * When to look again whether the previous run is finished, if nobody says so:
 * its job may be deleted by something else than jobq's functions.
 */
#define WAIT_DELAY (60 * USECS_PER_SEC)

/* Everything is looked at that often, if anything is done at all. */
#define FULL_SCAN_INTERVAL (60 * USECS_PER_SEC)

/* One call of jobq_schedule_fire_due(). */
typedef struct Batch
{
	MemoryContext context;		/* lives as long as the batch */
	MemoryContext row_context;	/* reset after each schedule */
	Snapshot	snapshot;
	TimestampTz now;
	int			limit;
	bool		one_by_one;		/* a subtransaction for each schedule */

	/* results */
	List	   *disabled;		/* of Disabled */
	int			done;			/* what counts towards the limit: not the
								 * schedules that are left out, lest they
								 * leave no room for others */
	int64		bytes;			/* long ones that were copied, */
	List	   *owners;			/* of whom: of OwnerBytes */
	bool		more;
	TimestampTz retry_at;		/* when those left out are tried again */
	TimestampTz left;			/* earliest next_run of those left out */
	bool		waiting;		/* some wait for their previous job's end */
} Batch;

/* How many bytes were copied for an owner. */
typedef struct OwnerBytes
{
	Oid			owner;
	int64		bytes;
} OwnerBytes;

/*
 * How far all that was due has been fired.  If the transaction that has done
 * so is rolled back, it has not been.
 */
typedef struct Progress
{
	TimestampTz proven;
	TimestampTz claimed;		/* proven when the transaction commits */
	bool		claims;			/* it has fired something */
	uint32		generation;
	TimestampTz full_scan;		/* when everything was looked at last */
} Progress;

/* A schedule that was disabled, to be told when the batch is done. */
typedef struct Disabled
{
	char	   *name;
	char	   *problem;
} Disabled;

/* A schedule that is due, its row locked. */
typedef struct Firing
{
	Batch	   *batch;
	JobqTable  *schedules;
	JobqTable  *jobs;
	JobqScheduleHistory history;
	TupleTableSlot *slot;
	Datum		values[Natts_schedule];
	bool		nulls[Natts_schedule];
	JobqTimetable timetable;
	const JobqQueue *queue;
	JobqScheduleMissed missed;
	JobqScheduleOverlap overlap;
	int64		added;			/* id of the last job added now, 0: none */
	bool		added_caught_up;	/* it is that of a run made up for */
} Firing;

typedef enum Decision
{
	DECISION_FIRE,
	DECISION_SKIP,
	DECISION_WAIT,				/* for the previous run's end */
	DECISION_PUT_OFF			/* somebody is in the way */
} Decision;

static Progress progress = {
	.proven = DT_NOBEGIN,.full_scan = DT_NOBEGIN
};

/* Whether a schedule is this database's, and not of one it is a copy of. */
static bool
is_at_home(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetInt64(slot_getattr(slot, Anum_schedule_system_identifier,
									  &isnull)) == jobq_home_identifier() &&
		DatumGetObjectId(slot_getattr(slot, Anum_schedule_database,
									  &isnull)) == MyDatabaseId;
}

/* A schedule still has a run that is due when the batch is done. */
static void
leave(Batch *batch, TimestampTz next_run)
{
	batch->left = Min(batch->left, next_run);
}

/* The schedule stays as it is, to be looked at again after the delay. */
static void
try_later(Batch *batch, TimestampTz next_run, int64 delay)
{
	leave(batch, next_run);
	batch->retry_at = Min(batch->retry_at, batch->now + delay);
}

/* Somebody, whose PID may be known, is in the way of a run. */
static void
put_off(Batch *batch, TimestampTz next_run, int pid)
{
	TimestampTz until = jobq_late_retry(next_run, batch->now);

	try_later(batch, next_run, until - batch->now);
	jobq_late_note(next_run, until, pid);
}

/* The same until the job of its previous run has ended. */
static void
wait_for_job(Batch *batch, TimestampTz next_run)
{
	try_later(batch, next_run, WAIT_DELAY);
	batch->waiting = true;
}

static TimestampTz
next_run_of(const Firing *firing)
{
	return DatumGetTimestampTz(firing->values[Anum_schedule_next_run - 1]);
}

/* Writes down what has become of runs. */
static void
note_runs(Firing *firing, JobqScheduleRunOutcome outcome,
		  TimestampTz first, TimestampTz last, int64 runs, int64 job, bool caught_up,
		  const char *reason)
{
	JobqScheduleEvent event = {outcome, reason, first, last, runs, job,
	caught_up};

	jobq_schedule_history_add(&firing->history, firing->values, &event);
}

static void
count(Firing *firing, AttrNumber attnum, int64 runs)
{
	Datum	   *value = &firing->values[attnum - 1];

	*value = Int64GetDatum(DatumGetInt64(*value) + runs);
}

/* Disables a schedule that cannot fire. */
static void
disable(Firing *firing, const char *problem)
{
	Batch	   *batch = firing->batch;
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);
	Disabled   *disabled = palloc(sizeof(Disabled));

	disabled->name =
		TextDatumGetCString(firing->values[Anum_schedule_name - 1]);
	disabled->problem = pstrdup(problem);
	batch->disabled = lappend(batch->disabled, disabled);
	MemoryContextSwitchTo(oldcontext);

	note_runs(firing, JOBQ_SCHEDULE_RUN_FAILED, next_run_of(firing),
			  next_run_of(firing), 1, 0, false, problem);
	firing->values[Anum_schedule_enabled - 1] = BoolGetDatum(false);
	firing->values[Anum_schedule_next_run - 1] =
		TimestampTzGetDatum(JOBQ_NEVER);
	firing->values[Anum_schedule_disabled_reason - 1] =
		CStringGetTextDatum(problem);
	firing->nulls[Anum_schedule_disabled_reason - 1] = false;
	jobq_table_update(firing->schedules, firing->slot, firing->values,
					  firing->nulls);
	batch->done++;
}

/*
 * What to do about a run that is due, if the previous one is not finished.
 * Runs that missed => 'all' makes up for would all but the first be skipped,
 * or cancel each other; they are wanted all, and none of them is in the way of
 * the run that comes after it.
 */
static Decision
decide(const Firing *firing, bool caught_up)
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
				put_off(firing->batch, next_run_of(firing), pid);
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
 * How late a run may be and still be had, in microseconds.  One that is not
 * late has not been missed, however short the window is.
 */
static int64
lateness_allowed(const Firing *firing)
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
 * The first run to think about, of those that are due: next_run, unless some
 * have been missed.  `latest` is the last one that is due.  After now, if all
 * of them are too late.
 */
static TimestampTz
first_slot(const Firing *firing, TimestampTz latest)
{
	TimestampTz now = firing->batch->now;
	TimestampTz oldest = now - lateness_allowed(firing);
	TimestampTz next_run = next_run_of(firing);

	if (latest < oldest)
		return jobq_timetable_next(&firing->timetable, now);
	if (firing->missed != JOBQ_MISSED_ALL)
		return latest;
	return next_run >= oldest ? next_run :
		jobq_timetable_next(&firing->timetable, oldest - 1);
}

/*
 * The runs that are due before `slot`, where the ones to think about begin,
 * have been missed.
 */
static void
note_missed(Firing *firing, TimestampTz slot)
{
	TimestampTz first = next_run_of(firing);
	TimestampTz last;
	int64		runs;

	if (slot <= first)
		return;
	last = jobq_timetable_latest(&firing->timetable, first,
								 Min(slot - 1, firing->batch->now));
	runs = jobq_timetable_count(&firing->timetable, first, last);
	count(firing, Anum_schedule_missed_runs, runs);
	note_runs(firing, JOBQ_SCHEDULE_RUN_MISSED, first, last, runs, 0, false,
			  NULL);
}

/* A run is left out for the sake of the one before. */
static void
note_skipped(Firing *firing, TimestampTz slot)
{
	int64		last_job =
	DatumGetInt64(firing->values[Anum_schedule_last_job - 1]);

	count(firing, Anum_schedule_skipped_runs, 1);
	note_runs(firing, JOBQ_SCHEDULE_RUN_SKIPPED, slot, slot, 1, 0, false,
			  psprintf("job " INT64_FORMAT " was not finished", last_job));
}

static OwnerBytes *
find_owner(const Batch *batch, Oid owner)
{
	ListCell   *lc;

	foreach(lc, batch->owners)
	{
		if (((OwnerBytes *) lfirst(lc))->owner == owner)
			return lfirst(lc);
	}
	return NULL;
}

/* Counts the bytes of a job that was added, if there are many. */
static void
count_bytes(Firing *firing)
{
	const Datum *values = firing->values;
	Batch	   *batch = firing->batch;
	Oid			owner = DatumGetObjectId(values[Anum_schedule_owner - 1]);
	Size		bytes = toast_raw_datum_size(values[Anum_schedule_payload - 1]);
	OwnerBytes *entry;

	if (!firing->nulls[Anum_schedule_command - 1])
		bytes += toast_raw_datum_size(values[Anum_schedule_command - 1]);
	if (bytes <= LONG_BYTES)
		return;
	batch->bytes += bytes;
	entry = find_owner(batch, owner);
	if (entry == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);

		entry = palloc0(sizeof(OwnerBytes));
		entry->owner = owner;
		batch->owners = lappend(batch->owners, entry);
		MemoryContextSwitchTo(oldcontext);
	}
	entry->bytes += bytes;
}

/* Whether it is the turn of other owners, or other tasks. */
static bool
has_had_its_share(const Batch *batch, Oid owner)
{
	const OwnerBytes *entry;

	if (batch->bytes == 0)
		return false;
	entry = find_owner(batch, owner);
	return batch->bytes >= MAX_BYTES ||
		(entry != NULL && entry->bytes >= OWNER_BYTES);
}

/* Adds the job of a run, and notes it in the values of the row. */
static void
add_job(Firing *firing, TimestampTz slot, bool late, bool caught_up)
{
	Datum	   *values = firing->values;

	firing->added = jobq_schedule_enqueue(firing->jobs, firing->queue, values,
										  firing->nulls, slot, caught_up);
	firing->added_caught_up = caught_up;
	count_bytes(firing);
	count(firing, Anum_schedule_runs, 1);
	if (late)
		count(firing, Anum_schedule_late_runs, 1);
	note_runs(firing, JOBQ_SCHEDULE_RUN_ENQUEUED, slot, slot, 1,
			  firing->added, caught_up, NULL);
	values[Anum_schedule_last_run - 1] = TimestampTzGetDatum(slot);
	firing->nulls[Anum_schedule_last_run - 1] = false;
	values[Anum_schedule_last_job - 1] = Int64GetDatum(firing->added);
	firing->nulls[Anum_schedule_last_job - 1] = false;
}

/* Adds the jobs of the runs that are due, and updates the row. */
static void
fire_slots(Firing *firing)
{
	Batch	   *batch = firing->batch;
	Datum	   *values = firing->values;
	Oid			owner = DatumGetObjectId(values[Anum_schedule_owner - 1]);
	TimestampTz latest;
	TimestampTz first;
	TimestampTz slot;
	bool		waits = false;
	int			nslots = 0;

	latest = jobq_timetable_latest(&firing->timetable, next_run_of(firing),
								   batch->now);
	slot = first = first_slot(firing, latest);
	while (slot <= batch->now && nslots < CATCH_UP_BATCH && !waits &&
		   (nslots == 0 || !has_had_its_share(batch, owner)))
	{
		bool		late = slot < batch->now - JOBQ_SCHEDULE_LATE_AFTER;
		bool		caught_up = late || slot < latest;
		Decision	decision = decide(firing, caught_up);

		if (decision == DECISION_WAIT)
			wait_for_job(batch, nslots == 0 ? next_run_of(firing) : slot);
		waits = decision == DECISION_WAIT || decision == DECISION_PUT_OFF;
		if (waits)
			continue;
		if (nslots++ == 0)
			note_missed(firing, first);
		if (decision == DECISION_FIRE)
			add_job(firing, slot, late, caught_up);
		else
			note_skipped(firing, slot);
		if (jobq_schedule_is_exhausted(values, firing->nulls))
			slot = JOBQ_NEVER;
		else
			slot = jobq_timetable_next(&firing->timetable,
									   firing->missed == JOBQ_MISSED_ALL ?
									   slot : batch->now);
	}

	/* a schedule that waits for its turn costs no write */
	if (waits && nslots == 0)
		return;
	if (nslots == 0)
		note_missed(firing, first);
	values[Anum_schedule_next_run - 1] = TimestampTzGetDatum(slot);
	jobq_table_update(firing->schedules, firing->slot, values, firing->nulls);
	batch->done += Max(nslots, 1);
	if (slot <= batch->now && !waits)
	{
		leave(batch, slot);
		batch->more = true;
	}
}

static void
read_row(Firing *firing)
{
	slot_getallattrs(firing->slot);
	memcpy(firing->values, firing->slot->tts_values, sizeof(firing->values));
	memcpy(firing->nulls, firing->slot->tts_isnull, sizeof(firing->nulls));
}

/* Keeps a queue from being dropped; false if somebody is just doing that. */
static bool
lock_queue(int32 queue)
{
	return ConditionalLockDatabaseObject(jobq_relation_oid(JOBQ_REL_QUEUE),
										 queue, 0, AccessShareLock);
}

/*
 * Finds the schedule's queue and keeps it from being dropped.  False if the
 * schedule cannot fire, now or at all; what follows from that is done.
 */
static bool
find_queue(Firing *firing)
{
	const Datum *values = firing->values;
	bool		is_command = !firing->nulls[Anum_schedule_command - 1];
	Oid			owner = DatumGetObjectId(values[Anum_schedule_owner - 1]);
	char	   *problem;
	int			pid = 0;

	/* who drops a queue, or is making a role's first one, is not waited for */
	if (is_command ? jobq_queue_run_is_busy(owner, &pid) :
		!lock_queue(DatumGetInt32(values[Anum_schedule_queue - 1])))
	{
		put_off(firing->batch, next_run_of(firing), pid);
		return false;
	}
	firing->queue = jobq_schedule_queue(values, firing->nulls, &problem);
	if (firing->queue == NULL)
	{
		disable(firing, problem);
		return false;
	}
	if (is_command && !lock_queue(firing->queue->id))
	{
		put_off(firing->batch, next_run_of(firing), 0);
		return false;
	}
	return true;
}

static JobqScheduleOverlap
overlap_of(Datum value)
{
	return jobq_schedule_word(value, jobq_schedule_overlap_words,
							  JOBQ_OVERLAP_SKIP);
}

/*
 * Looks whether the schedule can fire.  False if it cannot, now or at all;
 * what follows from that is done.
 */
static bool
prepare_firing(Firing *firing)
{
	const Datum *values = firing->values;
	char	   *problem;

	firing->missed = jobq_schedule_word(values[Anum_schedule_missed - 1],
										jobq_schedule_missed_words,
										JOBQ_MISSED_ONCE);
	firing->overlap = overlap_of(values[Anum_schedule_overlap - 1]);
	problem = jobq_timetable_read(&firing->timetable, values, firing->nulls);
	if (problem != NULL)
	{
		disable(firing, problem);
		return false;
	}
	return find_queue(firing);
}

/* Fires the schedule in firing->slot, locked.  For jobq_subtransaction(). */
static void
fire_row(void *arg)
{
	Firing	   *firing = arg;

	read_row(firing);
	firing->added = 0;
	if (prepare_firing(firing))
		fire_slots(firing);
}

/*
 * The same with tables of its own, since an aborted subtransaction leaves
 * those that it has used unusable.
 */
static void
fire_row_alone(void *arg)
{
	Firing	   *firing = arg;
	Firing		alone = *firing;

	alone.schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	alone.jobs = jobq_table_open(JOBQ_REL_JOB);
	jobq_schedule_history_open(&alone.history);
	fire_row(&alone);
	jobq_schedule_history_close(&alone.history);
	jobq_table_close(alone.jobs);
	jobq_table_close(alone.schedules);
}

/*
 * A schedule has raised an error.  Disables it, unless the reason is one that
 * will pass.
 */
static void
handle_failure(Firing *firing, const ErrorData *error)
{
	const char *name;

	read_row(firing);
	name = TextDatumGetCString(firing->values[Anum_schedule_name - 1]);
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		put_off(firing->batch, next_run_of(firing), 0);
		return;
	}
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_SYSTEM_ERROR:
			ereport(WARNING,
					(errmsg("schedule \"%s\" could not run and will be tried again",
							name),
					 errdetail_internal("%s", error->message)));
			try_later(firing->batch, next_run_of(firing), FAILED_DELAY);
			break;
		default:
			disable(firing, error->message);
			break;
	}
}

static Relation
open_next_run_index(void)
{
	return index_open(jobq_relation_oid(JOBQ_IDX_SCHEDULE_NEXT_RUN),
					  AccessShareLock);
}

/*
 * Whether the run that is due has to wait for the previous one, as the
 * snapshot sees them: then its row need not be locked.
 */
static bool
has_to_wait(JobqTable *jobs, TupleTableSlot *due)
{
	bool		isnull;
	Datum		last_job = slot_getattr(due, Anum_schedule_last_job, &isnull);

	return !isnull &&
		overlap_of(slot_getattr(due, Anum_schedule_overlap,
								&isnull)) == JOBQ_OVERLAP_QUEUE &&
		jobq_schedule_job_is_live(jobs, DatumGetInt64(last_job), NULL);
}

/* Fires a schedule that is due, if it can be locked. */
static void
fire_schedule(Firing *firing, TupleTableSlot *due, TimestampTz next_run)
{
	Batch	   *batch = firing->batch;
	ErrorData  *error;

	if (has_to_wait(firing->jobs, due))
	{
		wait_for_job(batch, next_run);
		return;
	}

	/* one that is being changed, or just was, is still due perhaps */
	if (jobq_table_lock(firing->schedules, &due->tts_tid, batch->snapshot,
						firing->slot) != JOBQ_FOUND)
	{
		put_off(batch, next_run, jobq_row_holder(firing->slot));
		return;
	}
	if (!batch->one_by_one)
		fire_row(firing);
	else if ((error = jobq_subtransaction(fire_row_alone, firing)) != NULL)
		handle_failure(firing, error);
}

/*
 * Fires the schedules that are due, up to the limit.  For
 * jobq_subtransaction().
 */
static void
fire_batch(void *arg)
{
	Batch	   *batch = arg;
	Firing	   *firing = palloc0(sizeof(Firing));
	Relation	index = open_next_run_index();
	MemoryContext oldcontext = CurrentMemoryContext;
	TupleTableSlot *due;
	IndexScanDesc scan;
	ScanKeyData keys[2];

	firing->batch = batch;
	firing->schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	firing->jobs = jobq_table_open(JOBQ_REL_JOB);
	jobq_schedule_history_open(&firing->history);
	firing->slot = jobq_table_slot(firing->schedules);
	due = jobq_table_slot(firing->schedules);
	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(progress.proven));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(batch->now));
	scan = jobq_index_beginscan(firing->schedules->rel, index, batch->snapshot,
								2);
	index_rescan(scan, keys, 2, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, due))
	{
		TimestampTz next_run;
		Oid			owner;
		bool		isnull;
		bool		full;

		CHECK_FOR_INTERRUPTS();
		if (!is_at_home(due))
			continue;
		next_run = DatumGetTimestampTz(slot_getattr(due,
													Anum_schedule_next_run,
													&isnull));
		owner = DatumGetObjectId(slot_getattr(due, Anum_schedule_owner,
											  &isnull));
		full = batch->done >= batch->limit || batch->bytes >= MAX_BYTES;
		if (full || has_had_its_share(batch, owner))
		{
			leave(batch, next_run);
			batch->more = true;
			if (full)
				break;
			continue;
		}
		MemoryContextSwitchTo(batch->row_context);
		fire_schedule(firing, due, next_run);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(batch->row_context);
	}
	index_endscan(scan);
	index_close(index, NoLock);
	jobq_schedule_history_close(&firing->history);
	jobq_table_close(firing->jobs);
	jobq_table_close(firing->schedules);
}

/*
 * The next_run of the schedule that is due first, of those that are due at the
 * given time or after it; JOBQ_NEVER if there is none.
 */
static TimestampTz
earliest_run(TimestampTz from)
{
	JobqTable  *schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	Relation	index = open_next_run_index();
	TupleTableSlot *slot = jobq_table_slot(schedules);
	TimestampTz result = JOBQ_NEVER;
	Snapshot	snapshot;
	IndexScanDesc scan;
	ScanKeyData key;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(from));
	scan = jobq_index_beginscan(schedules->rel, index, snapshot, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (!is_at_home(slot))
			continue;
		result = DatumGetTimestampTz(slot_getattr(slot,
												  Anum_schedule_next_run,
												  &isnull));
		break;
	}
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	jobq_table_close(schedules);
	return result;
}

static void
report_disabled(const List *schedules)
{
	ListCell   *lc;

	foreach(lc, schedules)
	{
		const Disabled *disabled = lfirst(lc);

		ereport(WARNING,
				(errmsg("schedule \"%s\" was disabled", disabled->name),
				 errdetail("In database \"%s\": %s",
						   get_database_name(MyDatabaseId),
						   disabled->problem),
				 errhint("When that is settled, use jobq.enable_schedule().")));
	}
}

/*
 * What was fired has been fired if the transaction commits.  No XID is kept to
 * ask by: it would mean nothing any more when pg_xact has been truncated.
 */
static void
at_transaction_end(XactEvent event)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (progress.claims && event == XACT_EVENT_COMMIT)
		progress.proven = progress.claimed;
	progress.claims = false;
}

/*
 * Finds out where to begin, before the snapshot is taken; and has those who
 * end jobs say so from now on.
 */
static void
begin_progress(TimestampTz now)
{
	JobqDatabase *database = jobq_database();
	uint32		generation = pg_atomic_read_u32(&database->generation);
	uint64		low;

	jobq_xact_end_follow(JOBQ_XACT_SCHEDULES, at_transaction_end, NULL);
	progress.claims = false;

	pg_atomic_write_u32(&database->schedules_wait, 1);
	low = pg_atomic_exchange_u64(&database->schedules_low,
								 (uint64) JOBQ_NEVER);
	progress.proven = Min(progress.proven, (TimestampTz) low);
	if (generation != progress.generation || progress.full_scan > now ||
		progress.full_scan < now - FULL_SCAN_INTERVAL)
	{
		progress.proven = DT_NOBEGIN;
		progress.generation = generation;
		progress.full_scan = now;
	}
}

/* All that was due is done, but for what was left. */
static void
end_progress(const Batch *batch)
{
	progress.claimed = Min(batch->left, batch->now);
	progress.claims = true;
	if (!batch->waiting)
		pg_atomic_write_u32(&jobq_database()->schedules_wait, 0);
}

static void
reset_results(Batch *batch)
{
	batch->disabled = NIL;
	batch->done = 0;
	batch->bytes = 0;
	batch->owners = NIL;
	batch->more = false;
	batch->retry_at = JOBQ_NEVER;
	batch->left = JOBQ_NEVER;
	batch->waiting = false;
	MemoryContextReset(batch->row_context);
}

/*
 * Adds the jobs of schedules that are due, about `limit` of them.  Returns when
 * to be called next; with *more, at once.  For the coordinator, in a
 * transaction of its own.
 */
TimestampTz
jobq_schedule_fire_due(int limit, bool *more)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	TimestampTz next;
	Batch		batch;

	*more = false;
	memset(&batch, 0, sizeof(batch));
	batch.now = jobq_now();
	batch.limit = limit;
	batch.context = AllocSetContextCreate(CurrentMemoryContext,
										  "jobq schedules",
										  ALLOCSET_DEFAULT_SIZES);
	batch.row_context = AllocSetContextCreate(batch.context, "jobq schedule",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(batch.context);
	reset_results(&batch);
	begin_progress(batch.now);
	batch.snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(batch.snapshot);

	/* spare a transaction id when there is nothing to do */
	next = earliest_run(progress.proven);
	if (next <= batch.now)
	{
		if (jobq_subtransaction(fire_batch, &batch) != NULL)
		{
			batch.one_by_one = true;
			reset_results(&batch);
			fire_batch(&batch);
		}
		report_disabled(batch.disabled);
		next = Min(earliest_run(batch.now + 1), batch.retry_at);
	}
	end_progress(&batch);
	PopActiveSnapshot();
	UnregisterSnapshot(batch.snapshot);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(batch.context);
	*more = batch.more;
	return *more ? batch.now : next;
}
