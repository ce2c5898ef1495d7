/*-------------------------------------------------------------------------
 *
 * finish.c
 *	  How external workers finish or keep jobs that they hold by a lease:
 *	  complete, complete_many, fail, release, heartbeat.
 *
 * All of these lock the job's row and compare its lease, which is a fencing
 * token: a worker that has lost the lease changes nothing.
 *
 * IDENTIFICATION
 *	  src/dispatch/finish.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/finish.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "compat.h"
#include "dispatch/lease_load.h"
#include "job/cancel_request.h"
#include "job/failure.h"
#include "job/history.h"
#include "job/transition.h"
#include "jobq.h"
#include "queue/lease_note.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_lock.h"
#include "shared/async_commit.h"
#include "shared/clock.h"
#include "shared/note.h"
#include "shared/slot_job.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_complete);
PG_FUNCTION_INFO_V1(jobq_complete_many);
PG_FUNCTION_INFO_V1(jobq_fail);
PG_FUNCTION_INFO_V1(jobq_release);
PG_FUNCTION_INFO_V1(jobq_heartbeat);

/* Whether this lease currently holds a locked job. */
static bool
is_held(const JobqJob *job, int64 lease)
{
	return job->state == JOBQ_STATE_RUNNING && job->lease == lease &&
		job->lease_until > jobq_now();
}

/*
 * Raises 55000 for a leased job that an executor runs, such as a procedure: if
 * it called this, or gave its lease to others, two processes would run the job
 * at a time.  Such a lease has no end.
 */
static void
refuse_to_executor(const JobqJob *job)
{
	if (job->lease_until == JOBQ_NEVER && jobq_slot_runs_job(job->id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job " INT64_FORMAT " is being run by a background worker, which will finish it",
						job->id),
				 errhint("Its handler may return, raise an error, or call jobq.retry_in() or jobq.discard().")));
}

/*
 * Whether cancellation was requested for a job whose row was written by this
 * transaction, so that nobody else could have cancelled it since.
 */
static bool
is_to_be_cancelled(const JobqJob *job)
{
	bool		isnull;
	Datum		xmin = slot_getsysattr(job->slot,
									   MinTransactionIdAttributeNumber,
									   &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)) &&
		jobq_cancel_is_requested(job->id);
}

/* Explains why the lease does not hold a locked job, or not for long. */
static const char *
explain_loss(int64 lease, const JobqJob *job)
{
	const JobqQueue *queue;

	if (job->state != JOBQ_STATE_RUNNING)
		return "Nobody holds the job.";
	if (job->lease != lease)
		return "Another worker holds the job.";
	if (is_held(job, lease))
		return "The job is to be cancelled.";
	queue = jobq_queue_by_id(job->queue);
	return queue != NULL && jobq_job_ends_by_timeout(job, queue) ?
		"The job's timeout is over." : "The lease has run out.";
}

/* Raises JQ001; `found` is how the job was found, if it was. */
static void
report_lost_lease(int64 id, int64 lease, JobqFindResult found,
				  const JobqJob *job)
{
	if (found == JOBQ_BUSY)
		ereport(ERROR,
				(errcode(ERRCODE_JOBQ_LEASE_LOST),
				 errmsg("the lease is not held yet"),
				 errdetail("Another transaction has claimed or changed job " INT64_FORMAT " and has not ended yet.",
						   id),
				 errhint("If this worker claimed the job, commit after dequeue; until then there is no claim.")));
	ereport(ERROR,
			(errcode(ERRCODE_JOBQ_LEASE_LOST),
			 errmsg("the lease is lost"),
			 errdetail("Lease " INT64_FORMAT " does not hold job " INT64_FORMAT ". %s",
					   lease, id, found == JOBQ_MISSING ?
					   "The job is finished or does not exist." :
					   explain_loss(lease, job)),
			 errhint("Discard what this attempt did. A longer lease, or heartbeats, can keep a lease from running out before the job's timeout.")));
}

/*
 * Locks a job that the lease holds, for a user who may consume from its queue.
 * Waits for a transaction that is changing the job, but not for one that has
 * claimed it and not committed.
 */
static JobqFindResult
lock_job(JobqTable *jobs, int64 id, int64 lease, JobqJob *job)
{
	return jobq_job_lock_for(jobs, id, JOBQ_WAIT_IF_WANTED,
							 JOBQ_PRIV_CONSUME, &lease, job);
}

/*
 * Returns the queue of a locked job that the lease holds; raises JQ001 if the
 * lease does not hold it.
 */
static const JobqQueue *
require_held(JobqFindResult found, int64 id, int64 lease, const JobqJob *job)
{
	if (found != JOBQ_FOUND || !is_held(job, lease) ||
		is_to_be_cancelled(job))
		report_lost_lease(id, lease, found, job);
	return jobq_queue_by_id(job->queue);
}

/*
 * Locks a job that is to be ended, which must be held by this lease, now;
 * raises JQ001 if it is not, 42501 if the user may not consume its queue, and
 * 55000 if an executor runs it.
 */
static const JobqQueue *
lock_held_job(JobqTable *jobs, int64 id, int64 lease, JobqJob *job)
{
	const JobqQueue *queue = require_held(lock_job(jobs, id, lease, job), id,
										  lease, job);

	refuse_to_executor(job);
	return queue;
}

/* The arguments job_id and lease, which every function here begins with. */
static void
require_job_and_lease(FunctionCallInfo fcinfo)
{
	jobq_require_argument(fcinfo, 0, "job_id");
	jobq_require_argument(fcinfo, 1, "lease");
}

/*
 * Completes a job that is locked, and held by the lease.  The table of history
 * may have to be waited for.
 */
static void
complete_locked(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				const JobqEnd *end)
{
	uint64		waits = jobq_relation_waits();

	jobq_job_complete(jobs, job, queue, end);
	jobq_queue_recheck_job_after(waits, queue, JOBQ_PRIV_CONSUME, job->id);
}

/*
 * Completes a job that is held by a lease.  The usual case uses the row as
 * found.  If that fails, or another transaction has locked the row, it must be
 * locked first and checked again, since the lease may run out meanwhile.
 */
static bool
complete_held(JobqReader *reader, TupleTableSlot *slot, int64 id, int64 lease,
			  const JobqEnd *end, JobqJob *job)
{
	JobqTable  *jobs = reader->table;
	uint64		waits = jobq_relation_waits();
	const JobqQueue *queue;

	if (jobq_job_find_next(reader, id, slot, job) && is_held(job, lease) &&
		(queue = jobq_queue_by_id(job->queue)) != NULL)
	{
		jobq_queue_check_job_privilege(queue, JOBQ_PRIV_CONSUME, id);
		refuse_to_executor(job);
		if (queue->sync_completion)
			jobq_async_commit_forbid();
		if (!is_to_be_cancelled(job) &&
			jobq_job_complete_as_seen(jobs, job, queue, end))
		{
			jobq_queue_recheck_job_after(waits, queue, JOBQ_PRIV_CONSUME, id);
			return true;
		}
	}
	jobq_reader_rest(reader);
	jobq_async_commit_forbid();
	return false;
}

Datum
jobq_complete(PG_FUNCTION_ARGS)
{
	JobqEnd		end = {.result_is_null = PG_ARGISNULL(2)};
	JobqTable  *jobs;
	JobqReader	reader;
	JobqJob		job;

	jobq_begin_write("jobq.complete()");
	require_job_and_lease(fcinfo);
	if (!end.result_is_null)
		end.result = PG_GETARG_DATUM(2);
	jobq_async_commit_begin(true);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	jobq_job_reader_begin(&reader, jobs);
	if (!complete_held(&reader, jobq_table_slot(jobs), PG_GETARG_INT64(0),
					   PG_GETARG_INT64(1), &end, &job))
	{
		const JobqQueue *queue = lock_held_job(jobs, PG_GETARG_INT64(0),
											   PG_GETARG_INT64(1), &job);

		complete_locked(jobs, &job, queue, &end);
	}
	jobq_reader_end(&reader);
	jobq_table_close(jobs);
	jobq_async_commit_end();
	PG_RETURN_VOID();
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* Notes the queue of a job that was completed.  Usually all jobs have the same one. */
static void
note_queue(JobqCompletedQueues *queues, const JobqJob *job)
{
	for (int i = queues->n - 1; i >= 0; i--)
	{
		if (queues->of[i].queue == job->queue)
			return;
	}
	if (queues->n >= queues->max)
	{
		queues->max = Max(2 * queues->max, 4);
		queues->of = queues->of == NULL ?
			palloc(queues->max * sizeof(*queues->of)) :
			repalloc(queues->of, queues->max * sizeof(*queues->of));
	}
	queues->of[queues->n].queue = job->queue;
	queues->of[queues->n++].job_id = job->id;
}

/* See finish.h. */
void
jobq_finish_recheck(const JobqCompletedQueues *queues)
{
	if (!queues->waited && jobq_relation_waits() == queues->waits)
		return;
	for (int i = 0; i < queues->n; i++)
		jobq_queue_recheck_job(queues->of[i].queue, JOBQ_PRIV_CONSUME,
							   queues->of[i].job_id);
}

/*
 * See finish.h.  Rows are locked in the order of their ids, so that two calls with jobs in
 * common do not deadlock.  A duplicate id counts once.
 */
int
jobq_finish_complete_jobs(JobqTable *jobs, const Datum *ids, int nids,
						  int64 lease, JobqCompletedQueues *queues)
{
	int64	   *sorted = palloc(Max(nids, 1) * sizeof(int64));
	TupleTableSlot *slot = jobq_table_slot(jobs);
	JobqReader	reader;
	int			completed = 0;

	memset(queues, 0, sizeof(*queues));
	queues->waits = jobq_relation_waits();
	jobq_job_reader_begin(&reader, jobs);
	for (int i = 0; i < nids; i++)
		sorted[i] = DatumGetInt64(ids[i]);
	qsort(sorted, nids, sizeof(int64), compare_ids);
	for (int i = 0; i < nids; i++)
	{
		JobqJob		job;

		CHECK_FOR_INTERRUPTS();
		/* the reader's snapshot shows what this call has deleted */
		if (i > 0 && sorted[i] == sorted[i - 1])
			continue;
		if (complete_held(&reader, slot, sorted[i], lease, &jobq_no_result,
						  &job))
		{
			note_queue(queues, &job);
			completed++;
			continue;
		}
		queues->waited = true;
		if (lock_job(jobs, sorted[i], lease, &job) != JOBQ_FOUND ||
			!is_held(&job, lease) || is_to_be_cancelled(&job))
			continue;
		refuse_to_executor(&job);
		complete_locked(jobs, &job, jobq_queue_by_id(job.queue),
						&jobq_no_result);
		note_queue(queues, &job);
		completed++;
	}
	jobq_reader_end(&reader);
	jobq_table_put_slot_back(jobs, slot);
	pfree(sorted);
	return completed;
}

Datum
jobq_complete_many(PG_FUNCTION_ARGS)
{
	JobqTable  *jobs;
	Datum	   *ids;
	int			nids;
	int			completed;
	JobqCompletedQueues queues;

	jobq_begin_write("jobq.complete_many()");
	jobq_require_argument(fcinfo, 0, "job_ids");
	jobq_require_argument(fcinfo, 1, "lease");
	ids = jobq_array_elements("job_ids", PG_GETARG_ARRAYTYPE_P(0), INT8OID,
							  NULL, &nids);
	jobq_async_commit_begin(true);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	completed = jobq_finish_complete_jobs(jobs, ids, nids, PG_GETARG_INT64(1),
										  &queues);
	jobq_finish_recheck(&queues);
	jobq_table_close(jobs);
	jobq_async_commit_end();
	PG_RETURN_INT32(completed);
}

Datum
jobq_fail(PG_FUNCTION_ARGS)
{
	JobqFailure failure = {0};
	JobqTable  *jobs;
	const JobqQueue *queue;
	JobqJob		job;
	JobqState	state;
	TimestampTz now;
	bool		is_due;

	jobq_begin_write("jobq.fail()");
	require_job_and_lease(fcinfo);
	jobq_require_argument(fcinfo, 2, "error");
	failure.outcome = JOBQ_FAILURE_FAILED;
	failure.message = text_to_cstring(PG_GETARG_TEXT_PP(2));
	failure.data = PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3);
	failure.retry_in = PG_ARGISNULL(4) ? -1 :
		jobq_duration_argument(fcinfo, 4, "retry_in", true);
	failure.retryable = PG_ARGISNULL(5) ? true : PG_GETARG_BOOL(5);

	jobs = jobq_table_open(JOBQ_REL_JOB);
	queue = lock_held_job(jobs, PG_GETARG_INT64(0), PG_GETARG_INT64(1),
						  &job);
	if (jobq_job_ask_backoff(&job, queue, &failure))
		queue = lock_held_job(jobs, PG_GETARG_INT64(0),
							  PG_GETARG_INT64(1), &job);
	state = jobq_job_fail(jobs, &job, queue, &failure);
	jobq_queue_recheck_job(job.queue, JOBQ_PRIV_CONSUME, job.id);
	jobq_table_close(jobs);
	now = jobq_now();
	is_due = job.run_at <= now && !jobq_job_is_held(&job, now);
	PG_RETURN_TEXT_P(cstring_to_text(jobq_state_name(state, is_due)));
}

Datum
jobq_release(PG_FUNCTION_ARGS)
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	JobqJob		job;
	int64		delay;

	jobq_begin_write("jobq.release()");
	require_job_and_lease(fcinfo);
	delay = PG_ARGISNULL(2) ? 0 :
		jobq_duration_argument(fcinfo, 2, "delay", true);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	queue = lock_held_job(jobs, PG_GETARG_INT64(0), PG_GETARG_INT64(1),
						  &job);
	jobq_job_release(jobs, &job, queue, delay);
	jobq_table_close(jobs);
	PG_RETURN_VOID();
}

/*
 * Whether a job was cancelled while this lease held it; false for a user who
 * may not consume from the queue.
 */
static bool
was_cancelled(int64 id, int64 lease)
{
	JobqTable  *history;
	TupleTableSlot *slot = jobq_history_read(id, &history);
	const JobqQueue *queue;
	bool		isnull;
	bool		result;

	if (slot == NULL)
		return false;
	queue = jobq_history_queue(slot);
	result = lease != 0 && queue != NULL &&
		jobq_queue_allows(queue, GetUserId(), JOBQ_PRIV_CONSUME) &&
		DatumGetInt16(slot_getattr(slot, Anum_history_state, &isnull)) ==
		JOBQ_STATE_CANCELLED &&
		DatumGetInt64(slot_getattr(slot, Anum_history_lease, &isnull)) ==
		lease;
	jobq_table_close(history);
	return result;
}

/* Returns when a lease that is extended now ends. */
static TimestampTz
extended_until(FunctionCallInfo fcinfo, const JobqJob *job,
			   const JobqQueue *queue)
{
	int64		extend = PG_ARGISNULL(2) ? queue->lease :
	jobq_duration_argument(fcinfo, 2, "extend", false);
	int64		timeout = jobq_job_timeout(job, queue);
	TimestampTz until = jobq_now() + extend;

	if (job->lease_until == JOBQ_NEVER)
		return JOBQ_NEVER;
	if (timeout > 0)
		until = Min(until, job->started_at + timeout);
	return until;
}

/*
 * Extends the lease of a locked job.  A pass over the table that counts running jobs
 * may miss the row where it was and where it is, so it is counted before the commit.
 */
static void
extend(JobqTable *jobs, JobqJob *job, TimestampTz until, Datum progress,
	   bool progress_is_null)
{
	TimestampTz before = job->lease_until;
	bool		moves = jobq_job_extend(jobs, job, until, progress,
										progress_is_null);

	/* the registry has all that are bound to a session */
	if (until == JOBQ_NEVER)
		return;
	if (moves && jobq_lease_enter_moved(job, before))
		moves = false;
	jobq_at_commit_lease(job->id, job->lease, until,
						 moves ? job->queue : JOBQ_NO_QUEUE);
}

Datum
jobq_heartbeat(PG_FUNCTION_ARGS)
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	JobqJob		job;
	JobqFindResult found;
	uint64		waits;
	int64		id;
	int64		lease;

	jobq_begin_write("jobq.heartbeat()");
	require_job_and_lease(fcinfo);
	id = PG_GETARG_INT64(0);
	lease = PG_GETARG_INT64(1);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	found = lock_job(jobs, id, lease, &job);
	if ((found == JOBQ_MISSING || found == JOBQ_BUSY) &&
		was_cancelled(id, lease))
	{
		jobq_table_close(jobs);
		PG_RETURN_BOOL(false);
	}
	if (found == JOBQ_FOUND && is_held(&job, lease) &&
		is_to_be_cancelled(&job))
	{
		jobq_table_close(jobs);
		PG_RETURN_BOOL(false);
	}
	queue = require_held(found, id, lease, &job);
	waits = jobq_relation_waits();
	extend(jobs, &job, extended_until(fcinfo, &job, queue),
		   PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3), PG_ARGISNULL(3));
	jobq_queue_recheck_job_after(waits, queue, JOBQ_PRIV_CONSUME, id);
	jobq_table_close(jobs);
	PG_RETURN_BOOL(true);
}
