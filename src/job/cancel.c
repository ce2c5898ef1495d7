/*-------------------------------------------------------------------------
 *
 * cancel.c
 *	  Cancelling jobs.
 *
 * A job whose row can be locked is cancelled at once, by the requesting
 * transaction.  A job whose row is locked is being run inside a transaction or
 * being claimed, and nobody waits for that.  Instead, a row in cancel_request
 * records the request durably; the coordinator interrupts the executor that
 * runs the job, and cancels the job when it is free.  The request is removed
 * when the job is gone, or at the latest when the job is revived.
 *
 * IDENTIFICATION
 *	  src/job/cancel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/cancel.h"

#include "base/row_holder.h"
#include "base/subtransaction.h"
#include "base/table_find.h"
#include "job/cancel_request.h"
#include "job/large_row.h"
#include "job/transition.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/slot_job.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

bool
jobq_cancel_or_request(int64 job_id, const char *reason)
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
			/* the transaction deleting the row has done the job's work */
			result = !jobq_row_is_going(jobs->rel, job.slot,
										jobq_table_slot(jobs));
			if (result)
				jobq_cancel_request(job_id, reason);
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

/* A pass over the requests. */
typedef struct Pass
{
	TimestampTz now;
	int64		bytes;			/* of jobs that were cancelled */
} Pass;

/* Whether other tasks have their turn before a job is moved to history. */
static bool
is_too_long(const Pass *pass, const JobqJob *job)
{
	Size		length = jobq_row_bytes(job->slot);
	TimestampTz again;

	return pass->bytes >= JOBQ_MOVE_BYTES ||
		jobq_large_row_waits(length, pass->now, &again);
}

/* Cancels a job whose row is locked. */
static void
cancel_locked(Pass *pass, JobqTable *jobs, JobqJob *job, const char *reason)
{
	Size		length = jobq_row_bytes(job->slot);

	jobq_large_row_begin(length);
	jobq_job_cancel(jobs, job, jobq_queue_by_id(job->queue), reason);
	jobq_large_row_end();
	pass->bytes += length;
}

/*
 * Carries out the scan's current request, unless it was withdrawn because its
 * job was revived.  Returns false if the request must be looked at again.
 */
static bool
process_request(Pass *pass, JobqTable *jobs, JobqTable *requests,
				TupleTableSlot *seen, Snapshot snapshot)
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
			(void) jobq_slot_interrupt(job_id);
		return false;
	}
	if (found_job == JOBQ_FOUND && is_too_long(pass, &job))
		return false;
	locked = jobq_table_slot(requests);
	found = jobq_table_lock(requests, &seen->tts_tid, snapshot, locked);
	if (found != JOBQ_FOUND)
		return found != JOBQ_BUSY;
	if (found_job == JOBQ_FOUND && jobq_queue_by_id(job.queue) != NULL)
		cancel_locked(pass, jobs, &job,
					  isnull ? NULL : TextDatumGetCString(reason));
	jobq_table_delete(requests, locked);
	return true;
}

/* A request that is carried out in a subtransaction. */
typedef struct Request
{
	Pass	   *pass;
	TupleTableSlot *seen;
	Snapshot	snapshot;
	bool		done;
} Request;

/* For jobq_subtransaction(). */
static void
process_alone(void *arg)
{
	Request    *request = arg;
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);

	request->done = process_request(request->pass, jobs, requests,
									request->seen, request->snapshot);
	jobq_table_close(jobs);
	jobq_table_close(requests);
}

/*
 * The same in a subtransaction, so that an error is in no other request's way;
 * false after one, too.
 */
static bool
process_carefully(Pass *pass, TupleTableSlot *seen, Snapshot snapshot)
{
	Request		request = {pass, seen, snapshot, false};
	bool		isnull;
	int64		job_id = DatumGetInt64(slot_getattr(seen,
													Anum_cancel_request_job_id,
													&isnull));

	return jobq_subtransaction_for_job(process_alone, &request, "cancel",
									   job_id) && request.done;
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
jobq_cancel_requests_process(TimestampTz since, bool careful)
{
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(requests);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(requests->rel, snapshot, 0, NULL);
	Pass		pass = {jobq_now(), 0};
	bool		any_left = false;

	PushActiveSnapshot(snapshot);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_made_since(slot, since) ||
			!(careful ? process_carefully(&pass, slot, snapshot) :
			  process_request(&pass, jobs, requests, slot, snapshot)))
			any_left = true;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	jobq_table_close(jobs);
	jobq_table_close(requests);
	return any_left;
}
