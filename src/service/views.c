/*-------------------------------------------------------------------------
 *
 * views.c
 *	  Functions used by the views of schema jobq.
 *
 * They run as the role that reads the view.  No role has USAGE on jobq_store,
 * so they can be called only through the views.
 *
 * IDENTIFICATION
 *	  src/service/views.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/extension.h"
#include "base/rights.h"
#include "compat.h"
#include "job/history.h"
#include "job/job.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "service/service.h"
#include "shared/clock.h"
#include "shared/database.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Any of these lets a role see a queue's jobs. */
#define TO_READ (JOBQ_PRIV_READ | JOBQ_PRIV_CONSUME | JOBQ_PRIV_MANAGE)

/* Number of queues that a call of may_read() in a query checks one by one. */
#define CALLS_ONE_BY_ONE 64

PG_FUNCTION_INFO_V1(jobq_may_read);
PG_FUNCTION_INFO_V1(jobq_may_name);
PG_FUNCTION_INFO_V1(jobq_may_see_role);
PG_FUNCTION_INFO_V1(jobq_may_read_all);
PG_FUNCTION_INFO_V1(jobq_job_state);
PG_FUNCTION_INFO_V1(jobq_real_run_at);
PG_FUNCTION_INFO_V1(jobq_is_kept);
PG_FUNCTION_INFO_V1(jobq_worker_slots);

/* Columns of worker_slots(). */
enum
{
	COL_PID,
	COL_KIND,
	COL_ROLE,
	COL_STATE,
	COL_QUEUE,
	COL_JOB_ID,
	COL_ATTEMPT,
	COL_SINCE,
	NCOLS
};

/* What a call of may_read() in a query remembers. */
typedef struct Memo
{
	Oid			reader;
	int			ncalls;
	List	   *queues;			/* all queues that the reader may read, in
								 * order */
	bool		has_queues;		/* whether queues is set */
} Memo;

static bool
contains_id(const List *ids, int32 id)
{
	int			low = 0;
	int			high = list_length(ids);

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (list_nth_int(ids, middle) == id)
			return true;
		if (list_nth_int(ids, middle) < id)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The memo of a call, for the current user. */
static Memo *
get_memo(FmgrInfo *flinfo)
{
	Memo	   *memo = flinfo->fn_extra;

	if (memo == NULL)
		memo = flinfo->fn_extra = MemoryContextAllocZero(flinfo->fn_mcxt,
														 sizeof(Memo));
	if (memo->reader != GetUserId())
	{
		list_free(memo->queues);
		memset(memo, 0, sizeof(Memo));
		memo->reader = GetUserId();
	}
	return memo;
}

/*
 * may_read(queue): as owner, or with a privilege other than to enqueue.  A
 * query that calls this often is likely to ask about many queues of others, so
 * listing the reader's own queues is cheaper than reading all of those.
 */
Datum
jobq_may_read(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	Memo	   *memo;

	jobq_require_shmem();
	if (jobq_reads_all(GetUserId()))
	{
		/* refuses tables of another version */
		(void) jobq_relation_oid(JOBQ_REL_QUEUE);
		PG_RETURN_BOOL(true);
	}
	memo = get_memo(fcinfo->flinfo);
	if (memo->ncalls++ < CALLS_ONE_BY_ONE)
	{
		queue = jobq_queue_by_id(PG_GETARG_INT32(0));
		PG_RETURN_BOOL(queue != NULL &&
					   jobq_queue_allows(queue, GetUserId(), TO_READ));
	}
	if (!memo->has_queues)
	{
		MemoryContext oldcontext =
		MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		memo->queues = jobq_queues_allowed(GetUserId(), TO_READ);
		memo->has_queues = true;
		MemoryContextSwitchTo(oldcontext);
	}
	PG_RETURN_BOOL(contains_id(memo->queues, PG_GETARG_INT32(0)));
}

/*
 * may_name(queue): with any privilege.  A reference to a queue was created
 * with its name, but the queue may have been renamed since, and the privilege
 * revoked.
 */
Datum
jobq_may_name(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;

	jobq_require_shmem();
	if (jobq_reads_all(GetUserId()))
		PG_RETURN_BOOL(true);
	queue = jobq_queue_by_id(PG_GETARG_INT32(0));
	PG_RETURN_BOOL(queue != NULL && jobq_queue_may_name(queue, GetUserId()));
}

/*
 * may_see_role(role): oneself, roles one is a member of; those who may read
 * everything all
 */
Datum
jobq_may_see_role(PG_FUNCTION_ARGS)
{
	Oid			role = PG_GETARG_OID(0);

	PG_RETURN_BOOL(has_privs_of_role(GetUserId(), role) ||
				   jobq_reads_all(GetUserId()));
}

/* may_read_all(): always true; access is controlled by EXECUTE on it. */
Datum
jobq_may_read_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(jobq_reads_all(GetUserId()));
}

/* job_state(state, run_at) */
Datum
jobq_job_state(PG_FUNCTION_ARGS)
{
	JobqState	state = (JobqState) PG_GETARG_INT16(0);
	bool		due = PG_GETARG_TIMESTAMPTZ(1) <= jobq_now();

	PG_RETURN_TEXT_P(cstring_to_text(jobq_state_name(state, due)));
}

/* real_run_at(run_at) */
Datum
jobq_real_run_at(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(jobq_run_at_real(PG_GETARG_TIMESTAMPTZ(0)));
}

/*
 * is_kept(queue, state, finished_at, unique_for): whether a finished job is on
 * record.  unique_for is NULL if it has none.
 */
Datum
jobq_is_kept(PG_FUNCTION_ARGS)
{
	jobq_require_shmem();
	PG_RETURN_BOOL(jobq_history_is_kept(PG_GETARG_INT32(0),
										(JobqState) PG_GETARG_INT16(1),
										PG_GETARG_TIMESTAMPTZ(2),
										PG_ARGISNULL(3) ? NULL :
										PG_GETARG_INTERVAL_P(3)));
}

/* Fills in the row of a coordinator. */
static void
coordinator_row(const JobqDatabase *database, Datum *values, bool *nulls)
{
	memset(nulls, true, NCOLS * sizeof(bool));
	values[COL_PID] = Int32GetDatum((int32) database->coordinator_pid);
	nulls[COL_PID] = false;
	values[COL_KIND] = CStringGetTextDatum("coordinator");
	nulls[COL_KIND] = false;
	values[COL_STATE] =
		CStringGetTextDatum(database->stopped ? "stopped" :
							database->starving ? "no free worker slot" :
							"running");
	nulls[COL_STATE] = false;
}

/*
 * The job at which an executor is, 0: none.  It is still at one that has ended
 * until the outcome is committed, unless another executor is at it by then.
 */
static int64
job_at_hand(const JobqWorker *workers, int i)
{
	int64		job_id = workers[i].job_id;

	if (workers[i].state != JOBQ_WORKER_BUSY)
		return 0;
	if (job_id != 0 || workers[i].ended_job == 0)
		return job_id;
	job_id = workers[i].ended_job;
	for (int j = 0; j < JOBQ_MAX_WORKER_SLOTS; j++)
	{
		if (j != i && workers[j].dboid == workers[i].dboid &&
			(workers[j].job_id == job_id ||
			 (workers[j].ended_job == job_id && j > i)))
			return 0;
	}
	return job_id;
}

/* Fills in the row of an executor. */
static void
executor_row(const JobqWorker *worker, int64 job_id, Datum *values,
			 bool *nulls)
{
	bool		busy = job_id != 0;

	memset(nulls, true, NCOLS * sizeof(bool));
	if (worker->pid != 0)
	{
		values[COL_PID] = Int32GetDatum((int32) worker->pid);
		nulls[COL_PID] = false;
	}
	values[COL_KIND] = CStringGetTextDatum("executor");
	nulls[COL_KIND] = false;
	values[COL_ROLE] = ObjectIdGetDatum(worker->role);
	nulls[COL_ROLE] = false;
	values[COL_STATE] =
		CStringGetTextDatum(worker->state == JOBQ_WORKER_STARTING ?
							"starting" : busy ? "running" : "idle");
	nulls[COL_STATE] = false;
	if (busy)
	{
		values[COL_QUEUE] = Int32GetDatum(worker->queue);
		values[COL_JOB_ID] = Int64GetDatum(job_id);
		values[COL_ATTEMPT] = Int32GetDatum(worker->attempt);
		nulls[COL_QUEUE] = nulls[COL_JOB_ID] = nulls[COL_ATTEMPT] = false;
	}
	if (worker->started_at != 0)
	{
		values[COL_SINCE] = TimestampTzGetDatum(worker->started_at);
		nulls[COL_SINCE] = false;
	}
}

/* worker_slots(): this database's coordinator and executors. */
Datum
jobq_worker_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	JobqDatabase *entry;
	JobqDatabase database;
	JobqWorker *workers;
	Datum		values[NCOLS];
	bool		nulls[NCOLS];

	jobq_require_shmem();
	InitMaterializedSRF(fcinfo, 0);

	/* copies, since nothing may throw while the locks are held */
	memset(&database, 0, sizeof(database));
	entry = jobq_database_find(MyDatabaseId);
	if (entry != NULL)
	{
		LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
		database.coordinator_pid = entry->coordinator_pid;
		database.stopped = jobq_service_is_held(entry);
		database.starving = entry->starving;
		LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	}
	workers = palloc(sizeof(jobq_shared->workers));
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_SHARED);
	memcpy(workers, jobq_shared->workers, sizeof(jobq_shared->workers));
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));

	if (database.coordinator_pid != 0)
	{
		coordinator_row(&database, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		if (workers[i].state == JOBQ_WORKER_FREE ||
			workers[i].dboid != MyDatabaseId)
			continue;
		executor_row(&workers[i], job_at_hand(workers, i), values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	PG_RETURN_VOID();
}
