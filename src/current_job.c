/*-------------------------------------------------------------------------
 *
 * current_job.c
 *	  What an executor's job can find out about itself and say about its end.
 *
 * IDENTIFICATION
 *	  src/current_job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "arguments.h"
#include "current_job.h"
#include "queue.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(jobq_current_job);
PG_FUNCTION_INFO_V1(jobq_retry_in);
PG_FUNCTION_INFO_V1(jobq_discard);

static const JobqJob *current_job = NULL;
static const JobqQueue *current_queue = NULL;
static MemoryContext current_context = NULL;
static Datum current_row = (Datum) 0;
static int64 retry_delay = -1;

/*
 * A job's own code begins.  Job and queue must stay as they are until the
 * first call of jobq_current_job_row(), which copies them.
 */
void
jobq_current_job_begin(const JobqJob *job, const JobqQueue *queue,
					   MemoryContext context)
{
	current_job = job;
	current_queue = queue;
	current_context = context;
	current_row = (Datum) 0;
	retry_delay = -1;
}

void
jobq_current_job_end(void)
{
	current_job = NULL;
	current_queue = NULL;
	current_context = NULL;
	current_row = (Datum) 0;
}

/* The type jobq.job. */
static Oid
job_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum("job"),
						   ObjectIdGetDatum(get_namespace_oid(JOBQ_SCHEMA,
															  false)));
}

Datum
jobq_current_job_row(void)
{
	MemoryContext oldcontext;
	TupleDesc	desc;
	Datum		values[Natts_jobrow];
	bool		nulls[Natts_jobrow];

	if (current_job == NULL || current_row != (Datum) 0)
		return current_row;
	desc = lookup_rowtype_tupdesc(job_type(), -1);
	if (desc->natts != Natts_jobrow)
		elog(ERROR, "type %s.job has %d columns", JOBQ_SCHEMA, desc->natts);
	oldcontext = MemoryContextSwitchTo(current_context);
	jobq_job_form_row(current_job, current_queue, values, nulls);
	current_row = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	MemoryContextSwitchTo(oldcontext);
	ReleaseTupleDesc(desc);
	return current_row;
}

int64
jobq_current_job_retry_in(void)
{
	return retry_delay;
}

/* current_job(): NULL unless a background worker is running one. */
Datum
jobq_current_job(PG_FUNCTION_ARGS)
{
	Datum		row = jobq_current_job_row();

	if (row == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(row);
}

/* The optional message, cut to a sensible length. */
static char *
message_argument(FunctionCallInfo fcinfo, int argno, const char *by_default)
{
	char	   *message;

	if (PG_ARGISNULL(argno))
		return pstrdup(by_default);
	message = text_to_cstring(PG_GETARG_TEXT_PP(argno));
	return message[0] == '\0' ? pstrdup(by_default) : message;
}

/* retry_in(delay, message): raises JQ101. */
Datum
jobq_retry_in(PG_FUNCTION_ARGS)
{
	int64		delay = PG_ARGISNULL(0) ? -1 :
	jobq_duration_argument(fcinfo, 0, "delay", true);
	char	   *message = message_argument(fcinfo, 1,
										   "the job asked to be tried again");

	retry_delay = delay;
	ereport(ERROR,
			(errcode(ERRCODE_JOBQ_RETRY_IN),
			 errmsg_internal("%s", message)));
	PG_RETURN_VOID();			/* keep compiler quiet */
}

/* discard(message): raises JQ102. */
Datum
jobq_discard(PG_FUNCTION_ARGS)
{
	char	   *message = message_argument(fcinfo, 0,
										   "the job asked not to be tried again");

	ereport(ERROR,
			(errcode(ERRCODE_JOBQ_DISCARD),
			 errmsg_internal("%s", message)));
	PG_RETURN_VOID();			/* keep compiler quiet */
}
