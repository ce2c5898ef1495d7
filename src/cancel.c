/*-------------------------------------------------------------------------
 *
 * cancel.c
 *	  Cancelling jobs.
 *
 * A job whose row can be locked is cancelled at once, by the transaction that
 * asks.  One whose row is locked is being run inside a transaction, or is
 * being claimed; nobody waits for that.  A row in cancel_request then stands
 * for the wish, durably; the coordinator interrupts the executor that runs the
 * job, and cancels the job itself when it finds it free.  The request goes
 * when the job is gone.
 *
 * IDENTIFICATION
 *	  src/cancel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cancel.h"

#include "job.h"
#include "maintenance.h"
#include "worker_slot.h"
#include "xact.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Leaves a request, unless there is one. */
static void
request_cancel(int64 job_id, const char *reason)
{
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	Datum		values[Natts_cancel_request] = {0};
	bool		nulls[Natts_cancel_request] = {0};
	ItemPointerData conflict;

	values[Anum_cancel_request_job_id - 1] = Int64GetDatum(job_id);
	nulls[Anum_cancel_request_reason - 1] = reason == NULL;
	if (reason != NULL)
		values[Anum_cancel_request_reason - 1] = CStringGetTextDatum(reason);
	values[Anum_cancel_request_requested_at - 1] =
		TimestampTzGetDatum(jobq_now());
	(void) jobq_table_insert_unique(requests,
									jobq_relation_oid(JOBQ_IDX_CANCEL_REQUEST),
									values, nulls, &conflict);
	jobq_table_close(requests);
	jobq_at_commit_wake(JOBQ_WAKE_CANCEL);
}

bool
jobq_cancel_job(int64 job_id, const char *reason)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	const JobqQueue *queue;
	JobqJob		job;
	bool		result = false;

	switch (jobq_job_lock(jobs, job_id, JOBQ_NO_WAIT, &job))
	{
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			break;
		case JOBQ_BUSY:
			request_cancel(job_id, reason);
			result = true;
			break;
		case JOBQ_FOUND:
			queue = jobq_queue_by_id(job.queue);
			if (queue == NULL)
				break;
			jobq_job_cancel(jobs, &job, queue, reason);
			result = true;
			break;
	}
	jobq_table_close(jobs);
	return result;
}

/*
 * Whether there is a cancel_request for the job.  *reason is what it says,
 * palloc'd, or NULL.
 */
static bool
find_request(int64 job_id, char **reason)
{
	Relation	rel = jobq_relation_open(JOBQ_REL_CANCEL_REQUEST);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found;

	*reason = NULL;
	ScanKeyInit(&key, Anum_cancel_request_job_id, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(job_id));
	scan = systable_beginscan(rel, jobq_relation_oid(JOBQ_IDX_CANCEL_REQUEST),
							  true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_cancel_request_reason,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			*reason = TextDatumGetCString(datum);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return found;
}

bool
jobq_cancel_is_requested(int64 job_id)
{
	char	   *reason;

	return find_request(job_id, &reason);
}

char *
jobq_cancel_reason(int64 job_id)
{
	char	   *reason;

	(void) find_request(job_id, &reason);
	return reason;
}

/* Carries out one request; false if the job is busy still. */
static bool
process_request(JobqTable *jobs, int64 job_id, const char *reason)
{
	const JobqQueue *queue;
	JobqJob		job;

	switch (jobq_job_lock(jobs, job_id, JOBQ_NO_WAIT, &job))
	{
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			break;
		case JOBQ_BUSY:
			(void) jobq_worker_interrupt(job_id);
			return false;
		case JOBQ_FOUND:
			queue = jobq_queue_by_id(job.queue);
			if (queue != NULL)
				jobq_job_cancel(jobs, &job, queue, reason);
			break;
	}
	return true;
}

bool
jobq_cancel_requests_process(void)
{
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(requests);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(requests->rel, snapshot, 0, NULL);
	bool		any_left = false;

	PushActiveSnapshot(snapshot);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		TupleTableSlot *locked;
		Datum		job_id;
		Datum		reason;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		job_id = slot_getattr(slot, Anum_cancel_request_job_id, &isnull);
		reason = slot_getattr(slot, Anum_cancel_request_reason, &isnull);
		if (!process_request(jobs, DatumGetInt64(job_id),
							 isnull ? NULL : TextDatumGetCString(reason)))
		{
			any_left = true;
			continue;
		}
		locked = jobq_table_slot(requests);
		if (jobq_table_lock(requests, &slot->tts_tid, snapshot,
							locked) == JOBQ_FOUND)
			jobq_table_delete(requests, locked);
	}
	table_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	jobq_table_close(jobs);
	jobq_table_close(requests);
	return any_left;
}
