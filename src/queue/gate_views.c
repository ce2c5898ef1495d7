/*-------------------------------------------------------------------------
 *
 * gate_views.c
 *	  What shared memory knows of running and unfinished jobs, for checks.
 *
 * IDENTIFICATION
 *	  src/queue/gate_views.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/extension.h"
#include "base/statement.h"
#include "compat.h"
#include "jobq.h"
#include "queue/queue_list.h"
#include "shared/database.h"
#include "shared/lease_search.h"
#include "shared/limit_state.h"
#include "shared/queue_state.h"
#include "shared/rate.h"
#include "shared/roster.h"
#include "shared/roster_list.h"
#include "shared/unfinished.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(jobq_gates);
PG_FUNCTION_INFO_V1(jobq_flow_check);
PG_FUNCTION_INFO_V1(jobq_limit_running);

/*
 * Queues, and how many of their jobs are running, how many unfinished, and how many
 * running in groups, by the table.  The jobs of a batch have the same lease, and count
 * as one.
 */
static const char queues_query[] =
"SELECT q.id, q.name, coalesce(j.running, 0), coalesce(j.unfinished, 0),"
" coalesce(j.in_groups, 0)"
" FROM " JOBQ_STORE_SCHEMA ".queue AS q LEFT JOIN ("
"SELECT j.queue, count(*) FILTER (WHERE j.state = 1 AND j.in_batch IS NULL)"
" + count(DISTINCT j.lease) FILTER (WHERE j.state = 1 AND j.in_batch) AS running,"
" count(*) AS unfinished,"
" count(j.group_key) FILTER (WHERE j.state = 1 AND j.in_batch IS NULL)"
" + count(DISTINCT j.lease) FILTER (WHERE j.state = 1 AND j.in_batch"
" AND j.group_key IS NOT NULL) AS in_groups"
" FROM " JOBQ_STORE_SCHEMA ".job AS j GROUP BY j.queue) AS j ON j.queue = q.id"
" ORDER BY q.name";

/* Groups that have running jobs, by the table. */
static const char groups_query[] =
"SELECT j.queue, j.group_key, count(*) FILTER (WHERE j.in_batch IS NULL)"
" + count(DISTINCT j.lease) FILTER (WHERE j.in_batch)"
" FROM " JOBQ_STORE_SCHEMA ".job AS j"
" WHERE j.state = 1 AND j.group_key IS NOT NULL GROUP BY j.queue, j.group_key";

static const char limits_query[] =
"SELECT l.id, l.name FROM " JOBQ_STORE_SCHEMA ".limit_def AS l ORDER BY l.name";

/* How many of the leases $2 of jobs $1 hold one that is running. */
static const char held_query[] =
"SELECT count(*) FROM " JOBQ_STORE_SCHEMA ".job AS j"
" JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS l(id, lease)"
" ON l.id = j.id AND l.lease = j.lease WHERE j.state = 1";

/* gates(): the queues of this database that have an entry. */
Datum
jobq_gates(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n;
	const JobqQueueBrief *briefs;

	jobq_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	briefs = jobq_queues_all(&n);
	for (int i = 0; i < n; i++)
	{
		JobqQueueState *state = briefs[i].state;
		Datum		values[3];
		bool		nulls[3] = {false};

		if (state == NULL)
			continue;
		values[0] = Int32GetDatum(briefs[i].id);
		values[1] = Int32GetDatum((int32) jobq_gate_running(&state->gate));
		values[2] = BoolGetDatum(jobq_gate_is_counted(&state->gate));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	PG_RETURN_VOID();
}

/* limit_running(limit_id): NULL if that is not known. */
Datum
jobq_limit_running(PG_FUNCTION_ARGS)
{
	JobqLimitState *state;

	jobq_require_shmem();
	state = PG_ARGISNULL(0) ? NULL :
		jobq_limit_state_find(PG_GETARG_INT32(0));
	if (state == NULL || !jobq_gate_is_counted(&state->gate))
		PG_RETURN_NULL();
	PG_RETURN_INT32((int32) jobq_gate_running(&state->gate));
}

/* Adds a row if memory and table differ. */
static void
compare(ReturnSetInfo *rsinfo, const char *object, int64 in_memory,
		int64 in_table)
{
	Datum		values[3];
	bool		nulls[3] = {false};

	if (in_memory == in_table)
		return;
	values[0] = CStringGetTextDatum(object);
	values[1] = Int64GetDatum(in_memory);
	values[2] = Int64GetDatum(in_table);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* A row of the last query: its id, its name, and numbers, 0 where it has none. */
typedef struct Found
{
	int32		id;
	char	   *name;
	int64		running;
	int64		unfinished;
	int64		in_groups;
} Found;

static int64
number_of(HeapTuple row, int column)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;

	return desc->natts < column ? 0 :
		DatumGetInt64(SPI_getbinval(row, desc, column, &isnull));
}

static Found
found(uint64 i)
{
	HeapTuple	row = SPI_tuptable->vals[i];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	Found		result;

	result.id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
	result.name = SPI_getvalue(row, desc, 2);
	result.running = number_of(row, 3);
	result.unfinished = number_of(row, 4);
	result.in_groups = number_of(row, 5);
	return result;
}

/* The file of the table of jobs. */
static Oid
storage_of_jobs(void)
{
	Relation	jobs = table_open(jobq_relation_oid(JOBQ_REL_JOB), AccessShareLock);
	Oid			storage = jobs->rd_rel->relfilenode;

	table_close(jobs, NoLock);
	return storage;
}

/*
 * The unfinished jobs, if their number is known for sure; a lower bound may be
 * lower.
 */
static void
check_unfinished(ReturnSetInfo *rsinfo, const Found *queue,
				 JobqQueueState *state)
{
	int64		count;
	JobqCountKind kind;

	if (pg_atomic_read_u32(&state->counted) == 0 || state->count_provisional)
		return;
	kind = jobq_count_read(state, storage_of_jobs(), &count);
	count += jobq_count_own(queue->id);
	if (kind == JOBQ_COUNT_ALL ||
		(kind == JOBQ_COUNT_AT_LEAST && count > queue->unfinished))
		compare(rsinfo, psprintf("unfinished jobs of %s", queue->name), count,
				queue->unfinished);
}

/* No claim has a start reserved for longer than it looks for a job. */
static void
check_rate(ReturnSetInfo *rsinfo, const char *name, JobqRate *rate)
{
	compare(rsinfo, psprintf("reserved starts of %s", name),
			jobq_rate_reserved(rate), 0);
}

/* Queues: the jobs that are running, those that are unfinished, and the rate. */
static void
check_queues(ReturnSetInfo *rsinfo)
{
	uint64		n = jobq_statement_query(queues_query, 0, NULL, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		Found		queue = found(i);
		JobqQueueState *state = jobq_queue_state_find(queue.id);

		if (state == NULL)
			continue;
		if (jobq_gate_is_counted(&state->gate))
		{
			compare(rsinfo, queue.name, jobq_gate_running(&state->gate),
					queue.running);
			compare(rsinfo, psprintf("groups of %s", queue.name),
					jobq_roster_running(state), queue.in_groups);
		}
		check_unfinished(rsinfo, &queue, state);
		check_rate(rsinfo, queue.name, &state->rate);
	}
}

/* The groups that have running jobs. */
static void
check_groups(ReturnSetInfo *rsinfo)
{
	uint64		n = jobq_statement_query(groups_query, 0, NULL, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		Found		group = found(i);
		JobqQueueState *state = jobq_queue_state_find(group.id);

		if (state != NULL && jobq_gate_is_counted(&state->gate))
			compare(rsinfo, psprintf("group %s", group.name),
					jobq_roster_running_of(state, group.name), group.running);
	}
}

/* How many of these leases hold a job that is running. */
static int64
count_running(const JobqLeaseId *leases, long n)
{
	static Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID};
	Datum	   *jobs = palloc((n + 1) * sizeof(Datum));
	Datum	   *numbers = palloc((n + 1) * sizeof(Datum));
	Datum		values[2];
	bool		isnull;

	for (long i = 0; i < n; i++)
	{
		jobs[i] = Int64GetDatum(leases[i].job_id);
		numbers[i] = Int64GetDatum(leases[i].lease);
	}
	values[0] = PointerGetDatum(construct_array(jobs, n, INT8OID, 8,
												FLOAT8PASSBYVAL,
												TYPALIGN_DOUBLE));
	values[1] = PointerGetDatum(construct_array(numbers, n, INT8OID, 8,
												FLOAT8PASSBYVAL,
												TYPALIGN_DOUBLE));
	(void) jobq_statement_query(held_query, lengthof(types), types, values);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1, &isnull));
}

/*
 * Limits: the running jobs with leases that hold a slot.  Others of the queues that
 * share it may have started before they did.
 */
static void
check_limits(ReturnSetInfo *rsinfo)
{
	uint64		n = jobq_statement_query(limits_query, 0, NULL, NULL);
	Found	   *limits = palloc((n + 1) * sizeof(Found));

	for (uint64 i = 0; i < n; i++)
		limits[i] = found(i);
	for (uint64 i = 0; i < n; i++)
	{
		JobqLimitState *state = jobq_limit_state_find(limits[i].id);
		JobqLeaseId *leases;
		long		nleases;

		if (state == NULL)
			continue;
		check_rate(rsinfo, psprintf("limit %s", limits[i].name), &state->rate);
		if (!jobq_gate_is_counted(&state->gate))
			continue;
		leases = jobq_leases_of_limit(state, &nleases);
		compare(rsinfo, psprintf("limit %s", limits[i].name),
				jobq_gate_running(&state->gate),
				count_running(leases, nleases));
		pfree(leases);
	}
}

/* Groups of queues whose limit counts them. */
static void
check_limit_groups(ReturnSetInfo *rsinfo)
{
	int64		counted;
	int64		tickets;

	jobq_limit_groups_sum(&counted, &tickets);
	compare(rsinfo, "groups under limits", counted, tickets);
}

/* flow_check(): gates and counters that do not agree with the table. */
Datum
jobq_flow_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	jobq_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	check_queues(rsinfo);
	check_groups(rsinfo);
	check_limits(rsinfo);
	check_limit_groups(rsinfo);
	compare(rsinfo, "claims that are open", jobq_leases_count_open(), 0);
	SPI_finish();
	PG_RETURN_VOID();
}
