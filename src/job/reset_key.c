/*-------------------------------------------------------------------------
 *
 * reset_key.c
 *	  reset_key(): frees a unique key, whose job goes on without it.
 *
 * IDENTIFICATION
 *	  src/job/reset_key.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/statement.h"
#include "compat.h"
#include "jobq.h"
#include "job/current_job.h"
#include "job/history.h"
#include "job/transition.h"
#include "queue/queue.h"
#include "queue/queue_lock.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(jobq_reset_key);

static const char finished_query[] =
"SELECT h.id FROM " JOBQ_STORE_SCHEMA ".history AS h"
" WHERE h.queue OPERATOR(pg_catalog.=) $1"
" AND h.unique_key OPERATOR(pg_catalog.=) $2";

/* The key in a row, which may have been changed since it was looked for. */
static bool
has_key(Datum value, bool isnull, const char *unique_key)
{
	return !isnull && strcmp(TextDatumGetCString(value), unique_key) == 0;
}

/* The unfinished job that has the key, by the latest snapshot; 0: none. */
static int64
find_live(JobqTable *jobs, const JobqQueue *queue, const char *unique_key)
{
	TupleTableSlot *slot = jobq_table_slot(jobs);
	ScanKeyData keys[2];
	JobqJob		job;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue->id));
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ,
						   CStringGetTextDatum(unique_key));
	if (!jobq_table_read(jobs, jobq_relation_oid(JOBQ_IDX_JOB_UNIQUE_KEY),
						 keys, lengthof(keys), slot))
		return 0;
	jobq_job_read(&job, slot);
	return job.id;
}

/*
 * Takes the key from the unfinished job that has it.  Waits for others that change
 * the job, but not for a transaction that runs it: then the job keeps its key.
 */
static bool
reset_live(const JobqQueue *queue, const char *unique_key)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	int64		id = find_live(jobs, queue, unique_key);
	JobqJob		job;
	bool		result = false;

	if (id != 0 && !jobq_current_job_is(id) &&
		jobq_job_lock_for(jobs, id, JOBQ_WAIT_FOR_WRITERS, JOBQ_PRIV_MANAGE,
						  NULL, &job) == JOBQ_FOUND &&
		job.queue == queue->id &&
		has_key(job.values[Anum_job_unique_key - 1],
				job.nulls[Anum_job_unique_key - 1], unique_key))
	{
		jobq_job_drop_key(jobs, &job, queue);
		result = true;
	}
	jobq_table_close(jobs);
	return result;
}

/*
 * The finished jobs that have the key: an array of int64, in the current memory
 * context.
 */
static int64 *
find_finished(const JobqQueue *queue, const char *unique_key, int *n)
{
	Oid			types[] = {INT4OID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(queue->id), CStringGetTextDatum(unique_key)
	};
	MemoryContext context = CurrentMemoryContext;
	bool		isnull;
	int64	   *ids;

	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	*n = (int) jobq_statement_query(finished_query, lengthof(types), types,
									values);
	ids = MemoryContextAllocHuge(context, Max(*n, 1) * sizeof(int64));
	for (int i = 0; i < *n; i++)
		ids[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
											 SPI_tuptable->tupdesc, 1,
											 &isnull));
	SPI_finish();
	PopActiveSnapshot();
	return ids;
}

/* Takes the key from a finished job that still has it. */
static bool
reset_one_finished(const JobqQueue *queue, int64 id, const char *unique_key)
{
	JobqTable  *history;
	TupleTableSlot *slot = jobq_history_find(id, &history);
	Datum		values[Natts_history];
	bool		nulls[Natts_history];
	bool		result;

	if (slot == NULL)
		return false;
	memcpy(values, slot->tts_values, sizeof(values));
	memcpy(nulls, slot->tts_isnull, sizeof(nulls));
	result = has_key(values[Anum_history_unique_key - 1],
					 nulls[Anum_history_unique_key - 1], unique_key);
	if (result)
	{
		jobq_queue_recheck_job(queue->id, JOBQ_PRIV_MANAGE, id);
		nulls[Anum_history_unique_key - 1] = true;
		jobq_table_update(history, slot, values, nulls);
	}
	jobq_table_close(history);
	return result;
}

static bool
reset_finished(const JobqQueue *queue, const char *unique_key)
{
	int			n;
	int64	   *ids = find_finished(queue, unique_key, &n);
	bool		result = false;

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		result |= reset_one_finished(queue, ids[i], unique_key);
	}
	pfree(ids);
	return result;
}

/* reset_key(queue, unique_key): false if it has freed nothing. */
Datum
jobq_reset_key(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	char	   *unique_key;
	bool		result;

	jobq_begin_write("jobq.reset_key()");
	jobq_require_argument(fcinfo, 0, "queue");
	jobq_require_argument(fcinfo, 1, "unique_key");
	queue = jobq_queue_require_shared(text_to_cstring(PG_GETARG_TEXT_PP(0)),
									  JOBQ_PRIV_MANAGE);
	unique_key = jobq_string_argument(fcinfo, 1, "unique_key",
									  JOBQ_MAX_KEY_LENGTH);
	result = reset_live(queue, unique_key);
	result |= reset_finished(queue, unique_key);
	/* one may have been retried meanwhile */
	result |= reset_live(queue, unique_key);
	jobq_queue_recheck(queue->id, JOBQ_PRIV_MANAGE);
	PG_RETURN_BOOL(result);
}
