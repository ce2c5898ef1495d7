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
 * groups that are paused do not wait for anybody.
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
#include "shared/slot.h"

#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#define MAX_ROWS 1000

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
	/* it keeps its place until it is tried again */
	if (state == JOBQ_STATE_PENDING && lease_until > look->now)
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

/*
 * Whether the slot's job is of a paused group.  `group` is the one of the job before,
 * and becomes this one's.
 */
static bool
is_in_paused_group(const Look *look, TupleTableSlot *slot, char *group,
				   bool *paused)
{
	JobqGroupOptions options;
	bool		isnull;
	char	   *name;

	if (!look->brief->has_group_options)
		return false;
	name = TextDatumGetCString(slot_getattr(slot, Anum_job_group_key, &isnull));
	if (strcmp(name, group) != 0)
	{
		jobq_group_options_read(look->brief->id, name, &options);
		*paused = options.paused;
		strlcpy(group, name, JOBQ_GROUP_NAME_SIZE);
	}
	pfree(name);
	return *paused;
}

/* Looks at the first jobs in groups, as far as that goes. */
static void
look_in_groups(const Look *look, JobqWaitScan *jobs)
{
	IndexScanDesc scan = jobs->scans[1];
	TupleTableSlot *slot = jobs->slot;
	char		group[JOBQ_GROUP_NAME_SIZE] = "";
	bool		paused = false;
	int			nrows = 0;

	seek_behind_group(scan, look->brief->id, group);
	while (nrows++ < MAX_ROWS &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		TimestampTz run_at =
		DatumGetTimestampTz(slot_getattr(slot, Anum_job_run_at, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (is_in_paused_group(look, slot, group, &paused))
			seek_behind_group(scan, look->brief->id, group);
		else if (run_at <= look->now &&
				 is_waiting(look, slot, jobq_run_at_real(run_at)))
			note_waiting(look, jobq_run_at_real(run_at));
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
