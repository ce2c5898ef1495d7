/*-------------------------------------------------------------------------
 *
 * find.c
 *	  The next job of an executor.
 *
 * IDENTIFICATION
 *	  bgworker/executor/find.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/find.h"

#include "dispatch/claim.h"
#include "job/attempt.h"
#include "job/cancel_request.h"
#include "job/failure.h"
#include "job/transition.h"
#include "job/unread_note.h"
#include "queue/queue_list.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/slot.h"
#include "shared/wake.h"

#include "access/detoast.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

/*
 * The jobs of a batch have at most this many bytes, so that its array fits into
 * memory, and jobs do not fail because of others.  A larger job is alone.
 */
#define BATCH_BYTES (16 * 1024 * 1024)

/* The queue that was served last; the others take precedence. */
static int32 last_queue = 0;

/*
 * The queue for which this process, and no other, was woken, until it has
 * looked there.  JOBQ_NO_QUEUE: none.
 */
static int32 owed_queue = JOBQ_NO_QUEUE;

/* Clears the `work` flag of a queue; returns whether it was set. */
static bool
clear_work(const JobqQueue *queue)
{
	return queue->state != NULL &&
		pg_atomic_read_u32(&queue->state->work) != 0 &&
		pg_atomic_exchange_u32(&queue->state->work, 0) != 0;
}

/*
 * If an executor was terminated during the next attempt, records that as its
 * failure, unless that executor does so itself: then the next look passes over the job.
 * If that cannot be read now, leaves the job as it is, and has all executors wait until it
 * can.  Returns whether any of this is so.
 */
static bool
count_termination(const JobqFinder *finder, const JobqQueue *queue,
				  JobqFound *found)
{
	JobqFailure failure;
	int			error;

	if (!jobq_job_was_terminated(&found->job, &failure, &error))
	{
		if (error == 0)
			return false;
		jobq_unread_note_error(error);
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NOTES);
		return true;
	}
	if (jobq_job_is_being_recorded(&found->job))
		return true;
	failure.waits_for_nobody = true;

	/* its report to on_dead may have large values */
	PushActiveSnapshot(GetLatestSnapshot());

	/* the coordinator may not have counted it yet */
	if (jobq_cancel_is_requested(found->job.id))
		jobq_job_cancel(finder->jobs, &found->job, queue, NULL);
	else
	{
		JobqState	state = jobq_job_fail(finder->jobs, &found->job, queue,
										  &failure);

		jobq_job_log_failure(state, &found->job, queue, &failure);
	}
	PopActiveSnapshot();
	return true;
}

/* Whether the job found last became ready after the transaction began. */
static bool
is_newer(const JobqFinder *finder, const JobqFound *found)
{
	return jobq_run_at_real(found->job.run_at) > finder->begun_at;
}

/* How many bytes the values of a job have for its handler, uncompressed. */
static Size
job_bytes(const JobqJob *job)
{
	static const AttrNumber columns[] = {
		Anum_job_payload, Anum_job_headers, Anum_job_tags
	};
	Size		bytes = 0;

	for (int i = 0; i < lengthof(columns); i++)
	{
		if (!job->nulls[columns[i] - 1])
			bytes += toast_raw_datum_size(job->values[columns[i] - 1]);
	}
	return bytes;
}

/*
 * Takes further jobs after the first one of a batch, each with a slot of its
 * own.  Terminated attempts are counted; then nothing is run.  A job that does not
 * fit stays locked as it is: the end of the transaction tells others of it.
 */
static void
find_batch(const JobqFinder *finder, const JobqQueue *queue,
		   JobqClaimScan *scan, JobqFound *found)
{
	Size		bytes = job_bytes(&found->job);

	found->batch = MemoryContextAlloc(finder->context,
									  queue->batch_size * sizeof(JobqJob));
	found->batch[found->njobs++] = found->job;
	found->counted = count_termination(finder, queue, found);
	while (found->njobs < queue->batch_size && bytes < BATCH_BYTES)
	{
		scan->locked = NULL;
		if (!jobq_claim_next(scan, &found->job))
			break;
		bytes += job_bytes(&found->job);
		if (bytes > BATCH_BYTES)
			break;
		found->batch[found->njobs++] = found->job;
		found->is_newer = found->is_newer || is_newer(finder, found);
		if (count_termination(finder, queue, found))
			found->counted = true;
	}
	found->job = found->batch[0];
}

/*
 * Looks for a job in one queue.  Clears its `work` flag first, so that a
 * transaction that adds jobs after this look sets it again.
 */
static bool
look_in_queue(const JobqFinder *finder, const JobqQueue *queue,
			  JobqFound *found)
{
	JobqClaimScan scan;
	bool		result;

	if (found->may_clear)
		(void) clear_work(queue);
	jobq_claim_begin(&scan, finder->jobs, queue, JOBQ_CLAIM_KEPT,
					 found->sharing != NULL ? found->sharing->begun_at :
					 jobq_queue_has_batches(queue) ? finder->begun_at :
					 JOBQ_NEVER);
	result = jobq_claim_next(&scan, &found->job);
	found->is_newer = result && is_newer(finder, found);
	if (result && jobq_queue_has_batches(queue))
		find_batch(finder, queue, &scan, found);
	if (result)
	{
		found->queue = queue;
		found->sees_more = found->sharing == NULL &&
			jobq_claim_sees_more(&scan);
		found->more = found->sees_more;
		found->start = scan.start;
		found->group_start = scan.group_start;
		if (found->sharing != NULL && !jobq_queue_counts_starts(queue))
			found->job.started_at = jobq_now();
	}
	jobq_claim_end(&scan);
	if (result && found->batch == NULL &&
		count_termination(finder, queue, found))
		found->counted = true;
	return result;
}

/* Whether the number of running jobs of the queue, or of its groups, is limited. */
static bool
is_limited(const JobqQueue *queue)
{
	return jobq_queue_is_limited(queue) || jobq_queue_limits_groups(queue);
}

/*
 * Whether a job of the queue may follow one of `last` (NULL: no longer served) in
 * the transaction.  The tickets of a limited queue are given back at the commit, so
 * jobs of other queues must not delay that.
 */
static bool
fits_limits(const JobqQueue *last, const JobqQueue *queue)
{
	if (queue == last)
		return true;
	return !is_limited(queue) && (last == NULL || !is_limited(last));
}

/* Looks in all queues once, beginning after the one served last. */
static bool
look_in_queues(const JobqFinder *finder, JobqFound *found)
{
	int			n = list_length(finder->queues);
	int			first = 0;
	const JobqQueue *last = NULL;

	for (int i = 0; i < n; i++)
	{
		const JobqQueue *queue = list_nth(finder->queues, i);

		if (queue->id != last_queue)
			continue;
		first = i + 1;
		last = queue;
	}
	for (int i = 0; i < n; i++)
	{
		JobqQueue  *queue = list_nth(finder->queues, (first + i) % n);

		if (queue->state != NULL &&
			pg_atomic_read_u32(&queue->state->drops) > 0)
			continue;
		if (found->sharing != NULL &&
			(!jobq_share_allows_queue(queue) ||
			 !fits_limits(last, queue)))
			continue;
		if (look_in_queue(finder, queue, found))
		{
			last_queue = queue->id;
			return true;
		}
	}
	return false;
}

/*
 * Clears all flags.  Returns false if one was set, in which case the caller
 * must look again.
 */
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
 * Whether another executor could be started.  If not, flags stay set, since
 * waking the coordinator for new jobs would be useless; it checks the flags
 * when a slot is freed.
 */
static bool
slots_are_left(Oid role)
{
	JobqWorkerCounts counts;

	jobq_slots_count(MyDatabaseId, role, &counts);
	return jobq_slots_have_room(&counts);
}

/*
 * Prepares to find jobs of a role's queues in a new transaction.  Allocates in
 * the given context, which must live until the end of the transaction.
 */
void
jobq_find_begin(JobqFinder *finder, Oid role, TimestampTz begun_at,
				MemoryContext context)
{
	memset(finder, 0, sizeof(*finder));
	finder->role = role;
	finder->begun_at = begun_at;
	finder->context = context;
}

/*
 * The role's queues, which other sessions or the jobs of this transaction may
 * have changed since the last look.
 */
static void
update_queues(JobqFinder *finder)
{
	uint64		number = jobq_queues_of_executor_number();
	MemoryContext oldcontext;

	if (finder->is_filled && finder->number == number)
		return;
	oldcontext = MemoryContextSwitchTo(finder->context);
	finder->is_filled = true;
	finder->number = number;
	finder->queues = jobq_queues_of_executor(finder->role);
	if (finder->queues != NIL && finder->jobs == NULL)
		finder->jobs = jobq_table_open(JOBQ_REL_JOB);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Finds and locks a job; returns false if there is none.  If found->counted is
 * set, a terminated attempt was counted, or will be, and the transaction must be
 * committed before looking again.
 */
bool
jobq_find_job(JobqFinder *finder, JobqFound *found)
{
	memset(found, 0, sizeof(*found));
	update_queues(finder);
	if (finder->queues == NIL)
		return false;
	found->may_clear = any_work(finder->queues) &&
		slots_are_left(finder->role);
	do
	{
		if (look_in_queues(finder, found))
		{
			/* the queues it did not reach are left to others */
			found->more = found->more || any_work(finder->queues);
			return true;
		}
	} while (!clear_all_work(finder->queues));
	owed_queue = JOBQ_NO_QUEUE;
	return false;
}

void
jobq_find_owe(int32 queue)
{
	owed_queue = queue;
}

int32
jobq_find_owed(int32 taken)
{
	int32		owed = owed_queue == taken ? JOBQ_NO_QUEUE : owed_queue;

	owed_queue = JOBQ_NO_QUEUE;
	return owed;
}

/* The job that was found does not start now. */
void
jobq_find_undo_start(JobqFound *found)
{
	jobq_start_undo(&found->start);
	jobq_start_undo_of_group(&found->group_start);
}

/*
 * Finds and locks a job that may run after others in the same transaction.
 * Returns false if there is none; there may still be jobs that cannot share
 * it.
 *
 * Does not change flags of queues or wake other executors: the transaction
 * that added these jobs after the first look has woken another process or set
 * a flag.
 */
bool
jobq_find_another_job(JobqFinder *finder, const JobqSharing *sharing,
					  JobqFound *found)
{
	int32		previous = last_queue;

	memset(found, 0, sizeof(*found));
	found->sharing = sharing;
	update_queues(finder);
	if (!look_in_queues(finder, found))
		return false;
	if (!found->counted &&
		jobq_share_allows_job(sharing, &found->job, found->queue))
		return true;
	/* its queue has not been served: leave it to the next transaction */
	jobq_find_undo_start(found);
	last_queue = previous;
	return false;
}

/* At the end of the transaction, if it commits. */
void
jobq_find_end(JobqFinder *finder)
{
	if (finder->jobs != NULL)
		jobq_table_close(finder->jobs);
	finder->jobs = NULL;
}
