/*-------------------------------------------------------------------------
 *
 * queue_check.c
 *	  Whether a queue may be as it is going to be: its name, its owner, and
 *	  options that depend on each other or on the owner.
 *
 * queue_options.c checks the value of a single option.  What involves more than
 * one is checked on the new row of jobq_store.queue.
 *
 * IDENTIFICATION
 *	  src/queue/queue_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_check.h"

#include "base/arguments.h"
#include "base/rights.h"
#include "compat.h"
#include "queue/handler.h"
#include "queue/limit.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_lock.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

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
	if (jobq_queue_is_run_name(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue name \"%s\" is reserved", name),
				 errdetail("Names that start with \"%s\" are for the queues of jobq.run().",
						   JOBQ_RUN_PREFIX)));
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
	jobq_require_set_role(owner);
	if (superuser_arg(owner) && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to make superuser \"%s\" the owner of a queue",
						GetUserNameFromId(owner, false))));
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

/*
 * Raises 22023 if the options of a rate, of a queue, a limit or a group, do not fit.
 * Their names begin with the prefix.
 */
void
jobq_queue_rate_report(JobqGcraResult result, int limit, int burst,
					   const char *prefix)
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
					 errmsg("option \"%srate_burst\" must not be above \"%srate_limit\"",
							prefix, prefix),
					 errdetail("The burst is %d, the limit is %d.",
							   burst, limit),
					 errhint("Set both in one call, or reset \"%srate_burst\" first.",
							 prefix)));
			break;
		case JOBQ_GCRA_TOO_FAST:
		case JOBQ_GCRA_TOO_LONG:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%srate_period\" does not suit \"%srate_limit\" and \"%srate_burst\"",
							prefix, prefix, prefix),
					 errdetail("There must be at most 67108864 starts per microsecond, and a burst must come back within 10000 years.")));
			break;
	}
}

/*
 * Raises 22023 unless the options of the rates fit together, those that are reset
 * included.
 */
void
jobq_queue_rate_check(const Datum *values, const bool *nulls)
{
	JobqGcra	rate;

	if (!nulls[Anum_queue_rate_limit - 1])
		jobq_queue_rate_report(jobq_queue_rate_of_row(values, nulls, &rate),
							   DatumGetInt32(values[Anum_queue_rate_limit - 1]),
							   DatumGetInt32(values[Anum_queue_rate_burst - 1]),
							   "");
	if (nulls[Anum_queue_group_rate_limit - 1])
		return;
	jobq_queue_rate_report(jobq_queue_group_rate_of_row(values, nulls, &rate),
						   DatumGetInt32(values[Anum_queue_group_rate_limit - 1]),
						   DatumGetInt32(values[Anum_queue_group_rate_burst - 1]),
						   "group_");
}

/*
 * The limit that a new row shares, if its owner needs the right to do so: not if the
 * queue shares it already, and keeps its owner.
 */
static int32
limit_to_check(const Datum *values, const bool *nulls, const JobqQueue *was)
{
	int32		limit = nulls[Anum_queue_shared_limit - 1] ? JOBQ_NO_LIMIT :
	DatumGetInt32(values[Anum_queue_shared_limit - 1]);

	return was != NULL && was->shared_limit == limit &&
		was->owner == DatumGetObjectId(values[Anum_queue_owner - 1]) ?
		JOBQ_NO_LIMIT : limit;
}

/* The functions of a queue, which run as its owner. */
static const struct
{
	const char *option;
	AttrNumber	column;
	size_t		offset;			/* of its text in JobqQueue */
}			functions[] = {
	{"handler", Anum_queue_handler, offsetof(JobqQueue, handler)},
	{"backoff_function", Anum_queue_backoff_function,
	offsetof(JobqQueue, backoff_function)},
	{"payload_check", Anum_queue_payload_check,
	offsetof(JobqQueue, payload_check)}
};

/*
 * Raises 42501 unless the user may run code as the queue's owner; having the owner's
 * privileges on the queue is not enough.
 */
static void
check_may_run_as_owner(const char *queue, Oid owner, const char *option)
{
	if (jobq_may_run_as(owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to change option \"%s\" of queue \"%s\"",
					option, queue),
			 errdetail("The function runs as the queue's owner, \"%s\", and you cannot SET ROLE to that role.",
					   GetUserNameFromId(owner, false)),
			 errhint("Have the owner change it, or make a queue that runs as you.")));
}

/*
 * Checks the functions of a new row.  `was`: the queue as it is; NULL: it is a new
 * one, whose owner was checked.
 */
static void
check_functions(const char *name, Oid owner, const Datum *values,
				const bool *nulls, const JobqQueue *was)
{
	for (int i = 0; i < lengthof(functions); i++)
	{
		const char *before = was == NULL ? NULL :
		*(char *const *) ((const char *) was + functions[i].offset);
		const char *after;

		if (nulls[functions[i].column - 1])
			continue;
		after = TextDatumGetCString(values[functions[i].column - 1]);
		check_may_execute(after, owner);
		if (was != NULL && (before == NULL || strcmp(before, after) != 0))
			check_may_run_as_owner(name, owner, functions[i].option);
	}
}

/*
 * Checks a new row of jobq_store.queue for conditions that involve more than
 * one option.  `was` is the queue as its row is, locked; NULL: it is a new one.
 * Checks that may wait come first.
 */
void
jobq_queue_row_check(const Datum *values, const bool *nulls,
					 const JobqQueue *was)
{
	char	   *name = TextDatumGetCString(values[Anum_queue_name - 1]);
	Oid			owner = DatumGetObjectId(values[Anum_queue_owner - 1]);
	int32		limit = limit_to_check(values, nulls, was);
	bool		keeps = was != NULL && was->shared_limit == limit;

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
	if (limit != JOBQ_NO_LIMIT)
	{
		/* once more below: this waits for a transaction that drops it */
		jobq_limit_check_sharing(limit, owner, name, keeps);
		jobq_limit_lock_shared(limit);
	}
	if (!nulls[Anum_queue_on_dead - 1])
		check_on_dead(name, owner,
					  DatumGetInt32(values[Anum_queue_on_dead - 1]));
	if (limit != JOBQ_NO_LIMIT)
		jobq_limit_check_sharing(limit, owner, name, keeps);
	check_functions(name, owner, values, nulls, was);
}
