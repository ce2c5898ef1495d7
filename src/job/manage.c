/*-------------------------------------------------------------------------
 *
 * manage.c
 *	  SQL functions that manage single jobs: cancel, retry, promote,
 *	  reschedule, set_priority, set_payload, delete.
 *
 * IDENTIFICATION
 *	  src/job/manage.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/rights.h"
#include "compat.h"
#include "job/attempt.h"
#include "job/cancel.h"
#include "job/cancel_request.h"
#include "job/current_job.h"
#include "job/enqueue.h"
#include "job/failure.h"
#include "job/history.h"
#include "job/job_column.h"
#include "job/transition.h"
#include "job/uncounted.h"
#include "queue/payload.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/unfinished.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_cancel);
PG_FUNCTION_INFO_V1(jobq_retry);
PG_FUNCTION_INFO_V1(jobq_promote);
PG_FUNCTION_INFO_V1(jobq_reschedule);
PG_FUNCTION_INFO_V1(jobq_set_priority);
PG_FUNCTION_INFO_V1(jobq_set_payload);
PG_FUNCTION_INFO_V1(jobq_delete);

/*
 * The queue of an unfinished job, read without locking it, or NULL if there is
 * no such job.
 */
static const JobqQueue *
queue_of_job(JobqTable *jobs, int64 id)
{
	JobqJob		job;

	return jobq_job_find(jobs, id, jobq_table_slot(jobs), &job) ?
		jobq_queue_by_id(job.queue) : NULL;
}

/*
 * Locks a job that has not been started, for a user who may manage its queue.
 * Returns NULL if there is no such job or it is running, here or elsewhere.
 * Waits for others that change the job, but not for an executor that runs it.
 */
static const JobqQueue *
lock_pending_job(JobqTable *jobs, int64 id, JobqJob *job)
{
	if (jobq_current_job_is(id) ||
		jobq_job_lock_for(jobs, id, JOBQ_WAIT_FOR_WRITERS, JOBQ_PRIV_MANAGE,
						  NULL, job) != JOBQ_FOUND ||
		job->state == JOBQ_STATE_RUNNING)
		return NULL;
	return jobq_queue_by_id(job->queue);
}

/*
 * cancel(job_id, reason): false for the calling job itself, whose transaction
 * commits or fails as a whole.
 */
Datum
jobq_cancel(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	JobqTable  *jobs;
	bool		result = false;

	jobq_begin_write("jobq.cancel()");
	jobq_require_argument(fcinfo, 0, "job_id");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	queue = queue_of_job(jobs, PG_GETARG_INT64(0));
	jobq_table_close(jobs);
	if (queue != NULL)
	{
		jobq_queue_check_job_privilege(queue, JOBQ_PRIV_MANAGE,
									   PG_GETARG_INT64(0));
		result = !jobq_current_job_is(PG_GETARG_INT64(0)) &&
			jobq_cancel_or_request(PG_GETARG_INT64(0),
								   PG_ARGISNULL(1) ? NULL :
								   text_to_cstring(PG_GETARG_TEXT_PP(1)));
		/* may have waited for another request for it */
		jobq_queue_recheck_job(queue->id, JOBQ_PRIV_MANAGE,
							   PG_GETARG_INT64(0));
	}
	PG_RETURN_BOOL(result);
}

/*
 * Raises 42501 if the payload of a queue's jobs is what commands of another role run
 * with, and the user could not have them run as that role: the privilege to manage
 * them is not enough.
 */
static void
check_may_set_payload(const JobqQueue *queue, int64 job_id)
{
	if (!queue->is_run || jobq_may_run_as(queue->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to change the parameters of job " INT64_FORMAT,
					job_id),
			 errdetail("Its command runs as the owner of queue \"%s\", and you cannot SET ROLE to that role.",
					   queue->name)));
}

/* The last attempt of a finished job. */
static int32
attempt_of(TupleTableSlot *finished)
{
	bool		isnull;
	Datum		value = slot_getattr(finished, Anum_history_attempt, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/* Makes the row of a live job from that of a finished job. */
static void
revive(TupleTableSlot *finished, Datum *values, bool *nulls)
{
	TimestampTz enqueued_at;
	Datum		value;
	bool		isnull;

	memset(values, 0, Natts_job * sizeof(Datum));
	memset(nulls, true, Natts_job * sizeof(bool));
	memset(nulls, false, Anum_job_attempt * sizeof(bool));
	for (int i = 0; i < Natts_job; i++)
	{
		const JobqJobColumn *column = &jobq_job_columns[i];

		if (column->revived)
			values[column->job - 1] = slot_getattr(finished, column->history,
												   &nulls[column->job - 1]);
	}
	values[Anum_job_run_at - 1] = TimestampTzGetDatum(jobq_now());
	values[Anum_job_state - 1] = Int16GetDatum(JOBQ_STATE_PENDING);
	values[Anum_job_attempt - 1] = Int32GetDatum(0);

	value = slot_getattr(finished, Anum_history_enqueued_at, &isnull);
	if (isnull)
		value = slot_getattr(finished, Anum_history_run_at, &isnull);
	enqueued_at = DatumGetTimestampTz(value);
	jobq_job_set_enqueued_at(values, nulls, enqueued_at);
}

/*
 * Inserts a revived job into the live jobs; returns false if its key is taken.
 */
static bool
insert_revived(const JobqQueue *queue, const Datum *values, const bool *nulls)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	ItemPointerData conflict;
	bool		inserted = true;

	if (nulls[Anum_job_unique_key - 1])
		jobq_job_insert(jobs, queue, values, nulls);
	else if (jobq_table_insert_unique(jobs,
									  jobq_relation_oid(JOBQ_IDX_JOB_UNIQUE_KEY),
									  values, nulls, &conflict))
	{
		jobq_count_jobs(queue, 1);
		jobq_job_note_ready(jobs, queue, values, nulls);
	}
	else
	{
		inserted = false;
		ereport(NOTICE,
				(errmsg("queue \"%s\" already has another job with this unique_key, not retrying",
						queue->name),
				 errdetail("Job " INT64_FORMAT " had key \"%s\", which belongs to a job that is not finished.",
						   DatumGetInt64(values[Anum_job_id - 1]),
						   TextDatumGetCString(values[Anum_job_unique_key - 1]))));
	}
	jobq_table_close(jobs);
	return inserted;
}

/*
 * The queue of a finished job, for a user who may manage it; NULL if there is no such
 * job.  Its row is read by the latest snapshot, and not locked.
 */
static const JobqQueue *
queue_of_finished(int64 id)
{
	JobqTable  *history;
	TupleTableSlot *slot = jobq_history_read(id, &history);
	const JobqQueue *queue;

	if (slot == NULL)
		return NULL;
	queue = jobq_history_queue(slot);
	jobq_table_close(history);
	if (queue != NULL)
		jobq_queue_check_job_privilege(queue, JOBQ_PRIV_MANAGE, id);
	return queue;
}

/*
 * The same, with the queue locked against being dropped, which comes before the
 * job's row, as in drop_queue().
 */
static const JobqQueue *
lock_queue_of_finished(int64 id)
{
	const JobqQueue *queue = queue_of_finished(id);

	if (queue == NULL)
		return NULL;
	queue = jobq_queue_try_lock_shared(queue);
	if (queue != NULL)
		jobq_queue_recheck_job(queue->id, JOBQ_PRIV_MANAGE, id);
	return queue;
}

/*
 * The queue of a finished job that can be revived, for a user who may manage
 * it, and the job's row in history, locked; NULL if there is none.
 */
static const JobqQueue *
find_revivable(int64 id, JobqTable **history, TupleTableSlot **finished)
{
	const JobqQueue *queue;
	JobqState	state;
	bool		isnull;

	*finished = jobq_history_find(id, history);
	if (*finished == NULL)
		return NULL;
	queue = jobq_history_queue(*finished);
	state = (JobqState) DatumGetInt16(slot_getattr(*finished,
												   Anum_history_state,
												   &isnull));
	if (queue == NULL ||
		!jobq_state_apply(state, JOBQ_EVENT_REVIVE, &state))
	{
		jobq_table_close(*history);
		return NULL;
	}
	jobq_queue_recheck_job(queue->id, JOBQ_PRIV_MANAGE, id);
	return queue;
}

Datum
jobq_retry(PG_FUNCTION_ARGS)
{
	JobqTable  *history;
	TupleTableSlot *finished;
	const JobqQueue *queue;
	Datum		values[Natts_job];
	bool		nulls[Natts_job];
	bool		revived;

	jobq_begin_write("jobq.retry()");
	jobq_require_argument(fcinfo, 0, "job_id");
	queue = lock_queue_of_finished(PG_GETARG_INT64(0));
	/* before the job is locked: the check may change it */
	if (queue != NULL && !PG_ARGISNULL(1))
	{
		check_may_set_payload(queue, PG_GETARG_INT64(0));
		jobq_payload_check_job(queue, PG_GETARG_DATUM(1));
	}
	if (queue != NULL)
		queue = find_revivable(PG_GETARG_INT64(0), &history, &finished);
	if (queue == NULL)
		PG_RETURN_NULL();

	/* notes about earlier attempts must not count for new ones */
	jobq_uncounted_forget(PG_GETARG_INT64(0), attempt_of(finished),
						  jobq_queue_has_executors(queue));
	jobq_cancel_forget(PG_GETARG_INT64(0));
	revive(finished, values, nulls);
	if (!PG_ARGISNULL(1))
	{
		values[Anum_job_payload - 1] = PG_GETARG_DATUM(1);
		nulls[Anum_job_payload - 1] = false;
	}
	revived = insert_revived(queue, values, nulls);
	if (revived)
		jobq_table_delete(history, finished);
	jobq_table_close(history);
	/* may have waited for others with the same key */
	jobq_queue_recheck_job(queue->id, JOBQ_PRIV_MANAGE, PG_GETARG_INT64(0));
	if (!PG_ARGISNULL(1))
		check_may_set_payload(queue, PG_GETARG_INT64(0));
	if (!revived)
		PG_RETURN_NULL();
	PG_RETURN_INT64(PG_GETARG_INT64(0));
}

/*
 * Changes one column of a job that has not been started; returns false if
 * there is no such job.  The payload of an attempt that is not counted yet stays.
 */
static bool
change_pending_job(int64 id, int attnum, Datum value)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqJob		job;
	const JobqQueue *queue = lock_pending_job(jobs, id, &job);
	uint64		waits = jobq_relation_waits();

	if (queue != NULL && attnum == Anum_job_payload &&
		jobq_job_may_be_uncounted(&job, queue))
		queue = NULL;
	if (queue != NULL)
	{
		if (attnum == Anum_job_payload)
			check_may_set_payload(queue, id);
		job.values[attnum - 1] = value;
		job.nulls[attnum - 1] = false;
		jobq_job_replace(jobs, &job, queue, job.values, job.nulls);
		/* where long values are kept may have been waited for */
		jobq_queue_recheck_job_after(waits, queue, JOBQ_PRIV_MANAGE, id);
	}
	jobq_table_close(jobs);
	return queue != NULL;
}

Datum
jobq_promote(PG_FUNCTION_ARGS)
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	JobqJob		job;
	TimestampTz now = jobq_now();
	bool		result = false;

	jobq_begin_write("jobq.promote()");
	jobq_require_argument(fcinfo, 0, "job_id");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	queue = lock_pending_job(jobs, PG_GETARG_INT64(0), &job);
	if (queue != NULL && (job.run_at > now || jobq_job_is_held(&job, now)))
	{
		jobq_job_move(jobs, &job, queue, Min(job.run_at, now));
		result = true;
	}
	jobq_table_close(jobs);
	PG_RETURN_BOOL(result);
}

Datum
jobq_reschedule(PG_FUNCTION_ARGS)
{
	TimestampTz run_at;
	JobqTable  *jobs;
	const JobqQueue *queue;
	JobqJob		job;

	jobq_begin_write("jobq.reschedule()");
	jobq_require_argument(fcinfo, 0, "job_id");
	jobq_require_argument(fcinfo, 1, "run_at");
	run_at = PG_GETARG_TIMESTAMPTZ(1);
	if (TIMESTAMP_NOT_FINITE(run_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("run_at must be finite")));
	jobs = jobq_table_open(JOBQ_REL_JOB);
	queue = lock_pending_job(jobs, PG_GETARG_INT64(0), &job);
	if (queue != NULL)
		jobq_job_move(jobs, &job, queue, Max(run_at, jobq_now()));
	jobq_table_close(jobs);
	PG_RETURN_BOOL(queue != NULL);
}

Datum
jobq_set_priority(PG_FUNCTION_ARGS)
{
	int			priority;

	jobq_begin_write("jobq.set_priority()");
	jobq_require_argument(fcinfo, 0, "job_id");
	jobq_require_argument(fcinfo, 1, "priority");
	priority = PG_GETARG_INT32(1);
	jobq_check_priority(priority);
	PG_RETURN_BOOL(change_pending_job(PG_GETARG_INT64(0), Anum_job_priority,
									  Int16GetDatum(priority)));
}

/*
 * Checks a new payload for a job before the job is locked: the check may
 * change it.
 */
static void
check_new_payload(int64 id, Datum payload)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	const JobqQueue *queue = NULL;
	JobqJob		job;

	if (jobq_job_find(jobs, id, jobq_table_slot(jobs), &job) &&
		job.state == JOBQ_STATE_PENDING)
		queue = jobq_queue_by_id(job.queue);
	jobq_table_close(jobs);
	if (queue == NULL)
		return;
	jobq_queue_check_job_privilege(queue, JOBQ_PRIV_MANAGE, id);
	check_may_set_payload(queue, id);
	jobq_payload_check_job(queue, payload);
}

Datum
jobq_set_payload(PG_FUNCTION_ARGS)
{
	jobq_begin_write("jobq.set_payload()");
	jobq_require_argument(fcinfo, 0, "job_id");
	jobq_require_argument(fcinfo, 1, "payload");
	check_new_payload(PG_GETARG_INT64(0), PG_GETARG_DATUM(1));
	PG_RETURN_BOOL(change_pending_job(PG_GETARG_INT64(0), Anum_job_payload,
									  PG_GETARG_DATUM(1)));
}

/* A job was deleted: so are its attempts.  Their table may have to be waited for. */
static void
forget_deleted(int64 id, const JobqQueue *queue)
{
	jobq_job_forget_attempts(id);
	jobq_queue_recheck_job(queue->id, JOBQ_PRIV_MANAGE, id);
}

/* Deletes a finished job; returns false if there is none. */
static bool
delete_finished(int64 id)
{
	JobqTable  *history;
	TupleTableSlot *finished;
	const JobqQueue *queue;

	if (queue_of_finished(id) == NULL)
		return false;
	finished = jobq_history_find(id, &history);
	if (finished == NULL)
		return false;
	queue = jobq_history_queue(finished);
	if (queue != NULL)
	{
		jobq_queue_recheck_job(queue->id, JOBQ_PRIV_MANAGE, id);
		jobq_table_delete(history, finished);
		forget_deleted(id, queue);
	}
	jobq_table_close(history);
	return queue != NULL;
}

/*
 * Deletes a job, finished or unfinished.  Returns false if there is no such
 * job, if it is running, or if it has just been finished or revived.
 */
static bool
delete_once(JobqTable *jobs, int64 id, bool finished)
{
	JobqJob		job;
	const JobqQueue *queue;

	if (finished)
		return delete_finished(id);
	queue = lock_pending_job(jobs, id, &job);
	if (queue == NULL)
		return false;
	jobq_job_remove(jobs, &job);
	forget_deleted(id, queue);
	return true;
}

Datum
jobq_delete(PG_FUNCTION_ARGS)
{
	int64		id;
	JobqTable  *jobs;
	bool		finished;
	bool		result;

	jobq_begin_write("jobq.delete()");
	jobq_require_argument(fcinfo, 0, "job_id");
	id = PG_GETARG_INT64(0);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	finished = queue_of_job(jobs, id) == NULL;
	while (!(result = delete_once(jobs, id, finished)))
	{
		/* it may have been finished or retried while we waited */
		if (finished == (queue_of_job(jobs, id) == NULL))
			break;
		CHECK_FOR_INTERRUPTS();
		finished = !finished;
	}
	jobq_table_close(jobs);
	PG_RETURN_BOOL(result);
}
