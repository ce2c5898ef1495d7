/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Finding and locking the next ready job of a queue.
 *
 * Jobs are looked for along the index job_dispatch (queue, priority, run_at,
 * id).  Within a priority the first job with a run_at ahead ends the search;
 * the scan is then restarted at the next priority, so that jobs in the future
 * cost one row per priority and not one per job.  Rows that others have locked
 * are skipped, never waited for.
 *
 * The snapshot is the latest one, whatever the isolation level: what counts is
 * the row that is locked in the end.  A job whose lease is over is given up
 * for its old holder by whoever comes across it first, the coordinator or a
 * claim.
 *
 * IDENTIFICATION
 *	  src/claim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "claim.h"
#include "xact.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Columns of job_dispatch. */
#define DISPATCH_QUEUE 1
#define DISPATCH_PRIORITY 2
#define DISPATCH_RUN_AT 3

/* (Re)starts the scan at the first job of priority >= `priority`. */
static void
seek(JobqReadyScan *scan, int priority)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], DISPATCH_QUEUE, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(scan->queue->id));
	ScanKeyInit(&keys[1], DISPATCH_PRIORITY, BTGreaterEqualStrategyNumber,
				F_INT2GE, Int16GetDatum((int16) priority));
	index_rescan(scan->scan, keys, 2, NULL, 0);
}

/* Begins a scan; nothing may run between it and jobq_ready_end() but
 * jobq_ready_next() and the transitions of the jobs that it gives. */
void
jobq_ready_begin(JobqReadyScan *scan, JobqTable *jobs, const JobqQueue *queue)
{
	memset(scan, 0, sizeof(*scan));
	scan->jobs = jobs;
	scan->queue = queue;
	scan->now = jobq_now();
	scan->next_run_at = JOBQ_NEVER;

	CommandCounterIncrement();
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan->index = index_open(jobq_relation_oid(JOBQ_IDX_JOB_DISPATCH),
							 AccessShareLock);
	scan->scan = jobq_index_beginscan(jobs->rel, scan->index, scan->snapshot,
									  2);
	scan->slot = jobq_table_slot(jobs);
	scan->locked = jobq_table_slot(jobs);
	seek(scan, PG_INT16_MIN);
}

/* Whether a job may be given out, going by its row. */
static bool
is_claimable(const JobqJob *job, TimestampTz now)
{
	if (job->state == JOBQ_STATE_PENDING)
		return job->run_at <= now;
	return job->state == JOBQ_STATE_RUNNING && job->lease_until <= now;
}

/* Whether a pending job's time to live is over; one that was started before
 * lives on. */
static bool
is_expired(const JobqJob *job, TimestampTz now)
{
	return job->attempt == 0 && job->expires_at <= now;
}

/*
 * Makes a locked job whose lease is over pending again.  False if it is dead
 * now, or waits for its turn; else the job is as new.
 */
static bool
give_up_lease(JobqReadyScan *scan, JobqJob *job)
{
	JobqFailure failure;

	jobq_job_lease_failure(&failure, false);
	if (jobq_job_fail(scan->jobs, job, scan->queue, &failure) !=
		JOBQ_STATE_PENDING)
		return false;
	return jobq_job_lock(scan->jobs, job->id, JOBQ_NO_WAIT, job) == JOBQ_FOUND &&
		is_claimable(job, scan->now);
}

/*
 * Locks the job of the scan's row, without waiting, and reads it again.
 * False if it is not to be had.
 */
static bool
try_lock(JobqReadyScan *scan, JobqJob *job)
{
	if (jobq_table_lock(scan->jobs, &scan->slot->tts_tid, scan->snapshot,
						scan->locked) != JOBQ_FOUND)
		return false;
	jobq_job_read(job, scan->locked);
	if (!is_claimable(job, scan->now))
		return false;
	if (job->state == JOBQ_STATE_RUNNING && !give_up_lease(scan, job))
		return false;
	if (is_expired(job, scan->now))
	{
		jobq_job_expire(scan->jobs, job, scan->queue);
		return false;
	}
	return true;
}

/*
 * Gives the next ready job, locked until the end of the transaction and
 * otherwise untouched.  False when there is none; then next_run_at is the time
 * of the next job that was seen.  Does not care whether the queue is paused.
 *
 * The job's values are good until the next call.
 */
bool
jobq_ready_next(JobqReadyScan *scan, JobqJob *job)
{
	while (index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
	{
		JobqJob		seen;

		CHECK_FOR_INTERRUPTS();
		jobq_job_read(&seen, scan->slot);
		if (seen.run_at > scan->now)
		{
			scan->next_run_at = Min(scan->next_run_at, seen.run_at);
			if (seen.priority == PG_INT16_MAX)
				return false;
			seek(scan, seen.priority + 1);
			continue;
		}
		if (!is_claimable(&seen, scan->now) || !try_lock(scan, job))
			continue;
		job->started_at = scan->now;
		jobq_at_abort_ready(scan->queue);
		return true;
	}
	return false;
}

/*
 * Whether the scan's next row looks like a job that could be had, too.  The
 * job given last is to be left alone after that.
 */
bool
jobq_ready_sees_more(JobqReadyScan *scan)
{
	JobqJob		next;

	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return false;
	jobq_job_read(&next, scan->slot);
	return next.state == JOBQ_STATE_PENDING && next.run_at <= scan->now;
}

void
jobq_ready_end(JobqReadyScan *scan)
{
	index_endscan(scan->scan);
	index_close(scan->index, AccessShareLock);
	UnregisterSnapshot(scan->snapshot);
}

/* The earliest run_at after `now` of a queue's jobs of one priority. */
static TimestampTz
next_of_priority(const JobqReadyScan *scan, int16 priority)
{
	TimestampTz next = JOBQ_NEVER;
	ScanKeyData keys[3];
	IndexScanDesc index_scan;

	ScanKeyInit(&keys[0], DISPATCH_QUEUE, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(scan->queue->id));
	ScanKeyInit(&keys[1], DISPATCH_PRIORITY, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(priority));
	ScanKeyInit(&keys[2], DISPATCH_RUN_AT, BTGreaterStrategyNumber,
				F_TIMESTAMPTZ_GT, TimestampTzGetDatum(scan->now));
	index_scan = jobq_index_beginscan(scan->jobs->rel, scan->index,
									  scan->snapshot, 3);
	index_rescan(index_scan, keys, 3, NULL, 0);
	if (index_getnext_slot(index_scan, ForwardScanDirection, scan->locked))
	{
		JobqJob		job;

		jobq_job_read(&job, scan->locked);
		next = job.run_at;
	}
	index_endscan(index_scan);
	return next;
}

/*
 * Whether a queue has a job that could be claimed now.  If not, *next is when
 * its next job is due, else *next is when the next one after those is.
 * Locks nothing, so that a job that is just being worked in a transaction
 * counts as ready.
 */
bool
jobq_queue_is_ready(const JobqQueue *queue, TimestampTz *next)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqReadyScan scan;
	bool		ready = false;

	*next = JOBQ_NEVER;
	jobq_ready_begin(&scan, jobs, queue);
	while (index_getnext_slot(scan.scan, ForwardScanDirection, scan.slot))
	{
		JobqJob		job;
		TimestampTz next_here;

		CHECK_FOR_INTERRUPTS();
		jobq_job_read(&job, scan.slot);
		if (job.run_at <= scan.now && !is_claimable(&job, scan.now))
			continue;
		if (job.run_at <= scan.now)
			ready = true;
		next_here = next_of_priority(&scan, job.priority);
		*next = Min(*next, next_here);
		if (job.priority == PG_INT16_MAX)
			break;
		seek(&scan, job.priority + 1);
	}
	jobq_ready_end(&scan);
	jobq_table_close(jobs);
	return ready;
}
