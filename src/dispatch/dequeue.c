/*-------------------------------------------------------------------------
 *
 * dequeue.c
 *	  Claiming jobs from outside: dequeue, dequeue_any, take, next.
 *
 * The table of jobs is opened first, which may wait for its lock.  Claiming
 * itself never waits, so privileges need not be checked again.
 *
 * IDENTIFICATION
 *	  src/dispatch/dequeue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/lease_number.h"
#include "base/sandbox_rules.h"
#include "compat.h"
#include "dispatch/claim.h"
#include "dispatch/finish.h"
#include "guc.h"
#include "job/failure.h"
#include "job/transition.h"
#include "job/uncounted.h"
#include "jobq.h"
#include "queue/queue.h"
#include "queue/queue_lock.h"
#include "queue/queue_room.h"
#include "queue/queue_row.h"
#include "queue/queue_wake.h"
#include "shared/async_commit.h"
#include "shared/clock.h"
#include "shared/lease_registry.h"
#include "shared/wake.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(jobq_dequeue);
PG_FUNCTION_INFO_V1(jobq_dequeue_any);
PG_FUNCTION_INFO_V1(jobq_take);
PG_FUNCTION_INFO_V1(jobq_next);

/* Maximum number of queues that warn_of_handler() remembers. */
#define MAX_WARNINGS 1000

/* Maximum length of a lease: one year. */
#define MAX_LEASE (366 * USECS_PER_DAY)

/* How the jobs of one call are to be claimed. */
typedef struct ClaimOptions
{
	int			max_jobs;
	int64		duration;		/* of the lease, 0: the queue's */
	const char *worker;
	bool		session_bound;
	bool		session_bound_is_null;	/* the queue decides */
} ClaimOptions;

/* A queue about which this session has been warned. */
typedef struct WarnedQueue
{
	Oid			table;			/* of queues: the extension may be recreated */
	int32		id;
} WarnedQueue;

static int
max_jobs_argument(FunctionCallInfo fcinfo, int argno)
{
	int			max_jobs = PG_ARGISNULL(argno) ? 1 : PG_GETARG_INT32(argno);

	if (max_jobs < 1 || max_jobs > JOBQ_MAX_CLAIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_jobs must be between 1 and %d", JOBQ_MAX_CLAIM)));
	return max_jobs;
}

/* The worker name recorded if the caller gives none. */
static const char *
default_worker(void)
{
	if (application_name != NULL && application_name[0] != '\0')
		return application_name;
	return psprintf("pid %d", MyProcPid);
}

/*
 * Reads max_jobs, lease, worker and session_bound, starting at argument
 * `first`.
 */
static void
read_options(FunctionCallInfo fcinfo, int first, ClaimOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->max_jobs = max_jobs_argument(fcinfo, first);
	if (!PG_ARGISNULL(first + 1))
	{
		options->duration = jobq_duration_argument(fcinfo, first + 1, "lease",
												   false);
		if (options->duration > MAX_LEASE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lease is too long"),
					 errdetail("At most one year is allowed; heartbeats extend a lease.")));
	}
	options->worker = PG_ARGISNULL(first + 2) ? default_worker() :
		jobq_string_argument(fcinfo, first + 2, "worker",
							 JOBQ_MAX_WORKER_LENGTH);
	options->session_bound_is_null = PG_ARGISNULL(first + 3);
	if (!options->session_bound_is_null)
		options->session_bound = PG_GETARG_BOOL(first + 3);
	if (options->session_bound && options->duration > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lease and session_bound cannot be used together"),
				 errdetail("A session-bound claim ends with the session.")));
}

/*
 * Warns about a queue whose jobs executors also run, once per session and for
 * at most MAX_WARNINGS queues.
 */
static void
warn_of_handler(const JobqQueue *queue)
{
	static HTAB *warned = NULL;
	WarnedQueue key = {jobq_relation_oid(JOBQ_REL_QUEUE), queue->id};
	bool		found;

	if (warned == NULL)
	{
		HASHCTL		control;

		memset(&control, 0, sizeof(control));
		control.keysize = sizeof(WarnedQueue);
		control.entrysize = sizeof(WarnedQueue);
		control.hcxt = TopMemoryContext;
		warned = hash_create("jobq queues warned of", 16, &control,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (hash_get_num_entries(warned) >= MAX_WARNINGS)
		return;
	(void) hash_search(warned, &key, HASH_ENTER, &found);
	if (found)
		return;
	ereport(WARNING,
			(errmsg("queue \"%s\" has a handler", queue->name),
			 errdetail("Background workers run its jobs, too: each job goes either to one of them or to this client."),
			 errhint("A queue for external workers has no handler; see jobq.reset_queue().")));
}

/* The queue, if the current user may take jobs from it. */
static const JobqQueue *
source_queue(const char *name)
{
	const JobqQueue *queue = jobq_queue_require(name, JOBQ_PRIV_CONSUME);

	if (queue->is_run)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" is for SQL commands", queue->name),
				 errdetail("Only background workers run them.")));
	jobq_queue_check_home(queue);
	if (queue->handler != NULL)
		warn_of_handler(queue);
	return queue;
}

static const JobqQueue *
source_queue_argument(FunctionCallInfo fcinfo)
{
	jobq_require_argument(fcinfo, 0, "queue");
	return source_queue(text_to_cstring(PG_GETARG_TEXT_PP(0)));
}

/*
 * Like InitMaterializedSRF(), but uses the caller's description of the rows instead of
 * looking up their type and copying what it finds.
 */
static void
begin_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext oldcontext;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0 ||
		rsinfo->expectedDesc == NULL ||
		rsinfo->expectedDesc->natts != Natts_jobrow)
	{
		InitMaterializedSRF(fcinfo, 0);
		return;
	}
	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult =
		tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
							  false, work_mem);
	MemoryContextSwitchTo(oldcontext);
}

static void
put_job(ReturnSetInfo *rsinfo, const JobqJob *job, const JobqQueue *queue)
{
	Datum		values[Natts_jobrow];
	bool		nulls[Natts_jobrow];

	jobq_job_form_row(job, queue, values, nulls);
	tuplestore_putvalues(rsinfo->setResult,
						 rsinfo->setDesc != NULL ? rsinfo->setDesc : rsinfo->expectedDesc,
						 values, nulls);
	jobq_job_free_row(job, values);
}

/*
 * Returns when a claim of the job made now ends, and sets the job's lease end.
 */
static TimestampTz
claim_until(JobqJob *job, const JobqQueue *queue, const ClaimOptions *options)
{
	bool		session_bound = options->session_bound_is_null ?
	queue->session_bound && options->duration == 0 : options->session_bound;
	int64		duration = options->duration > 0 ? options->duration :
	queue->lease;
	int64		timeout = jobq_job_timeout(job, queue);

	if (!jobq_queue_counts_starts(queue))
		job->started_at = jobq_now();
	if (session_bound)
		return JOBQ_NEVER;
	if (timeout > 0)
		duration = Min(duration, timeout);
	return job->started_at + duration;
}

/*
 * Begins to claim jobs of a queue, at most *max_jobs, or a batch.  False if it is
 * paused, or must wait for notes of its jobs (unread_note.c).
 */
static bool
begin_claim(JobqClaimScan *scan, JobqTable *jobs, const JobqQueue *queue,
			int *max_jobs)
{
	if (queue->paused || jobq_queue_needs_notes(queue))
		return false;
	if (jobq_queue_has_batches(queue))
		*max_jobs = Min(*max_jobs, queue->batch_size);
	jobq_claim_begin(scan, jobs, queue, JOBQ_CLAIM_UNLOCKED, JOBQ_NEVER);
	return true;
}

/*
 * Notes a start in a group that is to be kept, of several the last one; jobs that the
 * scan meets must not have been changed by an earlier command.
 */
static void
note_group_start(List **starts, const JobqGroupStart *start)
{
	JobqGroupStart *noted;
	ListCell   *lc;

	if (start->group == NULL || !start->is_kept)
		return;
	foreach(lc, *starts)
	{
		noted = lfirst(lc);
		if (noted->group == start->group)
		{
			*noted = *start;
			return;
		}
	}
	noted = palloc(sizeof(JobqGroupStart));
	*noted = *start;
	*starts = lappend(*starts, noted);
}

static void
keep_group_starts(const List *starts, const JobqQueue *queue)
{
	ListCell   *lc;

	foreach(lc, starts)
		jobq_start_keep_of_group(lfirst(lc), queue);
}

/*
 * Whether a job that was found must be passed over, since an attempt of it that ended
 * with its background worker, or with the server, is not counted yet: this may have
 * been the last one.  The coordinator counts it.
 */
static bool
has_uncounted_attempt(JobqJob *job, const JobqQueue *queue)
{
	if (!jobq_job_may_be_uncounted(job, queue))
		return false;
	jobq_at_commit_wake(JOBQ_WAKE_NOTES);
	return true;
}

/* What is going to be claimed, for jobq_job_check_claimed(). */
static JobqClaimed
note_attempt(const JobqJob *job)
{
	return (JobqClaimed)
	{
		jobq_job_current_attempt(job), job->state == JOBQ_STATE_RUNNING
	};
}

/*
 * Claims up to max_jobs jobs of a queue under the lease and returns them to
 * the client.  Draws the lease number with the first job (*lease is 0 before
 * that).  Returns the number of jobs claimed.
 */
static int
claim_from(JobqTable *jobs, const JobqQueue *queue,
		   const ClaimOptions *options, int max_jobs, int64 *lease,
		   ReturnSetInfo *rsinfo)
{
	JobqClaimScan scan;
	JobqStart	last = {0};
	List	   *group_starts = NIL;
	JobqJob		job;
	int			claimed = 0;

	if (!begin_claim(&scan, jobs, queue, &max_jobs))
		return 0;
	while (claimed < max_jobs && jobq_claim_next(&scan, &job))
	{
		TimestampTz until = claim_until(&job, queue, options);
		JobqClaimed attempt = note_attempt(&job);

		if (*lease == 0)
			*lease = jobq_lease_new();
		if (until == JOBQ_NEVER)
		{
			jobq_refuse_if_restricted("a session-bound claim");
			jobq_lease_watch_session();
		}
		if (has_uncounted_attempt(&job, queue) ||
			!jobq_job_claim(jobs, &job, queue, *lease, until,
							options->worker))
		{
			jobq_claim_lost(&scan);
			continue;
		}
		jobq_job_check_claimed(&job, queue, &attempt);
		if (job.attempt >= jobq_job_max_attempts(&job, queue))
			jobq_async_commit_insist();
		put_job(rsinfo, &job, queue);
		note_group_start(&group_starts, &scan.group_start);
		last = scan.start;
		claimed++;
	}

	/* one in wait() was woken for several jobs: the next one is next */
	if (claimed == max_jobs && queue->state != NULL &&
		pg_atomic_read_u32(&queue->state->waiting) > 0 &&
		jobq_claim_sees_more(&scan))
		jobq_at_commit_look(queue);
	jobq_claim_end(&scan);
	jobq_start_keep(&last, queue);
	keep_group_starts(group_starts, queue);
	return claimed;
}

/* Whether a queue stands among those before it, too. */
static bool
is_named_before(const JobqQueue *const *queues, int place)
{
	for (int i = 0; i < place; i++)
	{
		if (queues[i]->id == queues[place]->id)
			return true;
	}
	return false;
}

/*
 * Nothing was claimed: raises 53200 if one of the queues has a limit for which there
 * is no room.
 */
static void
require_room(const JobqQueue *const *queues, int nqueues)
{
	for (int i = 0; i < nqueues; i++)
	{
		if (jobq_queue_lacks_room(queues[i]) && !queues[i]->paused)
			jobq_queue_require_room(queues[i]);
	}
}

/*
 * Checks again that the user may consume from the queues, if that may have changed
 * since jobq_relation_waits() was `waits`.
 */
static void
recheck_after(uint64 waits, const JobqQueue *const *queues, int nqueues)
{
	for (int i = 0; i < nqueues; i++)
	{
		if (jobq_queue_may_have_changed(queues[i], waits))
			jobq_queue_recheck(queues[i]->id, JOBQ_PRIV_CONSUME);
	}
}

/*
 * Claims from one queue after the other, and returns the jobs as rows; returns their
 * number.  The jobs of a batch are those with the same lease, so there is one batch
 * of a queue.
 */
static int
return_claimed(FunctionCallInfo fcinfo, JobqTable *jobs,
			   const JobqQueue *const *queues, int nqueues,
			   const ClaimOptions *options)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			left = options->max_jobs;
	int64		lease = 0;

	begin_rows(fcinfo);
	jobq_async_commit_begin(jobq_async_claims);
	for (int i = 0; i < nqueues && left > 0; i++)
	{
		if (jobq_queue_has_batches(queues[i]) && is_named_before(queues, i))
			continue;
		left -= claim_from(jobs, queues[i], options, left, &lease, rsinfo);
	}
	jobq_async_commit_end();
	return options->max_jobs - left;
}

Datum
jobq_dequeue(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	ClaimOptions options;
	JobqTable  *jobs;
	uint64		waits;

	jobq_begin_write("jobq.dequeue()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	queue = source_queue_argument(fcinfo);
	read_options(fcinfo, 1, &options);
	if (return_claimed(fcinfo, jobs, &queue, 1, &options) == 0)
		require_room(&queue, 1);
	recheck_after(waits, &queue, 1);
	jobq_table_close(jobs);
	return (Datum) 0;
}

Datum
jobq_dequeue_any(PG_FUNCTION_ARGS)
{
	ClaimOptions options;
	Datum	   *names;
	int			nnames;
	const JobqQueue **queues;
	JobqTable  *jobs;
	uint64		waits;

	jobq_begin_write("jobq.dequeue_any()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	jobq_require_argument(fcinfo, 0, "queues");
	names = jobq_array_elements("queues", PG_GETARG_ARRAYTYPE_P(0), TEXTOID,
								NULL, &nnames);
	queues = palloc(Max(nnames, 1) * sizeof(JobqQueue *));
	for (int i = 0; i < nnames; i++)
		queues[i] = source_queue(TextDatumGetCString(names[i]));
	read_options(fcinfo, 1, &options);
	if (return_claimed(fcinfo, jobs, queues, nnames, &options) == 0)
		require_room(queues, nnames);
	recheck_after(waits, queues, nnames);
	jobq_table_close(jobs);
	return (Datum) 0;
}

/*
 * Takes up to max_jobs jobs of a queue, and returns them to the client.  Returns
 * their number.
 */
static int
take_from(JobqTable *jobs, const JobqQueue *queue, int max_jobs,
		  ReturnSetInfo *rsinfo)
{
	JobqClaimScan scan;
	JobqStart	last = {0};
	List	   *group_starts = NIL;
	JobqJob		job;
	int			taken = 0;

	if (!begin_claim(&scan, jobs, queue, &max_jobs))
		return 0;
	while (taken < max_jobs && jobq_claim_next(&scan, &job))
	{
		JobqClaimed attempt = note_attempt(&job);

		if (has_uncounted_attempt(&job, queue) || !jobq_job_take(jobs, &job, queue))
		{
			jobq_claim_lost(&scan);
			continue;
		}
		jobq_job_check_claimed(&job, queue, &attempt);
		job.state = JOBQ_STATE_PENDING;
		job.attempt = attempt.attempt - 1;
		put_job(rsinfo, &job, queue);
		note_group_start(&group_starts, &scan.group_start);
		last = scan.start;
		taken++;
	}
	jobq_claim_end(&scan);
	jobq_start_keep(&last, queue);
	keep_group_starts(group_starts, queue);
	return taken;
}

Datum
jobq_take(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	JobqTable  *jobs;
	uint64		waits;
	int			max_jobs;

	jobq_begin_write("jobq.take()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	queue = source_queue_argument(fcinfo);
	max_jobs = max_jobs_argument(fcinfo, 1);
	begin_rows(fcinfo);
	if (take_from(jobs, queue, max_jobs,
				  (ReturnSetInfo *) fcinfo->resultinfo) == 0)
		require_room(&queue, 1);
	recheck_after(waits, &queue, 1);
	jobq_table_close(jobs);
	return (Datum) 0;
}

Datum
jobq_next(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	ClaimOptions options;
	JobqTable  *jobs;
	uint64		waits;
	JobqCompletedQueues completed = {0};
	int			ndone = 0;

	jobq_begin_write("jobq.next()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	queue = source_queue_argument(fcinfo);
	read_options(fcinfo, 3, &options);
	if (!PG_ARGISNULL(1))
	{
		Datum	   *done = jobq_array_elements("done",
											   PG_GETARG_ARRAYTYPE_P(1),
											   INT8OID, NULL, &ndone);

		if (ndone > 0)
		{
			jobq_require_argument(fcinfo, 2, "lease");
			jobq_async_commit_begin(true);
			(void) jobq_finish_complete_jobs(jobs, done, ndone,
											 PG_GETARG_INT64(2), &completed);
			jobq_async_commit_end();
			/* that may have waited for a job's lock */
			queue = source_queue_argument(fcinfo);
		}
	}
	/* an error would take back what is done */
	if (return_claimed(fcinfo, jobs, &queue, 1, &options) == 0 && ndone == 0)
		require_room(&queue, 1);
	recheck_after(waits, &queue, 1);
	if (ndone > 0)
		jobq_finish_recheck(&completed);
	jobq_table_close(jobs);
	return (Datum) 0;
}
