/*-------------------------------------------------------------------------
 *
 * cancel_request.c
 *	  Requests to cancel a job whose row is locked while it runs.
 *
 * IDENTIFICATION
 *	  src/job/cancel_request.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/cancel_request.h"

#include "base/extension.h"
#include "base/home.h"
#include "base/table.h"
#include "base/table_find.h"
#include "job/failure.h"
#include "shared/clock.h"
#include "shared/wake.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "utils/timestamp.h"

/*
 * Leaves a request, unless there is one.  Of a long reason, the coordinator
 * reads only as much as it keeps.
 */
void
jobq_cancel_request(int64 job_id, const char *reason)
{
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	Datum		values[Natts_cancel_request] = {0};
	bool		nulls[Natts_cancel_request] = {0};
	ItemPointerData conflict;

	values[Anum_cancel_request_job_id - 1] = Int64GetDatum(job_id);
	nulls[Anum_cancel_request_reason - 1] = reason == NULL;
	if (reason != NULL)
		values[Anum_cancel_request_reason - 1] =
			PointerGetDatum(jobq_bounded_text(reason));
	values[Anum_cancel_request_requested_at - 1] =
		TimestampTzGetDatum(jobq_now());
	values[Anum_cancel_request_system_identifier - 1] =
		Int64GetDatum(jobq_home_identifier());
	values[Anum_cancel_request_database - 1] = ObjectIdGetDatum(MyDatabaseId);
	(void) jobq_table_insert_unique(requests,
									jobq_relation_oid(JOBQ_IDX_CANCEL_REQUEST),
									values, nulls, &conflict);
	jobq_table_close(requests);
	jobq_at_commit_wake(JOBQ_WAKE_CANCEL);
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

/* See find_request(), for a table that is not empty. */
static bool
search_requests(Relation rel, int64 job_id, char **reason)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found;

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
	return found;
}

/*
 * Whether there is a cancel_request for the job.  *reason is what it says,
 * palloc'd, or NULL.  Usually none has been made since the table was created or
 * vacuumed: its file is empty then, which costs much less to find out.  The table
 * stays locked, since a transaction that completes its own claims asks for each.
 */
static bool
find_request(int64 job_id, char **reason)
{
	Relation	rel = jobq_relation_open(JOBQ_REL_CANCEL_REQUEST);
	bool		found;

	*reason = NULL;
	found = RelationGetNumberOfBlocks(rel) > 0 &&
		search_requests(rel, job_id, reason);
	table_close(rel, NoLock);
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
