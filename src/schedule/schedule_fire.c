/*-------------------------------------------------------------------------
 *
 * schedule_fire.c
 *	  Firing due schedules, by the coordinator: adding their jobs and advancing
 *	  next_run.
 *
 * Both happen in one transaction, under the lock of the schedule's row and
 * after reading its latest version.  So there is exactly one job for each
 * schedule and nominal time, in spite of crashes, and even if two processes
 * act as the coordinator.
 *
 * A batch of schedules runs in one subtransaction.  Everything known to go
 * wrong with a schedule (its owner was dropped, its queue is gone, a privilege
 * was revoked, ...) is checked first and disables the schedule without raising
 * an error.  If an error is raised anyway, the batch is rolled back and
 * repeated with a subtransaction for each schedule, which finds the failing
 * one and does not stop the others.
 *
 * Firing never waits: a schedule whose row or queue is locked by another
 * transaction, or whose run would have to wait for one, is retried a little
 * later.  No function of users is called: payloads are checked when a schedule
 * is created.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_fire.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/schedule_fire.h"

#include "base/extension.h"
#include "base/home.h"
#include "base/row_holder.h"
#include "base/scan.h"
#include "base/subtransaction.h"
#include "base/table_find.h"
#include "compat.h"
#include "schedule/fire_progress.h"
#include "schedule/firing.h"
#include "schedule/schedule_enqueue.h"
#include "schedule/schedule_history.h"
#include "schedule/schedule_row.h"
#include "shared/clock.h"

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
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Delay before looking again at a schedule that has failed. */
#define FAILED_DELAY (10 * USECS_PER_SEC)

/*
 * Whether a schedule belongs to this database, not to one of which it is a
 * copy.
 */
static bool
is_at_home(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetInt64(slot_getattr(slot, Anum_schedule_system_identifier,
									  &isnull)) == jobq_home_identifier() &&
		DatumGetObjectId(slot_getattr(slot, Anum_schedule_database,
									  &isnull)) == MyDatabaseId;
}

/*
 * The same with tables of its own, since tables used in an aborted
 * subtransaction become unusable.
 */
static void
fire_row_alone(void *arg)
{
	JobqFiring *firing = arg;
	JobqFiring	alone = *firing;

	alone.schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	alone.jobs = jobq_table_open(JOBQ_REL_JOB);
	jobq_schedule_history_open(&alone.history);
	jobq_firing_fire(&alone);
	jobq_schedule_history_close(&alone.history);
	jobq_table_close(alone.jobs);
	jobq_table_close(alone.schedules);
}

/*
 * Handles an error of a schedule: disables the schedule, unless the cause is
 * temporary.
 */
static void
handle_failure(JobqFiring *firing, const ErrorData *error)
{
	const char *name;

	jobq_firing_read_row(firing);
	name = TextDatumGetCString(firing->values[Anum_schedule_name - 1]);
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		jobq_firing_put_off(firing->batch, jobq_firing_next_run(firing), 0);
		return;
	}
	if (jobq_error_is_of_server(error))
	{
		ereport(WARNING,
				(errmsg("schedule \"%s\" could not run and will be tried again",
						name),
				 errdetail_internal("%s", error->message)));
		jobq_firing_try_later(firing->batch, jobq_firing_next_run(firing),
							  FAILED_DELAY);
	}
	else
		jobq_firing_disable(firing, error->message);
}

/*
 * Whether the due run has to wait for the previous one according to the
 * snapshot; in that case its row need not be locked.
 */
static bool
has_to_wait(JobqTable *jobs, TupleTableSlot *due)
{
	bool		isnull;
	Datum		last_job = slot_getattr(due, Anum_schedule_last_job, &isnull);

	return !isnull &&
		jobq_firing_overlap(slot_getattr(due, Anum_schedule_overlap,
										 &isnull)) == JOBQ_OVERLAP_QUEUE &&
		jobq_schedule_job_is_live(jobs, DatumGetInt64(last_job), NULL);
}

/* Fires a schedule that is due, if it can be locked. */
static void
fire_schedule(JobqFiring *firing, TupleTableSlot *due, TimestampTz next_run)
{
	JobqFireBatch *batch = firing->batch;
	ErrorData  *error;

	if (has_to_wait(firing->jobs, due))
	{
		jobq_firing_wait_for_job(batch, next_run);
		return;
	}

	/* a schedule that is being changed, or just was, may still be due */
	if (jobq_table_lock(firing->schedules, &due->tts_tid, batch->snapshot,
						firing->slot) != JOBQ_FOUND)
	{
		jobq_firing_put_off(batch, next_run, jobq_row_holder(firing->slot));
		return;
	}
	if (!batch->one_by_one)
		jobq_firing_fire(firing);
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
	JobqFireBatch *batch = arg;
	JobqFiring *firing = palloc0(sizeof(JobqFiring));
	Relation	index =
	index_open(jobq_relation_oid(JOBQ_IDX_SCHEDULE_NEXT_RUN), AccessShareLock);
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
				TimestampTzGetDatum(batch->first));
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
		full = batch->done >= batch->limit || batch->bytes >= JOBQ_FIRE_MAX_BYTES;
		if (full || jobq_firing_has_had_its_share(batch, owner))
		{
			jobq_firing_leave(batch, next_run);
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
 * The earliest next_run at or after the given time; JOBQ_NEVER if there is
 * none.
 */
static TimestampTz
earliest_run(TimestampTz from)
{
	JobqTable  *schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	TimestampTz result = JOBQ_NEVER;
	JobqScan	scan;
	ScanKeyData key;

	CommandCounterIncrement();
	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(from));
	jobq_scan_begin(&scan, schedules,
					jobq_relation_oid(JOBQ_IDX_SCHEDULE_NEXT_RUN), &key, 1);
	while (jobq_scan_next(&scan))
	{
		bool		isnull;

		if (!is_at_home(scan.slot))
			continue;
		result = DatumGetTimestampTz(slot_getattr(scan.slot,
												  Anum_schedule_next_run,
												  &isnull));
		break;
	}
	jobq_scan_end(&scan);
	jobq_table_close(schedules);
	return result;
}

static void
report_disabled(const List *schedules)
{
	ListCell   *lc;

	foreach(lc, schedules)
	{
		const JobqDisabledSchedule *disabled = lfirst(lc);

		ereport(WARNING,
				(errmsg("schedule \"%s\" was disabled", disabled->name),
				 errdetail("In database \"%s\": %s",
						   get_database_name(MyDatabaseId),
						   disabled->problem),
				 errhint("After fixing the cause, use jobq.enable_schedule().")));
	}
}

static void
reset_results(JobqFireBatch *batch)
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
 * Adds about `limit` jobs of due schedules.  Returns when to call it again;
 * sets *more if that should be at once.  Called by the coordinator in a
 * transaction of its own.
 */
TimestampTz
jobq_schedule_fire_due(int limit, bool *more)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	TimestampTz next;
	JobqFireBatch batch;

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
	batch.first = jobq_fire_progress_begin(batch.now);
	batch.snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(batch.snapshot);

	/* spare a transaction id when there is nothing to do */
	next = earliest_run(batch.first);
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
	jobq_fire_progress_end(Min(batch.left, batch.now), batch.waiting);
	PopActiveSnapshot();
	UnregisterSnapshot(batch.snapshot);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(batch.context);
	*more = batch.more;
	return *more ? batch.now : next;
}
