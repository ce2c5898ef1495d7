/*-------------------------------------------------------------------------
 *
 * expire.c
 *	  Jobs whose time to live has passed before they were started.
 *
 * IDENTIFICATION
 *	  src/expire.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job.h"
#include "maintenance.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* How soon to look again at a job that somebody has locked. */
#define BUSY_RETRY (100 * INT64CONST(1000))

/* The first expires_at after `now`. */
static TimestampTz
next_expiry(JobqTable *jobs, Relation index, Snapshot snapshot,
			TimestampTz now)
{
	TupleTableSlot *slot = jobq_table_slot(jobs);
	TimestampTz next = JOBQ_NEVER;
	IndexScanDesc scan;
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT,
				TimestampTzGetDatum(now));
	scan = jobq_index_beginscan(jobs->rel, index, snapshot, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		JobqJob		job;

		jobq_job_read(&job, slot);
		next = job.expires_at;
	}
	index_endscan(scan);
	return next;
}

/* Expires the job in the slot if it has not been started. */
static TimestampTz
expire_one(JobqTable *jobs, TupleTableSlot *seen, Snapshot snapshot,
		   TupleTableSlot *locked, TimestampTz now)
{
	const JobqQueue *queue;
	JobqJob		job;

	jobq_job_read(&job, seen);
	if (job.state != JOBQ_STATE_PENDING || job.attempt > 0)
		return JOBQ_NEVER;
	switch (jobq_job_lock_row(jobs, seen, snapshot, locked, &job))
	{
		case JOBQ_FOUND:
			break;
		case JOBQ_BUSY:
			return now + BUSY_RETRY;
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			return JOBQ_NEVER;
	}
	queue = jobq_queue_by_id(job.queue);
	if (queue != NULL && queue->at_home)
		jobq_job_expire(jobs, &job, queue);
	return JOBQ_NEVER;
}

/*
 * Ends up to `limit` jobs whose time to live is over.  Jobs that were started
 * in time stay in the index until they are finished, and are passed over.
 */
TimestampTz
jobq_jobs_expire(int limit, bool *more)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	Relation	index = index_open(jobq_relation_oid(JOBQ_IDX_JOB_EXPIRES_AT),
								   AccessShareLock);
	TupleTableSlot *slot = jobq_table_slot(jobs);
	TupleTableSlot *locked = jobq_table_slot(jobs);
	TimestampTz now = jobq_now();
	TimestampTz next;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	IndexScanDesc scan;
	ScanKeyData key;

	PushActiveSnapshot(snapshot);
	*more = false;
	next = next_expiry(jobs, index, snapshot, now);
	ScanKeyInit(&key, 1, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(now));
	scan = jobq_index_beginscan(jobs->rel, index, snapshot, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		TimestampTz again;

		CHECK_FOR_INTERRUPTS();
		if (limit-- <= 0)
		{
			*more = true;
			break;
		}
		again = expire_one(jobs, slot, snapshot, locked, now);
		next = Min(next, again);
	}
	index_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	jobq_table_close(jobs);
	return next;
}
