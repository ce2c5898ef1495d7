/*-------------------------------------------------------------------------
 *
 * queue_options.c
 *	  The options of queues: their names, where they are stored and which
 *	  values they accept.
 *
 * An option's name is that of the argument of create_queue and alter_queue and
 * of the column of jobq_store.queue; "How to add" in docs/internals.md has the
 * places of a new one.  Options that depend on each other are checked on the
 * whole row, as it is going to be.
 *
 * IDENTIFICATION
 *	  src/queue/queue_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_options.h"

#include "base/arguments.h"
#include "compat.h"
#include "jobq.h"
#include "queue/handler.h"
#include "queue/limit.h"
#include "queue/payload.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_lock.h"
#include "shared/interval.h"
#include "shared/note.h"

#include <math.h>

#include "access/detoast.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "access/htup_details.h"

#define LEASE_MIN INT64CONST(1000)	/* 1 ms */
#define LEASE_MAX (366 * USECS_PER_DAY)
#define MAX_BACKOFF_STEPS 1000
#define MAX_PATH_SIZE 8192
#define RUN_QUEUE_PREFIX "run:"

static void check_positive(const char *name, Datum value);
static void check_not_negative(const char *name, Datum value);
static void check_batch_size(const char *name, Datum value);
static void check_priority(const char *name, Datum value);
static void check_backoff(const char *name, Datum value);
static void check_factor(const char *name, Datum value);
static void check_jitter(const char *name, Datum value);
static void check_steps(const char *name, Datum value);
static void check_interval(const char *name, Datum value);
static void check_timeout(const char *name, Datum value);
static void check_lease(const char *name, Datum value);
static void check_on_limit(const char *name, Datum value);
static void check_handler(const char *name, Datum value);
static void check_backoff_function(const char *name, Datum value);
static void check_payload_check(const char *name, Datum value);
static void check_payload_path(const char *name, Datum value);
static void check_owner(const char *name, Datum value);
static void check_on_full(const char *name, Datum value);
static Datum function_to_text(Datum value, const Datum *row);
static Datum on_dead_to_id(Datum value, const Datum *row);
static Datum limit_to_id(Datum value, const Datum *row);

static const JobqQueueOption options[] = {
	{"handler", Anum_queue_handler, true, check_handler, function_to_text},
	{"description", Anum_queue_description, true, NULL, NULL},
	{"owner", Anum_queue_owner, false, check_owner, NULL},
	{"max_attempts", Anum_queue_max_attempts, true, check_positive, NULL},
	{"backoff", Anum_queue_backoff, true, check_backoff, NULL},
	{"backoff_base", Anum_queue_backoff_base, true, check_interval, NULL},
	{"backoff_factor", Anum_queue_backoff_factor, true, check_factor, NULL},
	{"backoff_max", Anum_queue_backoff_max, true, check_interval, NULL},
	{"jitter", Anum_queue_jitter, true, check_jitter, NULL},
	{"backoff_steps", Anum_queue_backoff_steps, true, check_steps, NULL},
	{"backoff_function", Anum_queue_backoff_function, true,
	check_backoff_function, function_to_text},
	{"lease", Anum_queue_lease, true, check_lease, NULL},
	{"timeout", Anum_queue_timeout, true, check_timeout, NULL},
	{"priority", Anum_queue_priority, true, check_priority, NULL},
	{"ttl", Anum_queue_ttl, true, check_timeout, NULL},
	{"payload_check", Anum_queue_payload_check, true, check_payload_check,
	function_to_text},
	{"payload_path", Anum_queue_payload_path, true, check_payload_path, NULL},
	{"payload_max_bytes", Anum_queue_payload_max_bytes, true, check_positive,
	NULL},
	{"keep_completed", Anum_queue_keep_completed, true, check_interval, NULL},
	{"keep_completed_count", Anum_queue_keep_completed_count, true,
	check_not_negative, NULL},
	{"keep_dead", Anum_queue_keep_dead, true, check_interval, NULL},
	{"keep_dead_count", Anum_queue_keep_dead_count, true, check_not_negative,
	NULL},
	{"on_dead", Anum_queue_on_dead, true, NULL, on_dead_to_id},
	{"notify", Anum_queue_notify, true, NULL, NULL},
	{"session_bound", Anum_queue_session_bound, true, NULL, NULL},
	{"sync_completion", Anum_queue_sync_completion, true, NULL, NULL},
	{"share_commits", Anum_queue_share_commits, true, NULL, NULL},
	{"max_running", Anum_queue_max_running, true, check_not_negative, NULL},
	{"max_queued", Anum_queue_max_queued, true, check_positive, NULL},
	{"on_full", Anum_queue_on_full, true, check_on_full, NULL},
	{"lifo", Anum_queue_lifo, true, NULL, NULL},
	{"batch_size", Anum_queue_batch_size, true, check_batch_size, NULL},
	{"batch_wait", Anum_queue_batch_wait, true, check_interval, NULL},
	{"rate_limit", Anum_queue_rate_limit, true, check_positive, NULL},
	{"rate_period", Anum_queue_rate_period, true, jobq_queue_period_check,
	NULL},
	{"rate_burst", Anum_queue_rate_burst, true, check_positive, NULL},
	{"on_limit", Anum_queue_on_limit, true, check_on_limit, NULL},
	{"shared_limit", Anum_queue_shared_limit, true, NULL, limit_to_id},
};

/* The option with that name, or NULL. */
const JobqQueueOption *
jobq_queue_option(const char *name)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}

/* The names of the options that can be reset, for a HINT; palloc'd. */
char *
jobq_queue_option_names(void)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].resettable)
			appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
							 options[i].name);
	}
	return text.data;
}

/* Resets all options of a row that have a default. */
void
jobq_queue_reset_options(bool *nulls)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].resettable)
			nulls[options[i].attnum - 1] = true;
	}
}

/* Raises 22023 for a queue of run(), which belongs to its role. */
void
jobq_queue_refuse_run(const JobqQueue *queue)
{
	if (queue->is_run)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" belongs to its role", queue->name),
				 errdetail("It holds the commands that the role gave to jobq.run().")));
}

/* Raises 22023 if users may not give the name to a queue. */
void
jobq_queue_name_check(const char *name)
{
	jobq_check_name(name, "queue name");
	if (strncmp(name, RUN_QUEUE_PREFIX, strlen(RUN_QUEUE_PREFIX)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue name \"%s\" is reserved", name),
				 errdetail("Names that start with \"%s\" are for the queues of jobq.run().",
						   RUN_QUEUE_PREFIX)));
}

/* Takes the arguments of errmsg(). */
#define out_of_range(...) \
	ereport(ERROR, \
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), \
			 errmsg(__VA_ARGS__)))

static void
check_positive(const char *name, Datum value)
{
	if (DatumGetInt32(value) < 1)
		out_of_range("option \"%s\" must be at least 1", name);
}

static void
check_not_negative(const char *name, Datum value)
{
	if (DatumGetInt32(value) < 0)
		out_of_range("option \"%s\" must not be negative", name);
}

static void
check_batch_size(const char *name, Datum value)
{
	int			size = DatumGetInt32(value);

	if (size < 1 || size > JOBQ_MAX_BATCH)
		out_of_range("option \"%s\" must be between 1 and %d", name,
					 JOBQ_MAX_BATCH);
}

static void
check_priority(const char *name, Datum value)
{
	int			priority = DatumGetInt32(value);

	if (priority < PG_INT16_MIN || priority > PG_INT16_MAX)
		out_of_range("option \"%s\" must be between %d and %d", name,
					 PG_INT16_MIN, PG_INT16_MAX);
}

/* Reports a word that is none of those that the option may be. */
static void
bad_word(const char *name, const char *word, const char *const *words,
		 int nwords)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < nwords; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", words[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", name, word),
			 errhint("Available values: %s.", names.data)));
}

static void
check_backoff(const char *name, Datum value)
{
	char	   *word = TextDatumGetCString(value);
	JobqBackoffKind kind;

	if (!jobq_backoff_kind_lookup(word, &kind))
		bad_word(name, word, jobq_backoff_kind_names, JOBQ_BACKOFF_KINDS);
}

static void
check_on_limit(const char *name, Datum value)
{
	char	   *word = TextDatumGetCString(value);
	JobqOnLimit on_limit;

	if (!jobq_on_limit_lookup(word, &on_limit))
		bad_word(name, word, jobq_on_limit_names, JOBQ_ON_LIMIT_KINDS);
}

static void
check_on_full(const char *name, Datum value)
{
	char	   *word = TextDatumGetCString(value);

	if (strcmp(word, "error") != 0 && strcmp(word, JOBQ_DROP_OLDEST) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, word),
				 errhint("Available values: error, %s.", JOBQ_DROP_OLDEST)));
}

static void
check_factor(const char *name, Datum value)
{
	double		factor = DatumGetFloat8(value);

	if (!(factor >= 1.0) || isinf(factor))
		out_of_range("option \"%s\" must be at least 1 and finite", name);
}

static void
check_jitter(const char *name, Datum value)
{
	double		jitter = DatumGetFloat8(value);

	if (!(jitter >= 0.0 && jitter <= 1.0))
		out_of_range("option \"%s\" must be between 0 and 1", name);
}

static void
check_interval(const char *name, Datum value)
{
	if (jobq_interval_microseconds(DatumGetIntervalP(value)) < 0)
		out_of_range("option \"%s\" must not be negative", name);
}

static void
check_timeout(const char *name, Datum value)
{
	if (jobq_interval_microseconds(DatumGetIntervalP(value)) < LEASE_MIN)
		out_of_range("option \"%s\" must be at least 1 ms", name);
}

/* Raises 22023 for a period that no rate can have. */
void
jobq_queue_period_check(const char *name, Datum value)
{
	int64		period = jobq_interval_microseconds(DatumGetIntervalP(value));

	if (period < 1 || period > JOBQ_GCRA_PERIOD_MAX)
		out_of_range("option \"%s\" must be between 1 microsecond and 1000 years",
					 name);
}

static void
check_lease(const char *name, Datum value)
{
	int64		lease = jobq_interval_microseconds(DatumGetIntervalP(value));

	if (lease < LEASE_MIN || lease > LEASE_MAX)
		out_of_range("option \"%s\" must be between 1 ms and 366 days",
					 name);
}

static void
check_steps(const char *name, Datum value)
{
	int			nelements;
	Datum	   *elements = jobq_array_elements(name, DatumGetArrayTypeP(value),
											   INTERVALOID, NULL, &nelements);

	if (nelements == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must not be empty", name)));
	/* every session keeps them in memory */
	if (nelements > MAX_BACKOFF_STEPS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" has too many elements", name),
				 errdetail("There are %d; at most %d are allowed.",
						   nelements, MAX_BACKOFF_STEPS)));
	for (int i = 0; i < nelements; i++)
		check_interval(name, elements[i]);
}

static void
check_handler(const char *name, Datum value)
{
	JobqHandler handler;

	jobq_handler_describe(DatumGetObjectId(value), &handler);
}

static void
check_backoff_function(const char *name, Datum value)
{
	jobq_backoff_function_validate(DatumGetObjectId(value));
}

static void
check_payload_check(const char *name, Datum value)
{
	jobq_payload_check_validate(DatumGetObjectId(value));
}

static void
check_payload_path(const char *name, Datum value)
{
	jobq_payload_path_validate(value);
	/* sessions keep it in memory */
	if (toast_raw_datum_size(value) > MAX_PATH_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of option \"%s\" is too long", name),
				 errdetail("It takes %zu bytes; at most %d are allowed.",
						   toast_raw_datum_size(value), MAX_PATH_SIZE)));
}

static Datum
function_to_text(Datum value, const Datum *row)
{
	return CStringGetTextDatum(jobq_function_text(DatumGetObjectId(value)));
}

/* Whether a role may log in; raises 42704 if there is no such role. */
static bool
role_can_login(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", role)));
	result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Raises 42501 unless the current user may make `owner` the owner of a queue,
 * and thus run handlers as that role.  This requires that the user can SET
 * ROLE to it, and is a superuser if `owner` is one.
 */
void
jobq_queue_owner_check(Oid owner)
{
	(void) role_can_login(owner);	/* it must exist */
	if (!jobq_may_set_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be able to SET ROLE \"%s\"",
						GetUserNameFromId(owner, false)),
				 errhint("Someone with ADMIN OPTION on the role can run GRANT %s TO %s.",
						 quote_identifier(GetUserNameFromId(owner, false)),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	if (superuser_arg(owner) && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to make superuser \"%s\" the owner of a queue",
						GetUserNameFromId(owner, false))));
}

static void
check_owner(const char *name, Datum value)
{
	jobq_queue_owner_check(DatumGetObjectId(value));
}

/* The id of a queue by name; raises 42704 and 22023. */
static Datum
on_dead_to_id(Datum value, const Datum *row)
{
	char	   *name = TextDatumGetCString(value);
	const JobqQueue *target;

	if (strcmp(name, TextDatumGetCString(row[Anum_queue_name - 1])) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"on_dead\" must not name the queue itself")));
	target = jobq_queue_by_name(name);
	if (target->is_run)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"on_dead\" must not name a queue of jobq.run()")));
	return Int32GetDatum(target->id);
}

/* The id of a limit by name; raises 42704. */
static Datum
limit_to_id(Datum value, const Datum *row)
{
	JobqLimit	limit;

	jobq_limit_require(TextDatumGetCString(value), &limit);
	return Int32GetDatum(limit.id);
}

/*
 * Raises 42501 unless dead jobs of the queue may be reported to that queue,
 * and 42704 if it is gone.  Locks it against being dropped.
 */
static void
check_on_dead(const char *queue, Oid owner, int32 target_id)
{
	const JobqQueue *target = jobq_queue_by_id(target_id);

	if (target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the queue of option \"on_dead\" does not exist")));
	target = jobq_queue_lock_shared(target);
	if (!jobq_queue_allows(target, owner, JOBQ_PRIV_ENQUEUE))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 jobq_queue_may_name(target, GetUserId()) ?
				 errmsg("permission denied for queue \"%s\"", target->name) :
				 errmsg("permission denied for the queue of option \"on_dead\""),
				 errdetail("Role \"%s\", the owner of queue \"%s\", must have the privilege to enqueue.",
						   GetUserNameFromId(owner, false), queue)));
}

/*
 * Raises 22023 unless background workers can run jobs as the role: before
 * PostgreSQL 17 they can connect only as a role that may log in.
 */
void
jobq_executor_role_check(Oid role)
{
	if (JOBQ_BYPASS_LOGIN_CHECK == 0 && !role_can_login(role))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("role \"%s\" cannot log in",
						GetUserNameFromId(role, false)),
				 errdetail("Background workers connect as the role that a job runs as: the queue's owner, or the caller of jobq.run()."),
				 errhint("Use another role, or ALTER ROLE %s LOGIN.",
						 quote_identifier(GetUserNameFromId(role, false)))));
}

/*
 * Raises 42704 if the owner was dropped, or was missing when a dump was
 * restored: nothing can be checked without an owner.
 */
static void
check_has_owner(const char *name, Oid owner)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("queue \"%s\" has no owner", name),
				 errdetail("Its owner was dropped, or was missing when a dump was restored."),
				 errhint("A superuser can give it one with jobq.alter_queue(%s, owner => ...).",
						 quote_literal_cstr(name))));
}

/* Checks that the owner of a queue may execute its functions. */
static void
check_may_execute(const char *function_text, Oid owner)
{
	Oid			function = jobq_function_lookup(function_text);

	if (OidIsValid(function) && !jobq_may_execute(function, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function_text),
				 errdetail("Role \"%s\", the owner of the queue, must have the privilege to execute it.",
						   GetUserNameFromId(owner, false))));
}

/*
 * Raises 22023 unless a handler takes batches if its queue has them, and single
 * jobs otherwise.  One that does not exist is found out later.
 */
static void
check_batch_handler(const char *handler_text, int batch_size)
{
	Oid			function = jobq_function_lookup(handler_text);
	JobqHandler handler;

	if (!OidIsValid(function))
		return;
	jobq_handler_describe(function, &handler);
	if (batch_size == 1 && jobq_handler_takes_batches(&handler))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("handler %s takes batches, but option \"batch_size\" is 1",
						handler_text),
				 errhint("Set batch_size, or give the queue a handler with a parameter of type jsonb or jobq.job.")));
	if (batch_size > 1 && !jobq_handler_takes_batches(&handler))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("handler %s takes one job, but option \"batch_size\" is %d",
						handler_text, batch_size),
				 errhint("A handler for batches has one parameter of type jsonb[] or jobq.job[].")));
}

/* Raises 22023 if the options about batches do not fit the rest of a row. */
void
jobq_queue_check_batches(const Datum *values, const bool *nulls)
{
	int			size = nulls[Anum_queue_batch_size - 1] ? 1 :
	DatumGetInt32(values[Anum_queue_batch_size - 1]);

	if (size > 1 && DatumGetBool(values[Anum_queue_is_run - 1]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" of jobq.run() cannot have batches",
						TextDatumGetCString(values[Anum_queue_name - 1]))));
	if (!nulls[Anum_queue_handler - 1])
		check_batch_handler(TextDatumGetCString(values[Anum_queue_handler - 1]),
							size);
}

/* Raises 22023 if the options of a rate, of a queue or a limit, do not fit. */
void
jobq_queue_rate_report(JobqGcraResult result, int limit, int burst)
{
	switch (result)
	{
		case JOBQ_GCRA_OK:
		case JOBQ_GCRA_BAD_LIMIT:
		case JOBQ_GCRA_BAD_PERIOD:
			break;
		case JOBQ_GCRA_BAD_BURST:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"rate_burst\" must not be above \"rate_limit\""),
					 errdetail("The burst is %d, the limit is %d.",
							   burst, limit),
					 errhint("Set both in one call, or reset \"rate_burst\" first.")));
			break;
		case JOBQ_GCRA_TOO_FAST:
		case JOBQ_GCRA_TOO_LONG:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"rate_period\" does not suit \"rate_limit\" and \"rate_burst\""),
					 errdetail("There must be at most 67108864 starts per microsecond, and a burst must come back within 10000 years.")));
			break;
	}
}

/*
 * Raises 22023 unless the options of a rate fit together, those that are reset
 * included.
 */
void
jobq_queue_rate_check(const Datum *values, const bool *nulls)
{
	JobqGcra	rate;

	if (!nulls[Anum_queue_rate_limit - 1])
		jobq_queue_rate_report(jobq_queue_rate_of_row(values, nulls, &rate),
							   DatumGetInt32(values[Anum_queue_rate_limit - 1]),
							   DatumGetInt32(values[Anum_queue_rate_burst - 1]));
}

/*
 * Checks a new row of jobq_store.queue for conditions that involve more than
 * one option.  Checks that may wait come first.
 */
void
jobq_queue_row_check(const Datum *values, const bool *nulls)
{
	static const AttrNumber functions[] = {
		Anum_queue_handler, Anum_queue_backoff_function,
		Anum_queue_payload_check
	};
	char	   *name = TextDatumGetCString(values[Anum_queue_name - 1]);
	Oid			owner = DatumGetObjectId(values[Anum_queue_owner - 1]);
	int32		limit;

	if (DatumGetBool(values[Anum_queue_is_run - 1]) &&
		!nulls[Anum_queue_handler - 1])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" of jobq.run() cannot have a handler",
						name)));
	jobq_queue_rate_check(values, nulls);
	check_has_owner(name, owner);
	jobq_queue_check_batches(values, nulls);
	if (!nulls[Anum_queue_handler - 1])
		jobq_executor_role_check(owner);
	limit = nulls[Anum_queue_shared_limit - 1] ? JOBQ_NO_LIMIT :
		DatumGetInt32(values[Anum_queue_shared_limit - 1]);
	if (limit != JOBQ_NO_LIMIT)
	{
		/* once more below: this waits for a transaction that drops it */
		jobq_limit_check_sharing(limit, owner, name);
		jobq_limit_lock_shared(limit);
	}
	if (!nulls[Anum_queue_on_dead - 1])
		check_on_dead(name, owner,
					  DatumGetInt32(values[Anum_queue_on_dead - 1]));
	if (limit != JOBQ_NO_LIMIT)
		jobq_limit_check_sharing(limit, owner, name);
	for (int i = 0; i < lengthof(functions); i++)
	{
		if (!nulls[functions[i] - 1])
			check_may_execute(TextDatumGetCString(values[functions[i] - 1]),
							  owner);
	}
}
