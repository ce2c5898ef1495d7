/*-------------------------------------------------------------------------
 *
 * find.c
 *	  The next job of an executor.
 *
 * IDENTIFICATION
 *	  bgworker/find.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "claim.h"
#include "run.h"

/* The queue that was served last: the others come first. */
static int32 last_queue = 0;

/* Whether the scan's next row is a job that could be run, too. */
static bool
sees_more(JobqReadyScan *scan)
{
	JobqJob		next;

	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return false;
	jobq_job_read(&next, scan->slot);
	return next.state == JOBQ_STATE_PENDING && next.run_at <= scan->now;
}

/* Looks for a job in one queue. */
static bool
look_in_queue(const JobqQueue *queue, JobqFound *found)
{
	JobqReadyScan scan;
	bool		result;

	jobq_ready_begin(&scan, found->jobs, queue);
	result = jobq_ready_next(&scan, &found->job);
	if (result)
	{
		TimestampTz started_at = found->job.started_at;

		found->queue = queue;
		found->more = sees_more(&scan);

		/* the job may run long: pin no page meanwhile */
		ExecMaterializeSlot(found->job.slot);
		jobq_job_read(&found->job, found->job.slot);
		found->job.started_at = started_at;
	}
	jobq_ready_end(&scan);
	return result;
}

/* Looks in all queues once, beginning after the one that was served last. */
static bool
look_in_queues(List *queues, JobqFound *found)
{
	int			n = list_length(queues);
	int			first = 0;

	for (int i = 0; i < n; i++)
	{
		if (((JobqQueue *) list_nth(queues, i))->id == last_queue)
			first = i + 1;
	}
	for (int i = 0; i < n; i++)
	{
		JobqQueue  *queue = list_nth(queues, (first + i) % n);

		if (look_in_queue(queue, found))
		{
			last_queue = queue->id;
			return true;
		}
	}
	return false;
}

/*
 * Says that these queues have been looked at.  False if somebody said
 * meanwhile that there is work.
 */
static bool
clear_work(List *queues)
{
	bool		clear = true;
	ListCell   *lc;

	foreach(lc, queues)
	{
		JobqQueueState *state = ((JobqQueue *) lfirst(lc))->state;

		if (state != NULL && pg_atomic_read_u32(&state->work) != 0 &&
			pg_atomic_exchange_u32(&state->work, 0) != 0)
			clear = false;
	}
	return clear;
}

/*
 * Finds and locks a job of the role's queues.  The queues' `work` flags are
 * cleared before the last look, so that what comes later sets them again.
 */
bool
jobq_find_job(Oid role, JobqFound *found)
{
	List	   *queues = jobq_queues_of_executor(role);

	memset(found, 0, sizeof(*found));
	if (queues == NIL)
		return false;
	found->jobs = jobq_table_open(JOBQ_REL_JOB);
	do
	{
		if (look_in_queues(queues, found))
			return true;
	} while (!clear_work(queues));
	jobq_table_close(found->jobs);
	found->jobs = NULL;
	return false;
}
