/*-------------------------------------------------------------------------
 *
 * job.c
 *	  Jobs, and every change of a job's state.
 *
 * A job is a row of jobq_store.job until it is finished; then the row is
 * deleted and, if the queue keeps its jobs, written to history.c's segment.
 * A job that runs inside a transaction (executors, take()) has state pending
 * all the while, since nobody else can see it otherwise: the row lock is the
 * claim, and its attempt is counted when it ends.  One that is held by a lease
 * has state running, and its attempt was counted when it was claimed.
 *
 * IDENTIFICATION
 *	  src/job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job.h"

#include "attempt.h"
#include "cancel.h"
#include "handler.h"
#include "history.h"
#include "json_object.h"
#include "lease.h"
#include "on_dead.h"
#include "queue_lock.h"
#include "schedule.h"
#include "worker_slot.h"
#include "xact.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

/* A column of type timestamptz or bigint, or what stands for NULL. */
static int64
int64_column(const JobqJob *job, int attnum, int64 if_null)
{
	return job->nulls[attnum - 1] ? if_null :
		DatumGetInt64(job->values[attnum - 1]);
}

static void
set_int64_column(JobqJob *job, int attnum, int64 value, int64 if_null)
{
	job->values[attnum - 1] = Int64GetDatum(value);
	job->nulls[attnum - 1] = value == if_null;
}

/*
 * Reads those columns of a row that tell whether the job may be claimed: id,
 * run_at, queue, priority, state, attempt.  They come first and are never
 * NULL, so that this costs little; the others are not set.
 */
void
jobq_job_peek(JobqJob *job, TupleTableSlot *slot)
{
	slot_getsomeattrs(slot, Anum_job_attempt);
	job->slot = slot;
	job->id = DatumGetInt64(slot->tts_values[Anum_job_id - 1]);
	job->run_at = DatumGetTimestampTz(slot->tts_values[Anum_job_run_at - 1]);
	job->queue = DatumGetInt32(slot->tts_values[Anum_job_queue - 1]);
	job->priority = DatumGetInt16(slot->tts_values[Anum_job_priority - 1]);
	job->state =
		(JobqState) DatumGetInt16(slot->tts_values[Anum_job_state - 1]);
	job->attempt = DatumGetInt32(slot->tts_values[Anum_job_attempt - 1]);
}

/* Reads a row; values[] point into the slot. */
void
jobq_job_read(JobqJob *job, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	jobq_job_peek(job, slot);
	memcpy(job->values, slot->tts_values, sizeof(job->values));
	memcpy(job->nulls, slot->tts_isnull, sizeof(job->nulls));
	job->max_attempts = job->nulls[Anum_job_max_attempts - 1] ? 0 :
		DatumGetInt32(job->values[Anum_job_max_attempts - 1]);
	job->lease = int64_column(job, Anum_job_lease, 0);
	job->lease_until = int64_column(job, Anum_job_lease_until, DT_NOBEGIN);
	job->started_at = int64_column(job, Anum_job_started_at, DT_NOBEGIN);
	job->enqueued_at = int64_column(job, Anum_job_enqueued_at, job->run_at);
	job->expires_at = int64_column(job, Anum_job_expires_at, JOBQ_NEVER);
}

/*
 * Puts the time at which a job was enqueued into its row, which has run_at
 * already: most jobs may run at once, and leave it out.
 */
void
jobq_job_set_enqueued_at(Datum *values, bool *nulls, TimestampTz enqueued_at)
{
	values[Anum_job_enqueued_at - 1] = TimestampTzGetDatum(enqueued_at);
	nulls[Anum_job_enqueued_at - 1] =
		enqueued_at == DatumGetTimestampTz(values[Anum_job_run_at - 1]);
}

/* Puts the fixed-width fields that transitions change back into values[]. */
static void
write_back(JobqJob *job)
{
	job->values[Anum_job_run_at - 1] = TimestampTzGetDatum(job->run_at);
	jobq_job_set_enqueued_at(job->values, job->nulls, job->enqueued_at);
	job->values[Anum_job_state - 1] = Int16GetDatum((int16) job->state);
	job->values[Anum_job_attempt - 1] = Int32GetDatum(job->attempt);
	set_int64_column(job, Anum_job_lease, job->lease, 0);
	set_int64_column(job, Anum_job_lease_until, job->lease_until, DT_NOBEGIN);
	set_int64_column(job, Anum_job_started_at, job->started_at, DT_NOBEGIN);
}

/* The place of a job whose row has these values and is there. */
void
jobq_job_place(const Datum *values, const ItemPointerData *tid,
			   JobqPlace *place)
{
	place->key.run_at = DatumGetTimestampTz(values[Anum_job_run_at - 1]);
	place->key.id = DatumGetInt64(values[Anum_job_id - 1]);
	place->priority = DatumGetInt16(values[Anum_job_priority - 1]);
	place->tid = *tid;
}

/* The job will be claimable when the row written last is committed. */
static void
note_ready(JobqTable *jobs, const JobqQueue *queue, const Datum *values)
{
	JobqPlace	place;

	jobq_job_place(values, &jobs->written, &place);
	jobq_at_commit_ready(queue, &place);
}

/*
 * Locks the job of a row, as a snapshot saw it, without waiting, and reads it.
 * Others pass the job over while it is locked, and are told if it is ready
 * again, or still.
 */
JobqFindResult
jobq_job_lock_row(JobqTable *jobs, TupleTableSlot *seen, Snapshot snapshot,
				  TupleTableSlot *locked, JobqJob *job)
{
	const JobqQueue *queue;
	JobqFindResult result;
	bool		noted = false;
	JobqPlace	place;

	jobq_job_read(job, seen);
	queue = jobq_queue_by_id(job->queue);
	if (job->state == JOBQ_STATE_PENDING && queue != NULL)
	{
		jobq_job_place(job->values, &seen->tts_tid, &place);
		jobq_note_reserve();
		jobq_note_locked(queue, &place);
		noted = true;
	}
	result = jobq_table_lock(jobs, &seen->tts_tid, snapshot, locked);
	if (result == JOBQ_FOUND)
		jobq_job_read(job, locked);
	else if (noted)
		jobq_note_withdraw();
	return result;
}

/* Reads an unfinished job, by the latest snapshot, and leaves it alone. */
bool
jobq_job_find(JobqTable *jobs, int64 id, TupleTableSlot *slot, JobqJob *job)
{
	ScanKeyData key;

	ScanKeyInit(&key, Anum_job_id, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
	if (!jobq_table_read(jobs, jobq_relation_oid(JOBQ_IDX_JOB), &key, 1,
						 slot))
		return false;
	jobq_job_read(job, slot);
	return true;
}

/*
 * Locks an unfinished job by its id and reads it.  Others pass a ready job
 * over while it is locked, and are told if it is ready again, or still, when
 * the transaction ends.
 */
JobqFindResult
jobq_job_lock(JobqTable *jobs, int64 id, JobqWaitPolicy wait, JobqJob *job)
{
	return jobq_job_lock_for(jobs, id, wait, 0, NULL, job);
}

/* What jobq_job_lock_for() wants of a job. */
typedef struct Wanted
{
	int			privilege;
	const int64 *lease;
	bool		noted;			/* the lock that is about to be taken */
} Wanted;

/*
 * Whether to lock the job of a row.  If it is a pending one the lock is noted
 * here: afterwards there would be things that can fail.
 */
static bool
is_wanted(TupleTableSlot *slot, void *arg)
{
	Wanted	   *wanted = arg;
	const JobqQueue *queue;
	JobqJob		job;

	if (wanted->noted)
		jobq_note_withdraw();
	wanted->noted = false;
	jobq_job_read(&job, slot);
	queue = jobq_queue_by_id(job.queue);
	if (queue == NULL)
		return wanted->privilege == 0 && wanted->lease == NULL;
	if (wanted->privilege != 0)
		jobq_queue_check_job_privilege(queue, wanted->privilege, job.id);
	if (wanted->lease != NULL &&
		(job.state != JOBQ_STATE_RUNNING || job.lease != *wanted->lease))
		return false;
	if (job.state == JOBQ_STATE_PENDING)
	{
		JobqPlace	place;

		jobq_job_place(job.values, &slot->tts_tid, &place);
		jobq_note_reserve();
		wanted->noted = jobq_note_locked_again(queue, &place);
	}
	return true;
}

/*
 * The same for a user who needs a privilege on the job's queue (0: none;
 * raises 42501), and, unless lease is NULL, for a job that is held by it;
 * JOBQ_UNWANTED if it is not, or its queue is gone.  The row is locked only
 * after that, and the privilege is judged again when it is.  The job is read
 * unless it is missing.
 */
JobqFindResult
jobq_job_lock_for(JobqTable *jobs, int64 id, JobqWaitPolicy wait,
				  int privilege, const int64 *lease, JobqJob *job)
{
	TupleTableSlot *slot = jobq_table_slot(jobs);
	Wanted		wanted = {privilege, lease, false};
	ScanKeyData key;
	JobqFindResult result;

	ScanKeyInit(&key, Anum_job_id, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
	result = jobq_table_find_if(jobs, jobq_relation_oid(JOBQ_IDX_JOB), &key,
								1, wait, is_wanted, &wanted, slot);
	if (result != JOBQ_FOUND && wanted.noted)
		jobq_note_withdraw();
	if (result == JOBQ_MISSING)
		return result;
	jobq_job_read(job, slot);
	if (result == JOBQ_BUSY && privilege != 0)
	{
		const JobqQueue *queue = jobq_queue_by_id(job->queue);

		if (queue != NULL)
			jobq_queue_check_job_privilege(queue, privilege, id);
	}
	if (result == JOBQ_FOUND && privilege != 0 && wait != JOBQ_NO_WAIT)
		jobq_queue_recheck_job(job->queue, privilege, id);
	return result;
}

/* How long the job may run, in microseconds; 0: any time. */
int64
jobq_job_timeout(const JobqJob *job, const JobqQueue *queue)
{
	if (job->nulls[Anum_job_timeout - 1])
		return queue->timeout;
	return jobq_interval_microseconds(DatumGetIntervalP(job->values[Anum_job_timeout - 1]));
}

int
jobq_job_max_attempts(const JobqJob *job, const JobqQueue *queue)
{
	return job->max_attempts > 0 ? job->max_attempts : queue->max_attempts;
}

/* The attempt that is being made, from 1. */
int
jobq_job_current_attempt(const JobqJob *job)
{
	return job->state == JOBQ_STATE_RUNNING ? job->attempt : job->attempt + 1;
}

/* Applies an event to the job's state; what is not in the table is a bug. */
static void
apply(JobqJob *job, JobqEvent event)
{
	JobqState	to;

	if (!jobq_state_apply(job->state, event, &to))
		elog(ERROR, "job " INT64_FORMAT " cannot %s in state %s", job->id,
			 jobq_event_name(event), jobq_state_name(job->state, true));
	job->state = to;
}

/* Ends the lease the job is held by, if it is. */
static void
end_lease(JobqJob *job)
{
	if (job->state == JOBQ_STATE_RUNNING)
		jobq_at_commit_lease_end(job->id, job->lease);
}

/* Inserts a new job; values[] make a whole row in state pending. */
void
jobq_job_insert(JobqTable *jobs, const JobqQueue *queue, const Datum *values,
				const bool *nulls)
{
	jobq_table_insert(jobs, values, nulls);
	note_ready(jobs, queue, values);
}

/*
 * Gives a pending job to whoever holds the lease, until `until`; JOBQ_NEVER
 * binds it to this session.  Counts the attempt, which job->started_at says
 * the beginning of.
 */
bool
jobq_job_claim(JobqTable *jobs, JobqJob *job, int64 lease, TimestampTz until,
			   const char *worker)
{
	apply(job, JOBQ_EVENT_CLAIM);
	job->attempt++;
	job->lease = lease;
	job->lease_until = until;
	write_back(job);
	job->nulls[Anum_job_worker - 1] = worker == NULL;
	if (worker != NULL)
		job->values[Anum_job_worker - 1] = CStringGetTextDatum(worker);
	if (jobq_table_try_update(jobs, job->slot, job->values,
							  job->nulls) != JOBQ_FOUND)
		return false;
	jobq_note_settled(job->id);
	jobq_at_commit_lease(job->id, lease, until,
						 until == JOBQ_NEVER ? JOBQ_MY_PROC_NUMBER :
						 JOBQ_NO_PROCESS);
	if (until == JOBQ_NEVER && !jobq_lease_reserve(job->id, lease))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no shared memory left for a session-bound claim"),
				 errdetail("A role has room for as many leases as others leave free."),
				 errhint("Increase jobq.shared_memory, or claim by a lease that has an end.")));
	return true;
}

/* Who runs the job: what the claim said, or the process with this PID. */
static void
name_worker(JobqJob *job, int pid)
{
	if (!job->nulls[Anum_job_worker - 1])
		return;
	job->values[Anum_job_worker - 1] =
		CStringGetTextDatum(psprintf("pid %d", pid));
	job->nulls[Anum_job_worker - 1] = false;
}

/*
 * The schedule that a job says it comes from (palloc'd), or NULL.  Anybody may
 * give jobs a header of that name.
 */
static char *
schedule_of(const JobqJob *job)
{
	Jsonb	   *headers;
	JsonbValue	value;

	if (job->nulls[Anum_job_headers - 1])
		return NULL;
	headers = DatumGetJsonbP(job->values[Anum_job_headers - 1]);
	if (!JB_ROOT_IS_OBJECT(headers) ||
		getKeyJsonValueFromContainer(&headers->root, "schedule",
									 strlen("schedule"), &value) == NULL ||
		value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Whether a job that is being finished is written to history. */
static bool
is_to_be_kept(const JobqJob *job, const JobqQueue *queue,
			  const char *schedule)
{
	/* who holds it is to learn of it by heartbeat() */
	if (job->state == JOBQ_STATE_CANCELLED && job->lease != 0)
		return true;
	if (job->state != JOBQ_STATE_COMPLETED)
		return queue->keep_dead != 0;
	/* its key counts for so long */
	if (!job->nulls[Anum_job_unique_for - 1])
		return true;
	return queue->keep_completed != 0 &&
		(schedule == NULL ||
		 !jobq_schedule_keeps_errors_only(schedule, queue, job->id));
}

/*
 * Writes a job that is being finished to history, if it is to be kept.  The
 * next run of its schedule may be waiting for its end.
 */
static void
write_history(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
			  Datum result, bool result_is_null, const char *error,
			  const char *sqlstate)
{
	char	   *schedule = schedule_of(job);

	jobq_note_settled(job->id);
	if (is_to_be_kept(job, queue, schedule))
		jobq_history_add(jobs, job, result, result_is_null, error, sqlstate);
	if (schedule != NULL)
		jobq_at_commit_scheduled_job_end();
}

/* Deletes the job's row, after writing it to history. */
static void
finish(JobqTable *jobs, JobqJob *job, const JobqQueue *queue, Datum result,
	   bool result_is_null, const char *error, const char *sqlstate)
{
	write_history(jobs, job, queue, result, result_is_null, error, sqlstate);
	jobq_table_delete(jobs, job->slot);
}

/*
 * Finishes a job in success that is held by a lease.  The row, which is not
 * locked, is deleted as it was seen; false if it has been changed since, or
 * somebody has it in his hands.
 */
bool
jobq_job_complete_held(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
					   Datum result, bool result_is_null)
{
	if (jobq_table_try_delete(jobs, job->slot) != JOBQ_FOUND)
		return false;
	end_lease(job);
	apply(job, JOBQ_EVENT_COMPLETE);
	write_history(jobs, job, queue, result, result_is_null, NULL, NULL);
	return true;
}

/*
 * Finishes a pending job in success that this transaction works itself.  The
 * row, which may not be locked, is deleted at once; false if it is not to be
 * had.
 */
bool
jobq_job_take(JobqTable *jobs, JobqJob *job, const JobqQueue *queue)
{
	if (jobq_table_try_delete(jobs, job->slot) != JOBQ_FOUND)
		return false;
	job->attempt = jobq_job_current_attempt(job);
	name_worker(job, MyProcPid);
	apply(job, JOBQ_EVENT_TAKE);
	write_history(jobs, job, queue, (Datum) 0, true, NULL, NULL);
	return true;
}

/*
 * Finishes a job in success: one held by a lease, or one that ran inside
 * this transaction.
 */
void
jobq_job_complete(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				  Datum result, bool result_is_null)
{
	bool		leased = job->state == JOBQ_STATE_RUNNING;

	job->attempt = jobq_job_current_attempt(job);
	name_worker(job, MyProcPid);
	end_lease(job);
	apply(job, leased ? JOBQ_EVENT_COMPLETE : JOBQ_EVENT_TAKE);
	finish(jobs, job, queue, result, result_is_null, NULL, NULL);
}

/* What backoff_function is told about the failure. */
static Datum
failure_as_jsonb(const JobqFailure *failure)
{
	JobqJsonObject object;

	jobq_json_begin(&object);
	jobq_json_add_string(&object, "sqlstate", failure->sqlstate);
	jobq_json_add_string(&object, "message", failure->message);
	jobq_json_add_string(&object, "detail", failure->detail);
	jobq_json_add_string(&object, "hint", failure->hint);
	return jobq_json_end(&object);
}

/*
 * The queue's backoff holds where its function has failed.  The log says so, and
 * the attempt's detail.
 */
void
jobq_job_note_backoff_error(const JobqJob *job, const JobqQueue *queue,
							int sqlerrcode, const char *message,
							JobqFailure *failure)
{
	const char *bounded = text_to_cstring(jobq_bounded_text(message));

	ereport(LOG,
			(errcode(sqlerrcode),
			 errmsg("backoff_function of queue \"%s\" failed for job " INT64_FORMAT ": %s",
					queue->name, job->id, bounded),
			 errdetail("The backoff of the queue holds."),
			 errhidestmt(true), errhidecontext(true)));
	failure->detail =
		psprintf("%s%sThe queue's backoff_function failed with SQLSTATE %s: %s",
				 failure->detail != NULL ? failure->detail : "",
				 failure->detail != NULL ? "\n" : "",
				 unpack_sql_state(sqlerrcode), bounded);
}

/*
 * Asks the queue's backoff_function, if it has one that is to be asked, and puts
 * the answer into *failure.  True if it was called: the job may not be the same
 * any more, and is to be locked and looked at again.
 */
bool
jobq_job_ask_backoff(const JobqJob *job, const JobqQueue *queue,
					 JobqFailure *failure)
{
	int			attempt = jobq_job_current_attempt(job);
	Datum		told = failure->data;
	ErrorData  *error;
	int64		delay;

	if (queue->backoff_function == NULL || !failure->retryable ||
		failure->retry_in >= 0 ||
		attempt >= jobq_job_max_attempts(job, queue))
		return false;
	if (told == (Datum) 0)
		told = failure_as_jsonb(failure);
	error = jobq_backoff_function_call(queue->backoff_function, queue->owner,
									   attempt, told, &delay);
	if (error != NULL)
		jobq_job_note_backoff_error(job, queue, error->sqlerrcode,
									error->message, failure);
	else if (delay < 0)
		failure->retryable = false;
	else
		failure->retry_in = delay;
	return true;
}

/* Microseconds until the next attempt. */
static int64
retry_delay(const JobqQueue *queue, const JobqFailure *failure, int attempt)
{
	if (failure->retry_in >= 0)
		return failure->retry_in;
	return jobq_backoff_delay(&queue->backoff, attempt,
							  pg_prng_double(&pg_global_prng_state));
}

/*
 * Makes a job that was started pending again.  It was started in time, so that
 * it does not expire any more.
 */
static void
give_back(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
		  JobqEvent event, TimestampTz run_at)
{
	apply(job, event);
	job->run_at = run_at;
	job->lease = 0;
	job->lease_until = DT_NOBEGIN;
	job->started_at = DT_NOBEGIN;
	job->expires_at = JOBQ_NEVER;
	write_back(job);
	job->nulls[Anum_job_worker - 1] = true;
	job->nulls[Anum_job_expires_at - 1] = true;
	jobq_table_update(jobs, job->slot, job->values, job->nulls);
	jobq_note_settled(job->id);
	note_ready(jobs, queue, job->values);
}

/*
 * Leaves a job that is dead, but cannot be told of, to the coordinator, as one
 * whose lease is over.  How its attempt has ended is written down already.
 */
static void
put_off_death(JobqTable *jobs, JobqJob *job)
{
	if (job->state == JOBQ_STATE_PENDING)
		apply(job, JOBQ_EVENT_CLAIM);
	job->lease = jobq_lease_new();
	job->lease_until = job->started_at;
	write_back(job);
	jobq_table_update(jobs, job->slot, job->values, job->nulls);
	jobq_note_settled(job->id);
	jobq_at_commit_lease(job->id, job->lease, job->lease_until,
						 JOBQ_NO_PROCESS);
}

/* Whether the lease of a job ends when its timeout is over, and not before. */
bool
jobq_job_ends_by_timeout(const JobqJob *job, const JobqQueue *queue)
{
	int64		timeout = jobq_job_timeout(job, queue);

	return timeout > 0 && job->lease_until != JOBQ_NEVER &&
		job->lease_until >= job->started_at + timeout;
}

/*
 * Why a lease that is over was lost: the attempt may have ended before that,
 * see put_off_death(), or an executor was terminated in it, or the lease could
 * not be longer than the job's timeout.
 */
void
jobq_job_explain_lease_end(JobqJob *job, const JobqQueue *queue,
						   JobqFailure *failure)
{
	memset(failure, 0, sizeof(*failure));
	if (job->lease_until == job->started_at &&
		jobq_job_read_attempt(job, failure))
		return;
	if (jobq_job_was_terminated(job, failure))
		return;
	jobq_job_lease_failure(failure, job->lease_until == JOBQ_NEVER);
	if (jobq_job_ends_by_timeout(job, queue))
	{
		jobq_job_timeout_failure(failure);
		failure->detail = psprintf("The lease ended with the timeout of %.3f s.",
								   jobq_job_timeout(job, queue) / 1000000.0);
		failure->hint = "Heartbeats do not extend a lease beyond the timeout.";
	}
}

/*
 * Ends an attempt in failure: the job is pending again after a delay, or
 * dead when it may not be retried or has no attempts left.  Returns the state
 * it is in now.
 *
 * Who tells a queue of dead jobs keeps it from being dropped.  An executor does
 * not wait for somebody who is just dropping it: the job is held by a lease
 * that is over then, and its state is running, until the coordinator gets
 * hold of that queue.
 */
JobqState
jobq_job_fail(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
			  const JobqFailure *failure)
{
	bool		leased = job->state == JOBQ_STATE_RUNNING;
	int64		delay = -1;

	job->attempt = jobq_job_current_attempt(job);
	name_worker(job, failure->pid != 0 ? failure->pid : MyProcPid);
	if (!failure->recorded)
		jobq_job_record_attempt(job, failure, job->attempt);
	if (failure->retryable &&
		job->attempt < jobq_job_max_attempts(job, queue))
		delay = retry_delay(queue, failure, job->attempt);

	end_lease(job);
	if (delay < 0 && failure->waits_for_nobody && !jobq_on_dead_is_free(queue))
	{
		put_off_death(jobs, job);
		return job->state;
	}
	if (delay < 0)
	{
		apply(job, JOBQ_EVENT_DIE);
		finish(jobs, job, queue, (Datum) 0, true, failure->message,
			   failure->sqlstate);
		jobq_on_dead(job, queue, failure->message, failure->sqlstate);
		return job->state;
	}

	give_back(jobs, job, queue, JOBQ_EVENT_RETRY,
			  delay > 0 || !leased ? jobq_now() + delay : job->run_at);
	return job->state;
}

/* Fills in why a lease was lost. */
void
jobq_job_lease_failure(JobqFailure *failure, bool session_ended)
{
	memset(failure, 0, sizeof(*failure));
	failure->outcome = "lease lost";
	failure->sqlstate = "JQ001";
	failure->message = session_ended ?
		"the session that held the job ended" :
		"the lease ran out before the job was finished";
	failure->retryable = true;
	failure->retry_in = 0;
}

/* Fills in that it is the timeout which has ended an attempt. */
void
jobq_job_timeout_failure(JobqFailure *failure)
{
	failure->outcome = "timed out";
	failure->sqlstate = "57014";
	failure->message = "the job ran longer than its timeout";
}

/* Fills in that an attempt has ended with the server. */
void
jobq_job_crash_failure(JobqFailure *failure)
{
	memset(failure, 0, sizeof(*failure));
	failure->outcome = "crashed";
	failure->sqlstate = "57P02";
	failure->message = "the server crashed while the job was running";
	failure->retryable = true;
	failure->retry_in = -1;
}

/*
 * Fills in how an attempt has ended in which an executor was terminated, or
 * could not write down what came of it, or which has ended with the server.
 */
void
jobq_job_termination_failure(const JobqTermination *termination,
							 JobqFailure *failure)
{
	jobq_job_crash_failure(failure);
	failure->pid = termination->pid;
	failure->is_logged = true;
	if (termination->crashed)
		return;
	if (termination->unrecorded != 0)
	{
		failure->outcome = "failed";
		failure->sqlstate = pstrdup(unpack_sql_state(termination->unrecorded));
		failure->message = "what came of the job could not be written down, and what it did was rolled back";
		failure->hint = "The server log has the error.";
		return;
	}
	failure->sqlstate = "57P01";
	failure->message = "the background worker was terminated while the job was running";
	if (termination->timed_out)
		jobq_job_timeout_failure(failure);
}

/*
 * Whether an executor was terminated in the attempt that is not finished yet.
 * If it was, the job is as it was in that attempt, and *failure is how that has
 * ended.
 */
bool
jobq_job_was_terminated(JobqJob *job, JobqFailure *failure)
{
	JobqTermination termination;

	if (!jobq_worker_was_terminated(job->id, jobq_job_current_attempt(job),
									&termination))
		return false;

	/* that was a job of the same id that is gone, or another's attempt */
	if (termination.started_at < job->enqueued_at ||
		termination.leased != (job->state == JOBQ_STATE_RUNNING))
		return false;
	job->started_at = termination.started_at;
	name_worker(job, termination.pid);
	jobq_job_termination_failure(&termination, failure);
	return true;
}

/*
 * Cancels a job.  Without a reason, that of a cancel_request for it is used.
 */
void
jobq_job_cancel(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				const char *reason)
{
	JobqFailure failure;

	if (reason == NULL)
		reason = jobq_cancel_reason(job->id);
	if (job->state == JOBQ_STATE_RUNNING)
		jobq_at_commit_interrupt(job->id);
	else if (job->started_at != DT_NOBEGIN ||
			 jobq_job_was_terminated(job, &failure))
	{
		/* it was being run, inside this transaction or a terminated one */
		job->attempt = jobq_job_current_attempt(job);
		name_worker(job, MyProcPid);
	}
	end_lease(job);
	apply(job, JOBQ_EVENT_CANCEL);
	finish(jobs, job, queue, (Datum) 0, true, reason, NULL);
}

/* Ends a job whose time to live is over. */
void
jobq_job_expire(JobqTable *jobs, JobqJob *job, const JobqQueue *queue)
{
	apply(job, JOBQ_EVENT_EXPIRE);
	finish(jobs, job, queue, (Datum) 0, true, NULL, NULL);
}

/*
 * Gives back a job that is held by a lease; the attempt does not count.  The
 * delay is in microseconds; with 0 the job goes back to its old place.
 */
void
jobq_job_release(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				 int64 delay)
{
	end_lease(job);
	job->attempt = Max(job->attempt - 1, 0);
	give_back(jobs, job, queue, JOBQ_EVENT_RELEASE,
			  delay > 0 ? jobq_now() + delay : job->run_at);
}

/* Moves the end of the lease; progress replaces the old one unless NULL. */
void
jobq_job_extend(JobqTable *jobs, JobqJob *job, TimestampTz until,
				Datum progress, bool progress_is_null)
{
	job->lease_until = until;
	write_back(job);
	if (!progress_is_null)
	{
		job->values[Anum_job_progress - 1] = progress;
		job->nulls[Anum_job_progress - 1] = false;
	}
	jobq_table_update(jobs, job->slot, job->values, job->nulls);
	if (until != JOBQ_NEVER)
		jobq_at_commit_lease(job->id, job->lease, until, JOBQ_NO_PROCESS);
}

/*
 * Replaces the row of a pending job: another time, priority, payload.  The
 * new row is in values[]; when the job was enqueued stays.
 */
void
jobq_job_replace(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
				 Datum *values, bool *nulls)
{
	jobq_job_set_enqueued_at(values, nulls, job->enqueued_at);
	apply(job, JOBQ_EVENT_EDIT);
	jobq_table_update(jobs, job->slot, values, nulls);
	jobq_note_settled(job->id);
	note_ready(jobs, queue, values);
	/* the row has moved, and expire.c knows where it was perhaps */
	if (job->attempt == 0 && !nulls[Anum_job_expires_at - 1])
		jobq_at_commit_due(DatumGetTimestampTz(values[Anum_job_expires_at - 1]));
}

/* Moves a pending job to another time; its time to live begins then. */
void
jobq_job_move(JobqTable *jobs, JobqJob *job, const JobqQueue *queue,
			  TimestampTz run_at)
{
	if (job->expires_at != JOBQ_NEVER)
	{
		int64		ttl = job->expires_at - job->run_at;
		bool		never = ttl >= END_TIMESTAMP - run_at;

		job->values[Anum_job_expires_at - 1] =
			TimestampTzGetDatum(never ? JOBQ_NEVER : run_at + ttl);
		job->nulls[Anum_job_expires_at - 1] = never;
	}
	job->values[Anum_job_run_at - 1] = TimestampTzGetDatum(run_at);
	jobq_job_replace(jobs, job, queue, job->values, job->nulls);
}

/* Deletes a job that is not running, without trace. */
void
jobq_job_remove(JobqTable *jobs, JobqJob *job)
{
	Assert(job->state != JOBQ_STATE_RUNNING);
	jobq_note_settled(job->id);
	if (schedule_of(job) != NULL)
		jobq_at_commit_scheduled_job_end();
	jobq_table_delete(jobs, job->slot);
}

/* A value that does not depend on the table's TOAST rows. */
static Datum
flatten(Datum value)
{
	return PointerGetDatum(PG_DETOAST_DATUM(value));
}

/* The job as columns of jobq.job. */
void
jobq_job_form_row(const JobqJob *job, const JobqQueue *queue, Datum *values,
				  bool *nulls)
{
	static const struct
	{
		int			to;
		int			from;
	}			varlenas[] = {
		{Anum_jobrow_payload, Anum_job_payload},
		{Anum_jobrow_unique_key, Anum_job_unique_key},
		{Anum_jobrow_group_key, Anum_job_group_key},
		{Anum_jobrow_tags, Anum_job_tags},
		{Anum_jobrow_headers, Anum_job_headers},
		{Anum_jobrow_progress, Anum_job_progress},
	};
	bool		leased = job->state == JOBQ_STATE_RUNNING;

	memset(nulls, false, Natts_jobrow * sizeof(bool));
	values[Anum_jobrow_id - 1] = Int64GetDatum(job->id);
	values[Anum_jobrow_queue - 1] = CStringGetTextDatum(queue->name);
	values[Anum_jobrow_attempt - 1] =
		Int32GetDatum(jobq_job_current_attempt(job));
	values[Anum_jobrow_max_attempts - 1] =
		Int32GetDatum(jobq_job_max_attempts(job, queue));
	values[Anum_jobrow_lease - 1] = Int64GetDatum(job->lease);
	nulls[Anum_jobrow_lease - 1] = !leased;
	values[Anum_jobrow_lease_until - 1] =
		TimestampTzGetDatum(job->lease_until);
	nulls[Anum_jobrow_lease_until - 1] = !leased;
	values[Anum_jobrow_priority - 1] = Int32GetDatum(job->priority);
	values[Anum_jobrow_enqueued_at - 1] =
		TimestampTzGetDatum(job->enqueued_at);
	values[Anum_jobrow_run_at - 1] = TimestampTzGetDatum(job->run_at);
	for (int i = 0; i < lengthof(varlenas); i++)
	{
		bool		isnull = job->nulls[varlenas[i].from - 1];

		nulls[varlenas[i].to - 1] = isnull;
		values[varlenas[i].to - 1] = isnull ? (Datum) 0 :
			flatten(job->values[varlenas[i].from - 1]);
	}
}
