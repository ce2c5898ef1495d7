/*-------------------------------------------------------------------------
 *
 * job.c
 *	  Jobs, and every change of a job's state.
 *
 * A job is a row of jobq_store.job until it is finished.  The row is then
 * deleted and, if the queue keeps its jobs, written to the current segment of
 * history (history.c).  A job that runs inside a transaction (executors,
 * take()) keeps the state pending, since no other state would be visible to
 * others: the row lock is the claim, and the attempt is counted when it ends.
 * A job held by a lease has the state running, and its attempt was counted
 * when it was claimed.
 *
 * IDENTIFICATION
 *	  src/job/job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/job.h"

#include "base/extension.h"
#include "base/json_object.h"
#include "job/job_column.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_lock.h"
#include "queue/ready.h"
#include "shared/interval.h"

#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

/* A column of type timestamptz or bigint, or `if_null` if it is NULL. */
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
 * Reads the columns of a row that determine whether the job may be claimed:
 * id, run_at, queue, priority, state, attempt.  They come first and are never
 * NULL, so this is cheap.  The other fields are not set.
 */
static void
read_first_columns(JobqJob *job, TupleTableSlot *slot)
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
	read_first_columns(job, slot);
	memcpy(job->values, slot->tts_values, sizeof(job->values));
	memcpy(job->nulls, slot->tts_isnull, sizeof(job->nulls));
	job->max_attempts = job->nulls[Anum_job_max_attempts - 1] ? 0 :
		DatumGetInt32(job->values[Anum_job_max_attempts - 1]);
	job->lease = int64_column(job, Anum_job_lease, 0);
	job->lease_until = int64_column(job, Anum_job_lease_until, DT_NOBEGIN);
	job->started_at = int64_column(job, Anum_job_started_at, DT_NOBEGIN);
	job->enqueued_at = int64_column(job, Anum_job_enqueued_at,
									jobq_run_at_real(job->run_at));
	job->expires_at = int64_column(job, Anum_job_expires_at, JOBQ_NEVER);
}

/*
 * Stores the time at which a job was enqueued in its row, which already has
 * run_at.  It is left NULL for jobs that may run at once, which most are.
 */
void
jobq_job_set_enqueued_at(Datum *values, bool *nulls, TimestampTz enqueued_at)
{
	values[Anum_job_enqueued_at - 1] = TimestampTzGetDatum(enqueued_at);
	nulls[Anum_job_enqueued_at - 1] =
		enqueued_at ==
		jobq_run_at_real(DatumGetTimestampTz(values[Anum_job_run_at - 1]));
}

/* Stores the fixed-width fields that transitions change in values[]. */
void
jobq_job_write_back(JobqJob *job)
{
	job->values[Anum_job_run_at - 1] = TimestampTzGetDatum(job->run_at);
	jobq_job_set_enqueued_at(job->values, job->nulls, job->enqueued_at);
	job->values[Anum_job_state - 1] = Int16GetDatum((int16) job->state);
	job->values[Anum_job_attempt - 1] = Int32GetDatum(job->attempt);
	set_int64_column(job, Anum_job_lease, job->lease, 0);
	set_int64_column(job, Anum_job_lease_until, job->lease_until, DT_NOBEGIN);
	set_int64_column(job, Anum_job_started_at, job->started_at, DT_NOBEGIN);
}

/*
 * The place of a job, from the values and the TID of its row.  Allocates the name of
 * its group.
 */
void
jobq_job_place(const Datum *values, const bool *nulls,
			   const ItemPointerData *tid, JobqPlace *place)
{
	char	   *name;

	place->key.run_at = DatumGetTimestampTz(values[Anum_job_run_at - 1]);
	place->key.id = DatumGetInt64(values[Anum_job_id - 1]);
	place->priority = DatumGetInt16(values[Anum_job_priority - 1]);
	place->tid = *tid;
	place->group = NULL;
	if (nulls[Anum_job_group_key - 1])
		return;
	name = palloc(JOBQ_GROUP_NAME_SIZE);
	text_to_cstring_buffer(DatumGetTextPP(values[Anum_job_group_key - 1]),
						   name, JOBQ_GROUP_NAME_SIZE);
	place->group = name;
}

const char *
jobq_job_group(const JobqJob *job)
{
	return job->nulls[Anum_job_group_key - 1] ? NULL :
		TextDatumGetCString(job->values[Anum_job_group_key - 1]);
}

/*
 * Locks a job whose row version is given, without waiting, and reads it.
 * Others skip the job while it is locked, and are woken if it is ready
 * afterwards.
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
		jobq_job_place(job->values, job->nulls, &seen->tts_tid, &place);
		jobq_ready_reserve(place.group);
		jobq_ready_note_locked(queue, &place);
		noted = true;
	}
	result = jobq_table_lock(jobs, &seen->tts_tid, snapshot, locked);
	if (result == JOBQ_FOUND)
		jobq_job_read(job, locked);
	else if (noted)
		(void) jobq_ready_withdraw();
	return result;
}

static void
make_id_key(ScanKey key, int64 id)
{
	ScanKeyInit(key, Anum_job_id, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
}

/* See job.h. */
void
jobq_job_reader_begin(JobqReader *reader, JobqTable *jobs)
{
	jobq_reader_begin(reader, jobs, jobq_relation_oid(JOBQ_IDX_JOB), 1);
}

/* See job.h. */
bool
jobq_job_find_next(JobqReader *reader, int64 id, TupleTableSlot *slot,
				   JobqJob *job)
{
	ScanKeyData key;

	make_id_key(&key, id);
	if (!jobq_reader_read(reader, &key, slot))
		return false;
	jobq_job_read(job, slot);
	return true;
}

/* Reads an unfinished job by the latest snapshot, without locking it. */
bool
jobq_job_find(JobqTable *jobs, int64 id, TupleTableSlot *slot, JobqJob *job)
{
	ScanKeyData key;

	make_id_key(&key, id);
	if (!jobq_table_read(jobs, jobq_relation_oid(JOBQ_IDX_JOB), &key, 1,
						 slot))
		return false;
	jobq_job_read(job, slot);
	return true;
}

/*
 * Locks an unfinished job by its id and reads it.  Others skip a ready job
 * while it is locked, and are woken if it is ready when the transaction ends.
 */
JobqFindResult
jobq_job_lock(JobqTable *jobs, int64 id, JobqWaitPolicy wait, JobqJob *job)
{
	return jobq_job_lock_for(jobs, id, wait, 0, NULL, job);
}

/* What jobq_job_lock_for() requires of a job. */
typedef struct Wanted
{
	int			privilege;
	const int64 *lease;
	bool		noted;			/* the lock that is about to be taken */
} Wanted;

/*
 * Whether to lock the job of a row.  The lock of a pending job is noted here,
 * since something could fail between taking and noting it.
 */
static bool
is_wanted(TupleTableSlot *slot, void *arg)
{
	Wanted	   *wanted = arg;
	const JobqQueue *queue;
	JobqJob		job;

	if (wanted->noted)
		(void) jobq_ready_withdraw();
	wanted->noted = false;
	jobq_job_read(&job, slot);
	queue = jobq_queue_by_id(job.queue);
	if (queue == NULL)
		return wanted->privilege == 0 && wanted->lease == NULL;
	if (wanted->privilege != 0)
	{
		/*
		 * This may come after a wait.  If memberships were looked at for the
		 * first time with a message about them pending, the server would keep
		 * the outdated ones.
		 */
		AcceptInvalidationMessages();
		jobq_queue_check_job_privilege(queue, wanted->privilege, job.id);
	}
	if (wanted->lease != NULL &&
		(job.state != JOBQ_STATE_RUNNING || job.lease != *wanted->lease))
		return false;
	if (job.state == JOBQ_STATE_PENDING)
	{
		JobqPlace	place;

		jobq_job_place(job.values, job.nulls, &slot->tts_tid, &place);
		jobq_ready_reserve(place.group);
		wanted->noted = jobq_ready_note_locked_again(queue, &place);
	}
	return true;
}

/*
 * The same for a user who needs a privilege on the job's queue (0: none;
 * raises 42501) and, unless lease is NULL, for a job that the lease holds;
 * returns JOBQ_UNWANTED if it does not, or if the queue is gone.  The row is
 * locked only after these checks, and the privilege is checked again
 * afterwards.  The job is read unless it is missing.
 */
JobqFindResult
jobq_job_lock_for(JobqTable *jobs, int64 id, JobqWaitPolicy wait,
				  int privilege, const int64 *lease, JobqJob *job)
{
	TupleTableSlot *slot = jobq_table_slot(jobs);
	Wanted		wanted = {privilege, lease, false};
	ScanKeyData key;
	JobqSearch	search = {jobq_relation_oid(JOBQ_IDX_JOB), &key, 1, wait,
	is_wanted, &wanted};
	JobqFindResult result;

	make_id_key(&key, id);
	result = jobq_table_find_if(jobs, &search, slot);
	if (result != JOBQ_FOUND && wanted.noted)
		(void) jobq_ready_withdraw();
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

/* How long the job may run, in microseconds; 0 means no limit. */
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

/* The number of the current attempt, starting with 1. */
int
jobq_job_current_attempt(const JobqJob *job)
{
	return job->state == JOBQ_STATE_RUNNING ? job->attempt : job->attempt + 1;
}

/*
 * The job's worker: the name given with the claim, or the process with this
 * PID.
 */
void
jobq_job_name_worker(JobqJob *job, int pid)
{
	if (!job->nulls[Anum_job_worker - 1])
		return;
	job->values[Anum_job_worker - 1] =
		CStringGetTextDatum(psprintf("pid %d", pid));
	job->nulls[Anum_job_worker - 1] = false;
}

/* Whether the lease of a job ends exactly at its timeout. */
bool
jobq_job_ends_by_timeout(const JobqJob *job, const JobqQueue *queue)
{
	int64		timeout = jobq_job_timeout(job, queue);

	return timeout > 0 && job->lease_until != JOBQ_NEVER &&
		job->lease_until >= job->started_at + timeout;
}

/*
 * A value that does not depend on the table's TOAST rows.  It stays compressed, so that the
 * jobs of a claim take no more memory than their rows.
 */
static Datum
flatten(Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);

	return VARATT_IS_EXTERNAL(stored) ?
		PointerGetDatum(detoast_external_attr(stored)) : value;
}

/* See job.h. */
void
jobq_job_free_row(const JobqJob *job, Datum *values)
{
	for (int i = 0; i < Natts_job; i++)
	{
		const JobqJobColumn *column = &jobq_job_columns[i];

		if (column->row != 0 && !job->nulls[column->job - 1] &&
			VARATT_IS_EXTERNAL(DatumGetPointer(job->values[column->job - 1])))
			pfree(DatumGetPointer(values[column->row - 1]));
	}
}

/* The job as columns of jobq.job. */
void
jobq_job_form_row(const JobqJob *job, const JobqQueue *queue, Datum *values,
				  bool *nulls)
{
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
	values[Anum_jobrow_run_at - 1] =
		TimestampTzGetDatum(jobq_run_at_real(job->run_at));
	for (int i = 0; i < Natts_job; i++)
	{
		const JobqJobColumn *column = &jobq_job_columns[i];
		bool		isnull = job->nulls[column->job - 1];

		if (column->row == 0)
			continue;
		nulls[column->row - 1] = isnull;
		values[column->row - 1] = isnull ? (Datum) 0 :
			flatten(job->values[column->job - 1]);
	}
}

bool
jobq_job_header(const JobqJob *job, const char *name, JsonbValue *value)
{
	return !job->nulls[Anum_job_headers - 1] &&
		jobq_json_find(job->values[Anum_job_headers - 1], name, value);
}
