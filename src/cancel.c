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
 * when the job is gone, and at the latest when it is revived.
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
			/* who is deleting the row has done the job's work */
			result = !jobq_row_is_going(job.slot);
			if (result)
				request_cancel(job_id, reason);
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

/* The key of the row of a job in cancel_request. */
static void
init_key(ScanKey key, int64 job_id)
{
	ScanKeyInit(key, Anum_cancel_request_job_id, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(job_id));
}

bool
jobq_cancel_is_busy(int64 job_id, int *pid)
{
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	ScanKeyData key;
	bool		result;

	init_key(&key, job_id);
	result = jobq_key_is_busy(requests,
							  jobq_relation_oid(JOBQ_IDX_CANCEL_REQUEST),
							  &key, 1, pid);
	jobq_table_close(requests);
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
	init_key(&key, job_id);
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

void
jobq_cancel_forget(int64 job_id)
{
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	TupleTableSlot *slot = jobq_table_slot(requests);
	ScanKeyData key;

	init_key(&key, job_id);
	if (jobq_table_find(requests, jobq_relation_oid(JOBQ_IDX_CANCEL_REQUEST),
						&key, 1, JOBQ_WAIT, slot) == JOBQ_FOUND)
		jobq_table_delete(requests, slot);
	jobq_table_close(requests);
}

/*
 * Carries out the request that the scan of requests has come to, unless it has
 * been withdrawn, since its job was revived; false if it is to be looked at
 * again.
 */
static bool
process_request(JobqTable *jobs, JobqTable *requests, TupleTableSlot *seen,
				Snapshot snapshot)
{
	TupleTableSlot *locked;
	JobqFindResult found_job;
	JobqFindResult found;
	JobqJob		job;
	bool		isnull;
	int64		job_id = DatumGetInt64(slot_getattr(seen,
													Anum_cancel_request_job_id,
													&isnull));
	Datum		reason = slot_getattr(seen, Anum_cancel_request_reason,
									  &isnull);

	found_job = jobq_job_lock(jobs, job_id, JOBQ_NO_WAIT, &job);
	if (found_job == JOBQ_BUSY)
	{
		if (jobq_cancel_is_requested(job_id))
			(void) jobq_worker_interrupt(job_id);
		return false;
	}
	locked = jobq_table_slot(requests);
	found = jobq_table_lock(requests, &seen->tts_tid, snapshot, locked);
	if (found != JOBQ_FOUND)
		return found != JOBQ_BUSY;
	if (found_job == JOBQ_FOUND && jobq_queue_by_id(job.queue) != NULL)
		jobq_job_cancel(jobs, &job, jobq_queue_by_id(job.queue),
						isnull ? NULL : TextDatumGetCString(reason));
	jobq_table_delete(requests, locked);
	return true;
}

static bool
is_made_since(TupleTableSlot *request, TimestampTz since)
{
	bool		isnull;

	return DatumGetTimestampTz(slot_getattr(request,
											Anum_cancel_request_requested_at,
											&isnull)) >= since;
}

bool
jobq_cancel_requests_process(TimestampTz since)
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
		CHECK_FOR_INTERRUPTS();
		if (!is_made_since(slot, since) ||
			!process_request(jobs, requests, slot, snapshot))
			any_left = true;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	jobq_table_close(jobs);
	jobq_table_close(requests);
	return any_left;
}
