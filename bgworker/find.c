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
#include "guc.h"
#include "run.h"

#include "miscadmin.h"

/* The queue that was served last: the others come first. */
static int32 last_queue = 0;

/* Clears the `work` flag of a queue; whether it was set. */
static bool
clear_work(const JobqQueue *queue)
{
	return queue->state != NULL &&
		pg_atomic_read_u32(&queue->state->work) != 0 &&
		pg_atomic_exchange_u32(&queue->state->work, 0) != 0;
}

/*
 * If an executor was terminated in the attempt that would come next, writes
 * that down as its failure.
 */
static bool
count_termination(const JobqQueue *queue, JobqFound *found)
{
	JobqFailure failure = {0};
	TimestampTz started_at;

	if (!jobq_worker_was_terminated(found->job.id,
									jobq_job_current_attempt(&found->job),
									&started_at))
		return false;
	found->job.started_at = started_at;
	failure.outcome = "crashed";
	failure.sqlstate = "57P01";
	failure.message = "the background worker was terminated while the job was running";
	failure.retryable = true;
	failure.retry_in = -1;
	(void) jobq_job_fail(found->jobs, &found->job, queue, &failure);
	return true;
}

/*
 * Looks for a job in one queue.  Its `work` flag is cleared before that, so
 * that whoever adds jobs after this look sets it anew.
 */
static bool
look_in_queue(const JobqQueue *queue, JobqFound *found)
{
	JobqReadyScan scan;
	bool		result;

	if (found->may_clear)
		(void) clear_work(queue);
	jobq_ready_begin(&scan, found->jobs, queue);
	result = jobq_ready_next(&scan, &found->job);
	if (result)
	{
		TimestampTz started_at = found->job.started_at;

		found->queue = queue;
		found->more = jobq_ready_sees_more(&scan);

		/* the job may run long: pin no page meanwhile */
		ExecMaterializeSlot(found->job.slot);
		jobq_job_read(&found->job, found->job.slot);
		found->job.started_at = started_at;
	}
	jobq_ready_end(&scan);
	if (result && count_termination(queue, found))
		found->counted = true;
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

/* Clears all flags.  False if one was set: look again. */
static bool
clear_all_work(List *queues)
{
	bool		clear = true;
	ListCell   *lc;

	foreach(lc, queues)
	{
		if (clear_work(lfirst(lc)))
			clear = false;
	}
	return clear;
}

/* Whether a flag of these queues is set. */
static bool
any_work(List *queues)
{
	ListCell   *lc;

	foreach(lc, queues)
	{
		const JobqQueue *queue = lfirst(lc);

		if (queue->state != NULL &&
			pg_atomic_read_u32(&queue->state->work) != 0)
			return true;
	}
	return false;
}

/*
 * Whether another executor could be started.  Where not, flags stay set: it
 * is of no use then that whoever adds jobs wakes the coordinator.  It looks at
 * the flags when a slot is freed.
 */
static bool
slots_are_left(Oid role)
{
	JobqWorkerCounts counts;

	jobq_worker_count(MyDatabaseId, role, &counts);
	return counts.total < jobq_max_workers;
}

/*
 * Finds and locks a job of the role's queues.  False if there is none, or
 * found->counted says that the transaction is to be committed first.
 */
bool
jobq_find_job(Oid role, JobqFound *found)
{
	List	   *queues = jobq_queues_of_executor(role);

	memset(found, 0, sizeof(*found));
	if (queues == NIL)
		return false;
	found->jobs = jobq_table_open(JOBQ_REL_JOB);
	found->may_clear = any_work(queues) && slots_are_left(role);
	do
	{
		if (look_in_queues(queues, found))
		{
			if (found->counted)
				break;
			/* those it did not get to are somebody else's now */
			found->more = found->more || any_work(queues);
			return true;
		}
	} while (!clear_all_work(queues));
	jobq_table_close(found->jobs);
	found->jobs = NULL;
	return false;
}
