/*-------------------------------------------------------------------------
 *
 * produce.c
 *	  The SQL functions enqueue, enqueue_many and run.
 *
 * IDENTIFICATION
 *	  src/job/produce.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "compat.h"
#include "job/enqueue.h"
#include "job/on_dead.h"
#include "jobq.h"
#include "queue/command.h"
#include "queue/queue.h"
#include "queue/queue_check.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_enqueue);
PG_FUNCTION_INFO_V1(jobq_enqueue_many);
PG_FUNCTION_INFO_V1(jobq_run);

/*
 * Arguments at the same positions in all three functions, except that run() has no
 * group_key: the arguments after it come RUN_SHIFT earlier.
 */
#define RUN_SHIFT 1

enum
{
	ARG_TARGET,					/* queue, or command */
	ARG_PAYLOAD,				/* payload, payloads, or params */
	ARG_DELAY,
	ARG_RUN_AT,
	ARG_PRIORITY,
	ARG_UNIQUE_KEY,
	ARG_ON_CONFLICT,
	ARG_UNIQUE_FOR,
	ARG_GROUP_KEY,
	ARG_MAX_ATTEMPTS,
	ARG_TIMEOUT,
	ARG_TTL,
	ARG_TAGS,
	ARG_HEADERS,
	ARG_UNIQUE_KEYS,			/* of enqueue_many only */
	ARG_GROUP_KEYS
};

/*
 * When the job is to run, from `delay` and `run_at`; a time in the past means
 * now.
 */
static TimestampTz
run_at_argument(FunctionCallInfo fcinfo, TimestampTz now)
{
	TimestampTz run_at = now;

	if (!PG_ARGISNULL(ARG_DELAY) && !PG_ARGISNULL(ARG_RUN_AT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("delay and run_at cannot be used together")));
	if (!PG_ARGISNULL(ARG_DELAY))
	{
		(void) jobq_duration_argument(fcinfo, ARG_DELAY, "delay", true);
		/* the session's time zone decides how long a day is */
		run_at = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														 TimestampTzGetDatum(now),
														 PG_GETARG_DATUM(ARG_DELAY)));
	}
	else if (!PG_ARGISNULL(ARG_RUN_AT))
		run_at = PG_GETARG_TIMESTAMPTZ(ARG_RUN_AT);
	if (TIMESTAMP_NOT_FINITE(run_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("run_at must be finite")));
	return Max(run_at, now);
}

static JobqOnConflict
on_conflict_argument(FunctionCallInfo fcinfo)
{
	char	   *word;

	if (PG_ARGISNULL(ARG_ON_CONFLICT))
		return JOBQ_CONFLICT_KEEP;
	word = text_to_cstring(PG_GETARG_TEXT_PP(ARG_ON_CONFLICT));
	if (strcmp(word, "keep") == 0)
		return JOBQ_CONFLICT_KEEP;
	if (strcmp(word, "replace") == 0)
		return JOBQ_CONFLICT_REPLACE;
	if (strcmp(word, "error") == 0)
		return JOBQ_CONFLICT_ERROR;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for on_conflict: \"%s\"", word),
			 errhint("Available values: keep, replace, error.")));
	return JOBQ_CONFLICT_KEEP;	/* keep compiler quiet */
}

/*
 * The headers, an object: 22023.  The coordinator reads them when a job ends,
 * so they must not be long: 54000.
 */
static Datum
headers_argument(FunctionCallInfo fcinfo, int argno)
{
	Size		length = toast_raw_datum_size(PG_GETARG_DATUM(argno));
	Jsonb	   *headers;
	JsonbValue	value;

	if (length > JOBQ_MAX_HEADERS_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("headers are too large"),
				 errdetail("They have %zu bytes; at most %d are allowed.", length,
						   JOBQ_MAX_HEADERS_LENGTH),
				 errhint("Put large values into the payload.")));
	headers = PG_GETARG_JSONB_P(argno);
	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers must be a JSON object")));
	if (getKeyJsonValueFromContainer(&headers->root, JOBQ_REPORT_HEADER,
									 strlen(JOBQ_REPORT_HEADER),
									 &value) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers must not contain \"%s\"", JOBQ_REPORT_HEADER),
				 errdetail("It marks reports of dead jobs, whose own death is not reported."),
				 errhint("Remove it with headers - '%s'.", JOBQ_REPORT_HEADER)));
	return JsonbPGetDatum(headers);
}

/* Whether the jobs of a call have unique_keys of their own. */
static bool
has_unique_keys(FunctionCallInfo fcinfo)
{
	return PG_NARGS() > ARG_UNIQUE_KEYS && !PG_ARGISNULL(ARG_UNIQUE_KEYS);
}

/* The optional arguments about unique keys. */
static void
read_unique_arguments(FunctionCallInfo fcinfo, JobqEnqueueOptions *options)
{
	bool		has_keys;

	options->on_conflict = on_conflict_argument(fcinfo);
	if (!PG_ARGISNULL(ARG_UNIQUE_KEY))
		options->unique_key = jobq_string_argument(fcinfo, ARG_UNIQUE_KEY,
												   "unique_key",
												   JOBQ_MAX_KEY_LENGTH);
	has_keys = options->unique_key != NULL || has_unique_keys(fcinfo);
	if (options->on_conflict != JOBQ_CONFLICT_KEEP && !has_keys)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_conflict requires a unique_key")));
	if (!PG_ARGISNULL(ARG_UNIQUE_FOR))
	{
		(void) jobq_duration_argument(fcinfo, ARG_UNIQUE_FOR, "unique_for",
									  false);
		if (!has_keys)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unique_for requires a unique_key")));
		options->unique_for = PG_GETARG_INTERVAL_P(ARG_UNIQUE_FOR);
	}
}

/*
 * The optional arguments after group_key, which are `shift` places further to the
 * front.
 */
static void
read_last_arguments(FunctionCallInfo fcinfo, int shift,
					JobqEnqueueOptions *options)
{
	int			max_attempts = ARG_MAX_ATTEMPTS - shift;
	int			timeout = ARG_TIMEOUT - shift;
	int			ttl_arg = ARG_TTL - shift;
	int64		ttl = options->queue->ttl;

	if (!PG_ARGISNULL(max_attempts))
	{
		options->max_attempts = PG_GETARG_INT32(max_attempts);
		if (options->max_attempts < 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_attempts must be at least 1")));
	}
	if (!PG_ARGISNULL(timeout))
	{
		(void) jobq_duration_argument(fcinfo, timeout, "timeout", false);
		options->timeout = PG_GETARG_INTERVAL_P(timeout);
	}
	if (!PG_ARGISNULL(ttl_arg))
		ttl = jobq_duration_argument(fcinfo, ttl_arg, "ttl", false);
	/* counted from the earliest possible start */
	options->expires_at = ttl > 0 && ttl < END_TIMESTAMP - options->run_at ?
		options->run_at + ttl : JOBQ_NEVER;
	if (!PG_ARGISNULL(ARG_TAGS - shift))
		options->tags = jobq_tags_argument(fcinfo, ARG_TAGS - shift);
	if (!PG_ARGISNULL(ARG_HEADERS - shift))
		options->headers = headers_argument(fcinfo, ARG_HEADERS - shift);
}

/* Fills in the options of a call from its arguments and the queue. */
static void
read_options(FunctionCallInfo fcinfo, int shift, const JobqQueue *queue,
			 JobqEnqueueOptions *options)
{
	jobq_enqueue_defaults(options, queue);
	options->run_at = run_at_argument(fcinfo, options->run_at);
	if (!PG_ARGISNULL(ARG_PRIORITY))
		options->priority = PG_GETARG_INT32(ARG_PRIORITY);
	jobq_check_priority(options->priority);
	read_unique_arguments(fcinfo, options);
	if (shift == 0 && !PG_ARGISNULL(ARG_GROUP_KEY))
		options->group_key = jobq_string_argument(fcinfo, ARG_GROUP_KEY,
												  "group_key",
												  JOBQ_GROUP_NAME_SIZE - 1);
	read_last_arguments(fcinfo, shift, options);
}

/*
 * The queue named by the first argument, locked against being dropped.  Checks
 * that the user may enqueue into it.
 */
static const JobqQueue *
target_queue(FunctionCallInfo fcinfo)
{
	const JobqQueue *queue;
	char	   *name;

	jobq_require_argument(fcinfo, ARG_TARGET, "queue");
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_TARGET));
	queue = jobq_queue_require_shared(name, JOBQ_PRIV_ENQUEUE);
	if (queue->is_run)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" is for SQL commands", queue->name),
				 errhint("Use jobq.run().")));
	return queue;
}

/*
 * Checks the privilege again after operations that can take long: waiting for
 * others that have locked a job of the same key, and the owner's payload
 * check; and if it may have changed since jobq_relation_waits() was `waits`.
 */
static void
recheck_privilege(const JobqEnqueueOptions *options, bool has_keys,
				  uint64 waits)
{
	if (has_keys || options->queue->payload_check != NULL ||
		jobq_queue_may_have_changed(options->queue, waits))
		jobq_queue_recheck(options->queue->id, JOBQ_PRIV_ENQUEUE);
}

Datum
jobq_enqueue(PG_FUNCTION_ARGS)
{
	JobqEnqueueOptions options;
	JobqTable  *jobs;
	uint64		waits;
	int64		id;

	jobq_begin_write("jobq.enqueue()");
	jobq_require_argument(fcinfo, ARG_PAYLOAD, "payload");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	read_options(fcinfo, 0, target_queue(fcinfo), &options);
	id = jobq_enqueue_job(jobs, &options, PG_GETARG_DATUM(ARG_PAYLOAD));
	jobq_table_close(jobs);
	recheck_privilege(&options, options.unique_key != NULL, waits);
	if (id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(id);
}

/*
 * The keys of the jobs of enqueue_many() from an array, NULL where there is none, or
 * NULL if none of them has one.
 */
static const char **
keys_argument(FunctionCallInfo fcinfo, int argno, const char *name,
			  int max_length, int njobs)
{
	const char *of_one = argno == ARG_UNIQUE_KEYS ? "unique_key" : "group_key";
	const char **keys;
	Datum	   *elements;
	bool	   *nulls;
	int			nkeys;
	bool		any = false;

	elements = jobq_array_elements(name, PG_GETARG_ARRAYTYPE_P(argno),
								   TEXTOID, &nulls, &nkeys);
	if (nkeys != njobs)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have as many elements as payloads", name),
				 errdetail("The numbers of elements are %d and %d.", nkeys, njobs)));
	keys = palloc0(Max(nkeys, 1) * sizeof(char *));
	for (int i = 0; i < nkeys; i++)
	{
		if (nulls[i])
			continue;
		keys[i] = TextDatumGetCString(elements[i]);
		jobq_check_string(keys[i], of_one, max_length);
		any = true;
	}
	return any ? keys : NULL;
}

/* The unique keys of the jobs of enqueue_many(), or NULL. */
static const char **
unique_keys_argument(FunctionCallInfo fcinfo, const char *unique_key,
					 int njobs)
{
	if (unique_key != NULL && njobs > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unique_key is for a single job, but there are %d payloads",
						njobs),
				 errhint("Use unique_keys with a key for each payload.")));
	if (!has_unique_keys(fcinfo))
		return NULL;
	if (unique_key != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unique_key and unique_keys cannot be used together")));
	return keys_argument(fcinfo, ARG_UNIQUE_KEYS, "unique_keys",
						 JOBQ_MAX_KEY_LENGTH, njobs);
}

/* The groups of the jobs of enqueue_many(), or NULL. */
static const char **
group_keys_argument(FunctionCallInfo fcinfo, const char *group_key, int njobs)
{
	if (PG_ARGISNULL(ARG_GROUP_KEYS))
		return NULL;
	if (group_key != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("group_key and group_keys cannot be used together")));
	return keys_argument(fcinfo, ARG_GROUP_KEYS, "group_keys",
						 JOBQ_GROUP_NAME_SIZE - 1, njobs);
}

Datum
jobq_enqueue_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	JobqEnqueueOptions options;
	JobqEnqueueBatch batch = {0};
	const char **keys;
	int64	   *ids;
	JobqTable  *jobs;
	uint64		waits;

	jobq_begin_write("jobq.enqueue_many()");
	jobq_require_argument(fcinfo, ARG_PAYLOAD, "payloads");
	batch.payloads = jobq_array_elements("payloads",
										 PG_GETARG_ARRAYTYPE_P(ARG_PAYLOAD),
										 JSONBOID, NULL, &batch.njobs);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	read_options(fcinfo, 0, target_queue(fcinfo), &options);
	keys = unique_keys_argument(fcinfo, options.unique_key, batch.njobs);
	batch.group_keys = group_keys_argument(fcinfo, options.group_key,
										   batch.njobs);

	ids = palloc(Max(batch.njobs, 1) * sizeof(int64));
	if (options.unique_key != NULL)
		keys = &options.unique_key;
	batch.unique_keys = keys;
	if (keys == NULL)
		jobq_enqueue_jobs(jobs, &options, &batch, ids);
	else
		jobq_enqueue_keyed_jobs(jobs, &options, &batch, ids);
	jobq_table_close(jobs);
	recheck_privilege(&options, keys != NULL, waits);

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < batch.njobs; i++)
	{
		Datum		id = Int64GetDatum(ids[i]);
		bool		isnull = ids[i] == 0;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &id, &isnull);
	}
	return (Datum) 0;
}

Datum
jobq_run(PG_FUNCTION_ARGS)
{
	JobqEnqueueOptions options;
	JobqTable  *jobs;
	char	   *command;
	Datum		params = (Datum) 0;
	int64		id;

	jobq_begin_write("jobq.run()");
	command = jobq_string_argument(fcinfo, ARG_TARGET, "command",
								   JOBQ_MAX_COMMAND_LENGTH);
	(void) jobq_command_check(command);
	jobq_executor_role_check(GetUserId());
	if (!PG_ARGISNULL(ARG_PAYLOAD))
		params = PG_GETARG_DATUM(ARG_PAYLOAD);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	read_options(fcinfo, RUN_SHIFT,
				 jobq_queue_lock_shared(jobq_queue_run_of(GetUserId())),
				 &options);
	options.command = command;
	id = jobq_enqueue_job(jobs, &options, params);
	jobq_table_close(jobs);
	jobq_recheck_function(fcinfo, true);
	if (id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(id);
}
