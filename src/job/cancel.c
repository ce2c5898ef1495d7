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

#include "base/home.h"
#include "base/row_holder.h"
#include "base/subtransaction.h"
#include "base/table_find.h"
#include "base/walk.h"
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

/* See cancel.h. */
void
jobq_cancel_interrupt(void)
{
	int64		running[JOBQ_MAX_WORKER_SLOTS];
	int			n = jobq_slots_running(running);

	for (int i = 0; i < n; i++)
	{
		if (jobq_cancel_is_requested(running[i]))
			jobq_slot_interrupt(running[i]);
	}
}

/* A part of a pass takes about this long, in microseconds. */
#define PART_TIME (10 * INT64CONST(1000))

/* A part of a pass over the requests. */
typedef struct Part
{
	JobqCancelPass *pass;
	JobqTable  *jobs;
	TimestampTz now;
	int64		bytes;			/* of jobs that were cancelled */
} Part;

/* Whether other tasks have their turn before a job is moved to history. */
static bool
is_too_long(const Part *part, const JobqJob *job)
{
	Size		length = jobq_row_bytes(job->slot);
	TimestampTz again;

	return part->bytes >= JOBQ_MOVE_BYTES ||
		jobq_large_row_waits(length, part->now, &again);
}

/* Cancels a job whose row is locked. */
static void
cancel_locked(Part *part, JobqTable *jobs, JobqJob *job, const char *reason)
{
	Size		length = jobq_row_bytes(job->slot);

	jobq_large_row_begin(length);
	jobq_job_cancel(jobs, job, jobq_queue_by_id(job->queue), reason);
	jobq_large_row_end();
	part->bytes += length;
}

/*
 * Carries out the scan's current request, unless it was withdrawn because its
 * job was revived.  Returns false if the request must be looked at again.
 */
static bool
process_request(Part *part, JobqTable *jobs, JobqTable *requests,
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
			jobq_slot_interrupt(job_id);
		return false;
	}
	if (found_job == JOBQ_FOUND && is_too_long(part, &job))
		return false;
	locked = jobq_table_slot(requests);
	found = jobq_table_lock(requests, &seen->tts_tid, snapshot, locked);
	if (found != JOBQ_FOUND)
		return found != JOBQ_BUSY;
	if (found_job == JOBQ_FOUND && jobq_queue_by_id(job.queue) != NULL)
		cancel_locked(part, jobs, &job,
					  isnull ? NULL : TextDatumGetCString(reason));
	jobq_table_delete(requests, locked);
	return true;
}

/* A request that is carried out in a subtransaction. */
typedef struct Request
{
	Part	   *part;
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

	request->done = process_request(request->part, jobs, requests,
									request->seen, request->snapshot);
	jobq_table_close(jobs);
	jobq_table_close(requests);
}

/*
 * The same in a subtransaction, so that an error is in no other request's way;
 * false after one, too.
 */
static bool
process_carefully(Part *part, TupleTableSlot *seen, Snapshot snapshot)
{
	Request		request = {part, seen, snapshot, false};
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

/*
 * For jobq_walk_rows(): the next part goes on once many bytes were moved.  A request
 * that a dump has brought waits for start(): its job may not be restored yet.
 */
static bool
visit_request(JobqTable *requests, TupleTableSlot *request, Snapshot snapshot,
			  void *arg)
{
	Part	   *part = arg;

	if (!jobq_row_is_at_home(request, Anum_cancel_request_system_identifier,
							 Anum_cancel_request_database))
		return true;
	if (!is_made_since(request, part->pass->since) ||
		!(part->pass->careful ?
		  process_carefully(part, request, snapshot) :
		  process_request(part, part->jobs, requests, request, snapshot)))
		part->pass->any_left = true;
	return part->bytes < JOBQ_MOVE_BYTES;
}

/* For jobq_walk(). */
static BlockNumber
visit_requests(ItemPointer from, ItemPointer to, void *arg)
{
	Part	   *part = arg;
	JobqTable  *requests = jobq_table_open(JOBQ_REL_CANCEL_REQUEST);
	BlockNumber stopped;

	part->jobs = jobq_table_open(JOBQ_REL_JOB);
	stopped = jobq_walk_rows(requests, from, to, visit_request, part);
	jobq_table_close(part->jobs);
	jobq_table_close(requests);
	return stopped;
}

void
jobq_cancel_requests_process(JobqCancelPass *pass)
{
	Part		part = {.pass = pass,.now = jobq_now()};
	JobqWalk	walk = {.relation = JOBQ_REL_CANCEL_REQUEST,
	.visit = visit_requests,.arg = &part};
	int64		began = jobq_stopwatch();

	PushActiveSnapshot(GetLatestSnapshot());
	do
		pass->next = jobq_walk(&walk, pass->next, 1);
	while (pass->next != InvalidBlockNumber &&
		   part.bytes < JOBQ_MOVE_BYTES &&
		   jobq_stopwatch() - began < PART_TIME);
	PopActiveSnapshot();
}
