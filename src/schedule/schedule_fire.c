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
 * No owner holds up another one: they take turns (fire_turn.c).
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
#include "base/row_holder.h"
#include "base/subtransaction.h"
#include "base/table_find.h"
#include "schedule/fire_owner.h"
#include "schedule/fire_progress.h"
#include "schedule/fire_turn.h"
#include "schedule/firing.h"
#include "schedule/schedule_enqueue.h"
#include "schedule/schedule_history.h"
#include "schedule/schedule_row.h"
#include "shared/clock.h"

#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Delay before looking again at a schedule that has failed. */
#define FAILED_DELAY (10 * USECS_PER_SEC)

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
		jobq_fire_batch_put_off(firing->batch, jobq_firing_next_run(firing), 0);
		return;
	}
	if (jobq_error_is_of_server(error))
	{
		ereport(WARNING,
				(errmsg("schedule \"%s\" could not run and will be tried again",
						name),
				 errdetail_internal("%s", error->message)));
		jobq_fire_batch_try_later(firing->batch, jobq_firing_next_run(firing),
								  FAILED_DELAY);
	}
	else
		jobq_firing_disable(firing, error->message);
}

/*
 * Whether the due run still has to wait for the previous one according to the
 * snapshot; in that case its row need not be locked.
 */
static bool
has_to_wait(JobqTable *jobs, TupleTableSlot *due)
{
	bool		isnull;
	Datum		last_job = slot_getattr(due, Anum_schedule_last_job, &isnull);

	return !isnull &&
		DatumGetBool(slot_getattr(due, Anum_schedule_waits, &isnull)) &&
		jobq_firing_overlap(slot_getattr(due, Anum_schedule_overlap,
										 &isnull)) == JOBQ_OVERLAP_QUEUE &&
		jobq_schedule_job_is_live(jobs, DatumGetInt64(last_job), NULL);
}

/*
 * Fires the schedule that has its turn, if it is there, can be locked and need
 * not wait.
 */
static void
fire_schedule(JobqFiring *firing, TupleTableSlot *due)
{
	JobqFireBatch *batch = firing->batch;
	JobqFireTurn *turn = batch->turn;
	Snapshot	snapshot = batch->turns.snapshot;
	ErrorData  *error;

	turn->reached = true;
	turn->left = JOBQ_NEVER;
	if (!table_tuple_fetch_row_version(firing->schedules->rel, &turn->tid,
									   snapshot, due))
		return;
	if (has_to_wait(firing->jobs, due))
	{
		turn->waits = true;
		return;
	}

	/* a schedule that is being changed, or just was, may still be due */
	if (jobq_table_lock(firing->schedules, &turn->tid, snapshot,
						firing->slot) != JOBQ_FOUND)
	{
		jobq_fire_batch_put_off(batch, turn->next_run,
								jobq_row_holder(firing->slot));
		return;
	}
	if (!batch->one_by_one)
		jobq_firing_fire(firing);
	else if ((error = jobq_subtransaction(fire_row_alone, firing)) != NULL)
		handle_failure(firing, error);
}

/*
 * Fires the schedules that have their turn, up to the limit.  For
 * jobq_subtransaction().
 */
static void
fire_batch(void *arg)
{
	JobqFireBatch *batch = arg;
	JobqFiring *firing = palloc0(sizeof(JobqFiring));
	MemoryContext oldcontext = CurrentMemoryContext;
	TupleTableSlot *due;

	firing->batch = batch;
	firing->schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	firing->jobs = jobq_table_open(JOBQ_REL_JOB);
	jobq_schedule_history_open(&firing->history);
	firing->slot = jobq_table_slot(firing->schedules);
	due = jobq_table_slot(firing->schedules);
	for (int i = 0; i < batch->turns.nturns; i++)
	{
		batch->turn = &batch->turns.turns[i];
		CHECK_FOR_INTERRUPTS();
		if (jobq_fire_batch_is_full(batch))
			break;
		if (jobq_fire_batch_has_served(batch, batch->turn->owner->owner))
			continue;
		MemoryContextSwitchTo(batch->row_context);
		fire_schedule(firing, due);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(batch->row_context);
	}
	jobq_schedule_history_close(&firing->history);
	jobq_table_close(firing->jobs);
	jobq_table_close(firing->schedules);
}

/* Fires those that have their turn; without one, spares a transaction ID. */
static void
fire_turns(JobqFireBatch *batch)
{
	jobq_fire_batch_reset(batch);
	if (batch->turns.nturns == 0)
		return;
	if (jobq_subtransaction(fire_batch, batch) != NULL)
	{
		batch->one_by_one = true;
		jobq_fire_batch_reset(batch);
		fire_batch(batch);
	}
	jobq_fire_batch_report_disabled(batch);
}

/*
 * Adds about `limit` jobs of due schedules.  Returns when to call it again; sets
 * *more if that should be at once.  Called by the coordinator in a transaction
 * of its own.
 */
TimestampTz
jobq_schedule_fire_due(int limit, bool *more)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	JobqFireBatch batch = {.limit = limit};
	JobqFireTurns *turns = &batch.turns;
	JobqFireStart start;
	TimestampTz next;

	batch.context = AllocSetContextCreate(CurrentMemoryContext,
										  "jobq schedules",
										  ALLOCSET_DEFAULT_SIZES);
	batch.row_context = AllocSetContextCreate(batch.context, "jobq schedule",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(batch.context);
	turns->now = jobq_now();
	turns->limit = limit;
	jobq_fire_progress_begin(turns->now, &start);
	if (start.forget)
		jobq_fire_owners_forget();
	jobq_fire_owners_begin(turns->now, &start.ended);
	turns->snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(turns->snapshot);
	jobq_fire_turns_find(turns, start.first, start.full);
	fire_turns(&batch);
	jobq_fire_owners_settle(turns->turns, turns->nturns, turns->now);
	jobq_fire_progress_end(turns->now, jobq_fire_owners_wait());

	next = jobq_fire_owners_next();
	*more = next <= turns->now;
	if (!*more)
		next = Min(next, jobq_fire_turns_ahead(turns->now));
	PopActiveSnapshot();
	UnregisterSnapshot(turns->snapshot);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(batch.context);
	return next;
}
