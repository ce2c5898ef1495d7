/*-------------------------------------------------------------------------
 *
 * enqueue.c
 *	  Adding jobs: one job, for the SQL functions (produce.c), for schedules
 *	  and for on_dead.
 *
 * IDENTIFICATION
 *	  src/job/enqueue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/enqueue.h"

#include "base/extension.h"
#include "base/sequence.h"
#include "job/admission.h"
#include "job/current_job.h"
#include "job/failure.h"
#include "job/history.h"
#include "job/transition.h"
#include "queue/payload.h"
#include "queue/queue_lock.h"
#include "queue/ready.h"
#include "shared/clock.h"
#include "shared/interval.h"
#include "shared/unfinished.h"
#include "shared/wake.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

void
jobq_check_priority(int priority)
{
	if (priority < PG_INT16_MIN || priority > PG_INT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("priority must be between %d and %d",
						PG_INT16_MIN, PG_INT16_MAX),
				 errhint("Jobs with smaller numbers run first.")));
}

void
jobq_enqueue_defaults(JobqEnqueueOptions *options, const JobqQueue *queue)
{
	memset(options, 0, sizeof(*options));
	options->queue = queue;
	options->enqueued_at = jobq_now();
	options->run_at = options->enqueued_at;
	options->priority = queue->priority;
	options->expires_at = queue->ttl > 0 ?
		options->run_at + queue->ttl : JOBQ_NEVER;
}

static void
set_optional(Datum *values, bool *nulls, int attnum, Datum value)
{
	if (value == (Datum) 0)
		return;
	values[attnum - 1] = value;
	nulls[attnum - 1] = false;
}

/* The run_at of a new job's row: mirrored in a lifo queue, if it may run at once. */
static TimestampTz
stored_run_at(const JobqEnqueueOptions *options)
{
	if (options->queue->lifo && options->run_at == options->enqueued_at)
		return jobq_run_at_mirror(options->run_at);
	return options->run_at;
}

/* Makes the row of a new job. */
static void
form_job(const JobqEnqueueOptions *options, int64 id, Datum payload,
		 Datum *values, bool *nulls)
{
	memset(values, 0, Natts_job * sizeof(Datum));
	memset(nulls, true, Natts_job * sizeof(bool));
	memset(nulls, false, Anum_job_attempt * sizeof(bool));
	values[Anum_job_id - 1] = Int64GetDatum(id);
	values[Anum_job_run_at - 1] = TimestampTzGetDatum(stored_run_at(options));
	values[Anum_job_queue - 1] = Int32GetDatum(options->queue->id);
	values[Anum_job_priority - 1] = Int16GetDatum(options->priority);
	values[Anum_job_state - 1] = Int16GetDatum(JOBQ_STATE_PENDING);
	values[Anum_job_attempt - 1] = Int32GetDatum(0);
	set_optional(values, nulls, Anum_job_max_attempts,
				 Int32GetDatum(options->max_attempts));
	jobq_job_set_enqueued_at(values, nulls, options->enqueued_at);
	if (options->expires_at != JOBQ_NEVER)
	{
		values[Anum_job_expires_at - 1] =
			TimestampTzGetDatum(options->expires_at);
		nulls[Anum_job_expires_at - 1] = false;
	}
	set_optional(values, nulls, Anum_job_timeout,
				 PointerGetDatum(options->timeout));
	set_optional(values, nulls, Anum_job_unique_for,
				 PointerGetDatum(options->unique_for));
	if (options->unique_key != NULL)
		set_optional(values, nulls, Anum_job_unique_key,
					 CStringGetTextDatum(options->unique_key));
	if (options->group_key != NULL)
		set_optional(values, nulls, Anum_job_group_key,
					 CStringGetTextDatum(options->group_key));
	set_optional(values, nulls, Anum_job_tags, options->tags);
	set_optional(values, nulls, Anum_job_headers, options->headers);
	if (options->command != NULL)
		set_optional(values, nulls, Anum_job_command,
					 CStringGetTextDatum(options->command));
	set_optional(values, nulls, Anum_job_payload, payload);
}

/* Checks the privilege again after waiting for the key. */
static void
report_duplicate(const JobqEnqueueOptions *options, int64 existing)
{
	if (!options->unchecked)
		jobq_queue_recheck(options->queue->id, JOBQ_PRIV_ENQUEUE);
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("queue \"%s\" already has a job with this unique_key",
					options->queue->name),
			 errdetail("Key \"%s\" belongs to job " INT64_FORMAT ".",
					   options->unique_key, existing)));
}

/*
 * A job that has failed before, and whose new row is in values[], waits for the next
 * attempt at least as long as planned.  In a group where it keeps its place it does
 * so there, and those behind it wait, too.
 */
static void
keep_waiting(const JobqJob *job, const JobqEnqueueOptions *options,
			 Datum *values, bool *nulls)
{
	const char *group = jobq_job_group(job);
	TimestampTz until = Max(options->run_at,
							Max(jobq_run_at_real(job->run_at), job->lease_until));

	if (group == NULL || options->group_key == NULL ||
		strcmp(group, options->group_key) != 0 ||
		!jobq_job_keeps_place(job, options->queue))
	{
		values[Anum_job_run_at - 1] = TimestampTzGetDatum(until);
		return;
	}
	values[Anum_job_run_at - 1] = TimestampTzGetDatum(job->run_at);
	if (until <= jobq_now())
		return;
	values[Anum_job_lease_until - 1] = TimestampTzGetDatum(until);
	nulls[Anum_job_lease_until - 1] = false;
}

/*
 * Gives the job in the locked row the new payload and options, if it is not
 * running, and has no attempt that is not counted yet: that had the old ones.  A
 * job that has failed before keeps its attempts, and does not expire.
 */
static void
replace_job(JobqTable *jobs, JobqJob *job, const JobqEnqueueOptions *options,
			Datum payload)
{
	Datum		values[Natts_job];
	bool		nulls[Natts_job];

	if (job->state != JOBQ_STATE_PENDING || jobq_current_job_is(job->id) ||
		jobq_job_may_be_uncounted(job, options->queue))
		return;
	form_job(options, job->id, payload, values, nulls);
	values[Anum_job_attempt - 1] = Int32GetDatum(job->attempt);
	if (job->attempt > 0)
	{
		keep_waiting(job, options, values, nulls);
		nulls[Anum_job_expires_at - 1] = true;
	}
	jobq_job_replace(jobs, job, options->queue, values, nulls);
}

/*
 * Handles the conflict with the job at `tid` that has the same key.  Returns
 * the job's id, or 0 if it has changed meanwhile and the insert must be tried
 * again.
 */
static int64
resolve_conflict(JobqTable *jobs, const JobqEnqueueOptions *options,
				 Datum payload, ItemPointer tid)
{
	TupleTableSlot *slot = jobq_table_slot(jobs);
	Snapshot	snapshot;
	JobqJob		job;
	int64		id = 0;

	/* the row may be of this very command */
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (table_tuple_fetch_row_version(jobs->rel, tid, snapshot, slot))
	{
		jobq_job_read(&job, slot);
		id = job.id;
		if (options->on_conflict == JOBQ_CONFLICT_ERROR)
			report_duplicate(options, id);
		if (options->on_conflict == JOBQ_CONFLICT_REPLACE)
		{
			JobqFindResult locked = jobq_job_lock_row(jobs, slot, snapshot,
													  jobq_table_slot(jobs),
													  &job);

			if (locked == JOBQ_FOUND)
				replace_job(jobs, &job, options, payload);
			else if (locked == JOBQ_MISSING)
				id = 0;
			/* JOBQ_BUSY: it is running and must not be changed */
		}
	}
	UnregisterSnapshot(snapshot);
	return id;
}

/* Takes back the row that has just been inserted. */
static void
undo_insert(JobqTable *jobs, const JobqEnqueueOptions *options, int64 id)
{
	JobqJob		job;

	if (jobq_job_lock(jobs, id, JOBQ_WAIT, &job) != JOBQ_FOUND)
		elog(ERROR, "job " INT64_FORMAT " has vanished", id);
	/* it has not been counted yet, and is counted as removed */
	jobq_count_jobs(options->queue, 1);
	jobq_job_remove(jobs, &job);
}

/* Whether the rates of the queue and the group let a job through. */
static bool
passes_rates(const JobqEnqueueOptions *options)
{
	JobqGroupAdmissions admissions = {NULL};
	bool		result = jobq_admission_by_rates(options->queue, options->group_key,
												 options->unchecked, &admissions);

	jobq_enqueue_group_rate_keep(options->queue, &admissions);
	return result;
}

/*
 * The latest finished job that holds the key: a completed one for unique_for, and if
 * the queue has it so, others for that time or as long as they are on record.  0: none.
 */
static int64
find_finished_holder(const JobqEnqueueOptions *options)
{
	static const JobqState failed[] = {
		JOBQ_STATE_DEAD, JOBQ_STATE_CANCELLED, JOBQ_STATE_EXPIRED
	};
	int32		queue = options->queue->id;
	TimestampTz since = DT_NOBEGIN;
	int64		holder = 0;

	if (options->unique_for != NULL)
	{
		since = jobq_now() - jobq_interval_microseconds(options->unique_for);
		holder = jobq_history_find_key(queue, options->unique_key,
									   JOBQ_STATE_COMPLETED, &since);
	}
	for (int i = 0; options->queue->unique_when_dead && i < lengthof(failed); i++)
	{
		int64		found = jobq_history_find_key(queue, options->unique_key,
												  failed[i], &since);

		if (found != 0)
			holder = found;
	}
	return holder;
}

/* Inserts a job with a unique key; see jobq_enqueue_job(). */
static int64
enqueue_unique(JobqTable *jobs, const JobqEnqueueOptions *options, int64 id,
			   Datum payload)
{
	Oid			arbiter = jobq_relation_oid(JOBQ_IDX_JOB_UNIQUE_KEY);
	Datum		values[Natts_job];
	bool		nulls[Natts_job];
	ItemPointerData conflict;
	int64		existing;

	form_job(options, id, payload, values, nulls);
	while (!jobq_table_insert_unique(jobs, arbiter, values, nulls, &conflict))
	{
		CHECK_FOR_INTERRUPTS();
		existing = resolve_conflict(jobs, options, payload, &conflict);
		if (existing != 0)
			return existing;
	}

	/*
	 * Look for a finished job of this key only now, when no other job of the
	 * key can be inserted or finish unseen.
	 */
	if (options->unique_for != NULL || options->queue->unique_when_dead)
	{
		existing = find_finished_holder(options);
		if (existing != 0)
		{
			if (options->on_conflict == JOBQ_CONFLICT_ERROR)
				report_duplicate(options, existing);
			undo_insert(jobs, options, id);
			return existing;
		}
	}
	if (!passes_rates(options))
	{
		undo_insert(jobs, options, id);
		return 0;
	}
	jobq_count_jobs(options->queue, 1);
	if (!options->unchecked)
		jobq_admission_check(jobs, options->queue, 0, id);
	jobq_job_note_ready(jobs, options->queue, values, nulls);
	return id;
}

/*
 * Inserts a job, whose payload has been checked.  Returns the id of the
 * surviving one, or 0 if the queue's rate has left it out.
 */
static int64
enqueue_one(JobqTable *jobs, const JobqEnqueueOptions *options, int64 id,
			Datum payload)
{
	const JobqQueue *queue = options->queue;
	Datum		values[Natts_job];
	bool		nulls[Natts_job];
	int64		survivor;

	if (options->unique_key == NULL)
	{
		if (!passes_rates(options))
			return 0;
		if (!options->unchecked)
			jobq_admission_check(jobs, queue, 1, 0);
		form_job(options, id, payload, values, nulls);
		jobq_job_insert(jobs, queue, values, nulls);
		survivor = id;
	}
	else
		survivor = enqueue_unique(jobs, options, id, payload);
	if (survivor == id && options->expires_at != JOBQ_NEVER)
		jobq_at_commit_expiry(options->expires_at);
	return survivor;
}

/* Prepares to add jobs to the queue, and draws their ids. */
static int64
begin_enqueue(const JobqEnqueueOptions *options, const Datum *payloads,
			  int njobs)
{
	if (!options->unchecked && njobs == 1)
		jobq_payload_check_job(options->queue, payloads[0]);
	else if (!options->unchecked)
		jobq_check_payloads(options->queue, payloads, njobs);
	return jobq_sequence_take(jobq_relation_oid(JOBQ_SEQ_JOB_ID), njobs);
}

int64
jobq_enqueue_job(JobqTable *jobs, const JobqEnqueueOptions *options,
				 Datum payload)
{
	return enqueue_one(jobs, options, begin_enqueue(options, &payload, 1),
					   payload);
}

/* State of next_job(). */
typedef struct JobSource
{
	const JobqEnqueueBatch *batch;
	int64		first;			/* id of the first job */
	int			n;				/* of jobs so far */
	Datum		values[Natts_job];	/* the rest is the same for all */
	bool		nulls[Natts_job];
} JobSource;

/* A row for jobq_table_insert_many(). */
static void
next_job(void *arg, Datum *values, bool *nulls)
{
	JobSource  *source = arg;
	const JobqEnqueueBatch *batch = source->batch;
	int			i = source->n++;

	memcpy(values, source->values, sizeof(source->values));
	memcpy(nulls, source->nulls, sizeof(source->nulls));
	values[Anum_job_id - 1] = Int64GetDatum(source->first + i);
	values[Anum_job_payload - 1] = batch->payloads[i];
	if (batch->group_keys == NULL || batch->group_keys[i] == NULL)
		return;
	values[Anum_job_group_key - 1] = CStringGetTextDatum(batch->group_keys[i]);
	nulls[Anum_job_group_key - 1] = false;
}

/* Notes the first jobs of a batch, together as far as they are of one group. */
static void
note_batch(const JobqEnqueueOptions *options, const JobSource *source,
		   int njobs)
{
	const JobqEnqueueBatch *batch = source->batch;
	ItemPointerData none;
	JobqPlace	place;

	ItemPointerSetInvalid(&none);
	jobq_job_place(source->values, source->nulls, &none, &place);
	if (batch->group_keys == NULL)
	{
		jobq_at_commit_ready_many(options->queue, &place, njobs);
		return;
	}
	for (int i = 0; i < njobs; i++)
	{
		place.key.id = source->first + i;
		place.group = batch->group_keys[i];
		jobq_at_commit_ready(options->queue, &place);
	}
}

/*
 * The jobs of a batch that the rates of the queue and its groups let through, each by
 * itself; places[] is where they were.
 */
static JobqEnqueueBatch
pick_jobs(const JobqEnqueueOptions *options, const JobqEnqueueBatch *batch,
		  int *places)
{
	Datum	   *payloads = palloc(batch->njobs * sizeof(Datum));
	const char **groups = palloc(batch->njobs * sizeof(char *));
	JobqEnqueueBatch picked = {.payloads = payloads,.group_keys = groups};
	JobqGroupAdmissions admissions = {NULL};

	for (int i = 0; i < batch->njobs; i++)
	{
		const char *group = batch->group_keys == NULL ? options->group_key :
		batch->group_keys[i];

		CHECK_FOR_INTERRUPTS();
		if (!jobq_admission_by_rates(options->queue, group, false, &admissions))
			continue;
		payloads[picked.njobs] = batch->payloads[i];
		groups[picked.njobs] = group;
		places[picked.njobs++] = i;
	}
	jobq_enqueue_group_rate_keep(options->queue, &admissions);
	return picked;
}

/*
 * The jobs of a batch that are to be added, as above.  Where no rate is of groups, these are
 * the first ones, and *places is NULL.
 */
static JobqEnqueueBatch
admit_jobs(const JobqEnqueueOptions *options, const JobqEnqueueBatch *batch,
		   int **places)
{
	JobqEnqueueBatch admitted = *batch;

	*places = NULL;
	if (jobq_queue_may_admit_in_groups(options->queue))
	{
		*places = palloc(batch->njobs * sizeof(int));
		return pick_jobs(options, batch, *places);
	}
	admitted.njobs = jobq_admission_by_rate(options->queue, batch->njobs, false);
	return admitted;
}

void
jobq_enqueue_jobs(JobqTable *jobs, const JobqEnqueueOptions *options,
				  const JobqEnqueueBatch *batch, int64 *ids)
{
	JobqEnqueueBatch admitted;
	JobSource	source = {.batch = &admitted};
	int		   *places;
	int			njobs;

	if (batch->njobs == 0)
		return;
	source.first = begin_enqueue(options, batch->payloads, batch->njobs);
	memset(ids, 0, batch->njobs * sizeof(int64));
	admitted = admit_jobs(options, batch, &places);
	njobs = admitted.njobs;
	if (njobs == 0)
		return;
	jobq_admission_check(jobs, options->queue, njobs, 0);
	form_job(options, source.first, admitted.payloads[0], source.values,
			 source.nulls);
	for (int i = 0; i < njobs; i++)
		ids[places == NULL ? i : places[i]] = source.first + i;
	jobq_table_insert_many(jobs, njobs, next_job, &source);
	jobq_count_jobs(options->queue, njobs);
	note_batch(options, &source, njobs);
	if (options->expires_at != JOBQ_NEVER)
		jobq_at_commit_expiry(options->expires_at);
}

/* One of the jobs that jobq_enqueue_keyed_jobs() sorts. */
typedef struct KeyedJob
{
	const char *key;			/* NULL: none */
	int			place;			/* in the call's arrays */
} KeyedJob;

/* Compares keys; jobs without a key come in any order. */
static int
compare_keys(const KeyedJob *x, const KeyedJob *y)
{
	if (x->key != NULL && y->key != NULL)
		return strcmp(x->key, y->key);
	return x->key == NULL ? -1 : 1;
}

static int
compare_keyed_jobs(const void *a, const void *b)
{
	const KeyedJob *x = a;
	const KeyedJob *y = b;
	int			order = 0;

	if (x->key != NULL || y->key != NULL)
		order = compare_keys(x, y);
	return order != 0 ? order : x->place - y->place;
}

/*
 * Jobs are inserted in the order of their keys, so that two calls with keys in
 * common do not deadlock.  Their ids are in the order of the call.
 */
void
jobq_enqueue_keyed_jobs(JobqTable *jobs, const JobqEnqueueOptions *options,
						const JobqEnqueueBatch *batch, int64 *ids)
{
	JobqEnqueueOptions own = *options;
	int			njobs = batch->njobs;
	KeyedJob   *sorted;
	int64		first;

	if (njobs == 0)
		return;
	sorted = palloc(njobs * sizeof(KeyedJob));
	for (int i = 0; i < njobs; i++)
	{
		sorted[i].key = batch->unique_keys[i];
		sorted[i].place = i;
	}
	qsort(sorted, njobs, sizeof(KeyedJob), compare_keyed_jobs);
	first = begin_enqueue(options, batch->payloads, njobs);
	for (int i = 0; i < njobs; i++)
	{
		int			place = sorted[i].place;

		CHECK_FOR_INTERRUPTS();
		if (options->on_conflict == JOBQ_CONFLICT_ERROR && i > 0 &&
			compare_keys(&sorted[i - 1], &sorted[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNIQUE_VIOLATION),
					 errmsg("unique_keys must not contain duplicates"),
					 errdetail("Elements %d and %d are both \"%s\".",
							   sorted[i - 1].place + 1, place + 1,
							   own.unique_key)));
		own.unique_key = batch->unique_keys[place];
		if (batch->group_keys != NULL)
			own.group_key = batch->group_keys[place];
		own.unique_for = own.unique_key != NULL ? options->unique_for : NULL;
		ids[place] = enqueue_one(jobs, &own, first + place,
								 batch->payloads[place]);
	}
	pfree(sorted);
}
