/*-------------------------------------------------------------------------
 *
 * health_wait.c
 *	  How long the jobs of queues have been waiting.
 *
 * How long a queue's jobs have been waiting is read from the low end of each
 * of its priorities in the index job_dispatch.  Jobs held by a lease, or
 * locked by a transaction that runs them, are also found there; they do not
 * wait, and show that the queue is being worked.  Jobs with a mirrored run_at
 * (lifo) have the one that has waited longest at their other end.  At most
 * MAX_ROWS rows are read for a queue, and as many of its jobs in groups.  Those of
 * groups that start none at the moment (paused, throttled, full, also by the limit that the queue
 * shares, or the first one is to be tried again) wait for no worker; of such a group at
 * most MAX_HELD_ROWS are read.
 *
 * IDENTIFICATION
 *	  src/health/health_wait.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_wait.h"

#include "base/extension.h"
#include "base/row_holder.h"
#include "base/table.h"
#include "common/jobstate.h"
#include "compat.h"
#include "job/job.h"
#include "queue/group_option.h"
#include "queue/group_stop.h"
#include "shared/queue_state.h"
#include "shared/roster_list.h"
#include "shared/slot.h"

#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#define MAX_ROWS 1000
#define MAX_HELD_ROWS 100

static const JobqRelation indexes[2] = {
	JOBQ_IDX_JOB_DISPATCH, JOBQ_IDX_JOB_GROUP
};

void
jobq_health_waits_begin(JobqWaitScan *jobs)
{
	jobs->context = CurrentMemoryContext;
	jobs->rel = table_open(jobq_relation_oid(JOBQ_REL_JOB), AccessShareLock);
	jobs->snapshot = RegisterSnapshot(GetLatestSnapshot());
	jobs->slot = table_slot_create(jobs->rel, NULL);
	for (int i = 0; i < 2; i++)
	{
		jobs->indexes[i] = index_open(jobq_relation_oid(indexes[i]),
									  AccessShareLock);
		jobs->scans[i] = jobq_index_beginscan(jobs->rel, jobs->indexes[i],
											  jobs->snapshot, 2);
	}
}

void
jobq_health_waits_end(JobqWaitScan *jobs)
{
	for (int i = 0; i < 2; i++)
	{
		index_endscan(jobs->scans[i]);
		index_close(jobs->indexes[i], AccessShareLock);
	}
	ExecDropSingleTupleTableSlot(jobs->slot);
	UnregisterSnapshot(jobs->snapshot);
	table_close(jobs->rel, AccessShareLock);
}

/* State of a look at a queue. */
typedef struct Look
{
	const JobqQueueBrief *brief;
	TimestampTz now;
	JobqQueueWait *wait;
	int			nrows;			/* read so far */
} Look;

/*
 * Notes the first job for executors that has been locked for some time by a
 * session that is not one of them.
 */
static void
note_held(const Look *look, TupleTableSlot *slot, TimestampTz run_at)
{
	bool		isnull;
	int			pid;

	if (look->wait->held.job_id != 0 || !look->brief->has_executors ||
		run_at > look->now - JOBQ_HEALTH_LATE_AFTER)
		return;
	pid = jobq_row_holder(slot);
	if (pid == 0 || jobq_worker_is_process(pid))
		return;
	look->wait->held.job_id = DatumGetInt64(slot_getattr(slot, Anum_job_id,
														 &isnull));
	look->wait->held.run_at = run_at;
	look->wait->held.pid = pid;
}

/* Whether the slot's row is a job that keeps its place until it is tried again. */
static bool
keeps_place(const Look *look, TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetInt16(slot_getattr(slot, Anum_job_state, &isnull)) ==
		JOBQ_STATE_PENDING &&
		DatumGetTimestampTz(slot_getattr(slot, Anum_job_lease_until,
										 &isnull)) > look->now;
}

/* Whether the slot's row is a waiting job; notes if it is being worked. */
static bool
is_waiting(const Look *look, TupleTableSlot *slot, TimestampTz run_at)
{
	bool		isnull;
	JobqState	state = (JobqState)
	DatumGetInt16(slot_getattr(slot, Anum_job_state, &isnull));
	TimestampTz lease_until =
	DatumGetTimestampTz(slot_getattr(slot, Anum_job_lease_until, &isnull));

	if (state == JOBQ_STATE_RUNNING && lease_until > look->now)
	{
		look->wait->is_worked = true;
		return false;
	}
	if (state != JOBQ_STATE_PENDING && state != JOBQ_STATE_RUNNING)
		return false;
	if (keeps_place(look, slot))
		return false;
	if (!jobq_row_is_held(slot))
		return true;
	look->wait->is_worked = true;
	note_held(look, slot, run_at);
	return false;
}

/*
 * The real run_at of the job of a priority that has waited longest, where some
 * are mirrored; `oldest` is that of one that waits.
 */
static TimestampTz
find_oldest(JobqWaitScan *jobs, Look *look, int16 priority, TimestampTz oldest)
{
	IndexScanDesc scan = jobq_index_beginscan(jobs->rel, jobs->indexes[0],
											  jobs->snapshot, 3);
	ScanKeyData keys[3];
	bool		isnull;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(look->brief->id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(priority));
	for (int mirrored = 0; mirrored < 2; mirrored++)
	{
		ScanKeyInit(&keys[2], 3,
					mirrored ? BTLessStrategyNumber : BTGreaterEqualStrategyNumber,
					mirrored ? F_TIMESTAMPTZ_LT : F_TIMESTAMPTZ_GE,
					TimestampTzGetDatum(0));
		index_rescan(scan, keys, 3, NULL, 0);
		while (look->nrows++ < MAX_ROWS &&
			   index_getnext_slot(scan, mirrored ? BackwardScanDirection :
								  ForwardScanDirection, jobs->slot))
		{
			TimestampTz run_at =
			jobq_run_at_real(DatumGetTimestampTz(slot_getattr(jobs->slot,
															  Anum_job_run_at,
															  &isnull)));

			CHECK_FOR_INTERRUPTS();
			if (run_at > look->now)
				break;
			if (!is_waiting(look, jobs->slot, run_at))
				continue;
			oldest = Min(oldest, run_at);
			break;
		}
	}
	ExecClearTuple(jobs->slot);
	index_endscan(scan);
	return oldest;
}

/* Moves the scan to the first job of priority >= `priority`. */
static void
seek(IndexScanDesc scan, int32 queue, int priority)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT2GE,
				Int16GetDatum((int16) priority));
	index_rescan(scan, keys, 2, NULL, 0);
}

/* A job has waited since that time; until batch_wait is over for a full batch. */
static void
note_waiting(const Look *look, TimestampTz run_at)
{
	if (jobq_queue_gathers(look->brief))
		run_at += look->brief->batch_wait;
	if (run_at <= look->now)
		look->wait->oldest = Min(look->wait->oldest, run_at);
}

/* Looks at the first jobs of each priority of those without a group. */
static void
look_without_groups(Look *look, JobqWaitScan *jobs)
{
	IndexScanDesc scan = jobs->scans[0];
	TupleTableSlot *slot = jobs->slot;

	seek(scan, look->brief->id, PG_INT16_MIN);
	while (look->nrows++ < MAX_ROWS &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		TimestampTz run_at =
		DatumGetTimestampTz(slot_getattr(slot, Anum_job_run_at, &isnull));
		int16		priority =
		DatumGetInt16(slot_getattr(slot, Anum_job_priority, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (run_at <= look->now)
		{
			if (!is_waiting(look, slot, jobq_run_at_real(run_at)))
				continue;
			if (jobq_run_at_is_mirrored(run_at))
				run_at = find_oldest(jobs, look, priority,
									 jobq_run_at_real(run_at));
			note_waiting(look, run_at);
		}
		/* what follows at this priority came later */
		if (priority == PG_INT16_MAX)
			break;
		seek(scan, look->brief->id, priority + 1);
	}
}

/* Moves the scan of jobs in groups behind a group. */
static void
seek_behind_group(IndexScanDesc scan, int32 queue, const char *group)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_TEXT_GT,
				CStringGetTextDatum(group));
	index_rescan(scan, keys, 2, NULL, 0);
}

/* The group whose jobs are read. */
typedef struct GroupLook
{
	JobqHeldGroup held;			/* whether its jobs wait for no worker, and
								 * why */
	int			max_running;
	int			nrows;			/* read of it while it is held */
} GroupLook;

/* The group starts no job at the moment. */
static void
hold(GroupLook *group, JobqGroupHold why, TimestampTz until)
{
	group->held.hold = why;
	group->held.until = until;
}

/* Whether no more jobs than those that are running may start. */
static bool
is_reached(uint32 running, int max_running)
{
	return max_running != JOBQ_UNLIMITED && running >= (uint32) max_running;
}

/* What shared memory knows of the group. */
static void
judge_known_group(const Look *look, GroupLook *group)
{
	const JobqQueueBrief *brief = look->brief;
	JobqGroupBrief known;
	bool		found;

	if (brief->state == NULL ||
		!jobq_queue_state_pin(brief->state, brief->id))
		return;
	found = jobq_roster_list_one(brief->state, group->held.name, look->now,
								 &known);
	jobq_queue_state_unpin(brief->state);
	if (!found)
		return;
	group->held.running = known.running;
	if (known.running > 0)
		look->wait->is_worked = true;
	if (known.not_before > look->now)
		hold(group, JOBQ_HOLD_THROTTLED, known.not_before);
	else if (is_reached(known.running, group->max_running))
		hold(group, JOBQ_HOLD_FULL, JOBQ_NEVER);
	else if (is_reached(known.in_limit, brief->limit_max_running_per_group))
		hold(group, JOBQ_HOLD_SHARED, JOBQ_NEVER);
	else if (known.opens_at > look->now)
		hold(group, JOBQ_HOLD_RATE, known.opens_at);
}

/* Finds out whether the group starts no job at the moment. */
static void
judge_group(const Look *look, GroupLook *group)
{
	const JobqQueueBrief *brief = look->brief;
	JobqGroupOptions options = {0};

	if (brief->has_group_options)
		jobq_group_options_read(brief->id, group->held.name, &options);
	group->max_running = options.max_running > 0 ? options.max_running :
		brief->max_running_per_group;
	group->nrows = 0;
	hold(group, JOBQ_HOLD_NONE, JOBQ_NEVER);
	if (!options.paused)
		judge_known_group(look, group);
	else if (jobq_group_is_stopped(brief->id, group->held.name))
		hold(group, JOBQ_HOLD_STOPPED, JOBQ_NEVER);
	else
		hold(group, JOBQ_HOLD_PAUSED, JOBQ_NEVER);
}

/*
 * The slot's job has come up.  If it is the first one of a group, that is judged; if it
 * is to be tried again, those behind it may have to wait for that.
 */
static void
note_group(const Look *look, TupleTableSlot *slot, GroupLook *group)
{
	bool		isnull;
	char	   *name = TextDatumGetCString(slot_getattr(slot, Anum_job_group_key,
														&isnull));

	if (strcmp(name, group->held.name) != 0)
	{
		strlcpy(group->held.name, name, JOBQ_GROUP_NAME_SIZE);
		judge_group(look, group);
	}
	pfree(name);
	if (group->held.hold != JOBQ_HOLD_NONE || group->max_running != 1 ||
		look->brief->group_on_failure == JOBQ_FAILED_SKIP ||
		!keeps_place(look, slot))
		return;
	hold(group, JOBQ_HOLD_RETRY,
		 DatumGetTimestampTz(slot_getattr(slot, Anum_job_lease_until, &isnull)));
	group->held.job_id = DatumGetInt64(slot_getattr(slot, Anum_job_id, &isnull));
}

/* A job of a held group has waited since that time. */
static void
note_held_group(const Look *look, GroupLook *group, TimestampTz run_at)
{
	group->held.since = run_at;
	jobq_health_compare_held(&look->wait->group, &group->held);
}

/* Looks at the first jobs in groups, as far as that goes. */
static void
look_in_groups(const Look *look, JobqWaitScan *jobs)
{
	IndexScanDesc scan = jobs->scans[1];
	TupleTableSlot *slot = jobs->slot;
	GroupLook	group = {{JOBQ_HOLD_NONE}};
	int			nrows = 0;

	seek_behind_group(scan, look->brief->id, "");
	while (nrows++ < MAX_ROWS &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		TimestampTz run_at =
		DatumGetTimestampTz(slot_getattr(slot, Anum_job_run_at, &isnull));
		bool		waits;

		CHECK_FOR_INTERRUPTS();
		note_group(look, slot, &group);
		waits = run_at <= look->now &&
			is_waiting(look, slot, jobq_run_at_real(run_at));
		if (group.held.hold == JOBQ_HOLD_NONE)
		{
			if (waits)
				note_waiting(look, jobq_run_at_real(run_at));
			continue;
		}
		if (waits)
			note_held_group(look, &group, jobq_run_at_real(run_at));
		if (waits || ++group.nrows >= MAX_HELD_ROWS)
			seek_behind_group(scan, look->brief->id, group.held.name);
	}
}

/*
 * The scans are used in the memory context in which they were opened, since they
 * may allocate data that they keep.
 */
void
jobq_health_find_wait(JobqWaitScan *jobs, const JobqQueueBrief *brief,
					  TimestampTz now, JobqQueueWait *wait)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(jobs->context);
	Look		look = {brief, now, wait, 0};

	look_without_groups(&look, jobs);
	look_in_groups(&look, jobs);
	ExecClearTuple(jobs->slot);
	MemoryContextSwitchTo(oldcontext);
}
