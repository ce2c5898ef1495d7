/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  The functions that users give to queues, kept as text and looked up
 *	  when used.  For the commands given to run() see command.c.
 *
 * They are kept as text, since pg_upgrade refuses columns of type
 * regprocedure: as regprocedure prints them with only pg_catalog in
 * search_path.
 *
 * Functions are called as the queue's owner in sessions of other users that
 * enqueue, so nothing in the session may influence them: search_path is
 * pinned, and the security context forbids effects that would outlive the
 * call.
 *
 * IDENTIFICATION
 *	  src/queue/handler.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/handler.h"

#include "base/rights.h"
#include "base/sandbox.h"
#include "base/subtransaction.h"
#include "compat.h"
#include "jobq.h"
#include "shared/interval.h"
#include "shared/note.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* The schema of a type, InvalidOid if there is no such type. */
static Oid
type_schema(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			schema = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
		ReleaseSysCache(tuple);
	}
	return schema;
}

/* A type's name, qualified unless it is one of pg_catalog. */
static char *
type_text(Oid type)
{
	return type_schema(type) == PG_CATALOG_NAMESPACE ? format_type_be(type) :
		format_type_be_qualified(type);
}

static HeapTuple
function_tuple(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", function),
				 OidIsValid(function) ? 0 :
				 errhint("To remove it from a queue, use jobq.reset_queue().")));
	return tuple;
}

/* A function's name without its arguments. */
static char *
bare_name(Form_pg_proc proc)
{
	return quote_qualified_identifier(get_namespace_name(proc->pronamespace),
									  NameStr(proc->proname));
}

char *
jobq_function_text(Oid function)
{
	HeapTuple	tuple = function_tuple(function);
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, bare_name(proc));
	appendStringInfoChar(&text, '(');
	for (int i = 0; i < proc->pronargs; i++)
	{
		if (i > 0)
			appendStringInfoChar(&text, ',');
		appendStringInfoString(&text,
							   type_text(proc->proargtypes.values[i]));
	}
	appendStringInfoChar(&text, ')');
	ReleaseSysCache(tuple);
	return text.data;
}

/*
 * Whether a function, or the type of a parameter, is in a temporary schema,
 * where the same name may later refer to another user's function.
 */
static bool
is_temporary(Oid function)
{
	HeapTuple	tuple = function_tuple(function);
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	bool		result = isAnyTempNamespace(proc->pronamespace);

	for (int i = 0; i < proc->pronargs && !result; i++)
	{
		Oid			type = proc->proargtypes.values[i];

		result = type >= FirstNormalObjectId &&
			isAnyTempNamespace(type_schema(type));
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The current user needs USAGE on the function's schema.  A missing schema or
 * type raises an error.
 */
Oid
jobq_function_lookup(const char *text)
{
	LOCAL_FCINFO(fcinfo, 1);
	int			nest_level = NewGUCNestLevel();
	Datum		result;

	jobq_pin_search_path();
	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(text);
	fcinfo->args[0].isnull = false;
	result = to_regprocedure(fcinfo);
	AtEOXact_GUC(false, nest_level);
	if (fcinfo->isnull || is_temporary(DatumGetObjectId(result)))
		return InvalidOid;
	return DatumGetObjectId(result);
}

/*
 * Raises an error if a function can be neither a handler nor another function
 * of a queue.
 */
static void
check_kind(Form_pg_proc proc, bool procedures_too)
{
	const char *problem = NULL;

	if (is_temporary(proc->oid))
		problem = "It depends on a temporary schema, which belongs to one session only.";
	else if (proc->prokind == PROKIND_AGGREGATE)
		problem = "It is an aggregate function.";
	else if (proc->prokind == PROKIND_WINDOW)
		problem = "It is a window function.";
	else if (proc->prokind == PROKIND_PROCEDURE && !procedures_too)
		problem = "It is a procedure.";
	else if (proc->proretset)
		problem = "It returns a set.";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot be used by a queue",
						jobq_function_text(proc->oid)),
				 errdetail_internal("%s", problem)));
}

/* Whether a type is jobq.job. */
static bool
is_job_type(Oid type)
{
	Oid			schema = get_namespace_oid(JOBQ_SCHEMA, true);

	return OidIsValid(type) && OidIsValid(schema) &&
		GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						CStringGetDatum("job"),
						ObjectIdGetDatum(schema)) == type;
}

/* Whether there are parameters besides those that are passed. */
static bool
has_output_parameters(HeapTuple tuple)
{
	bool		isnull;

	(void) SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proallargtypes,
						   &isnull);
	return !isnull;
}

static void
refuse_handler(Form_pg_proc proc, const char *detail)
{
	const char *name = bare_name(proc);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s cannot be a handler", jobq_function_text(proc->oid)),
			 errdetail_internal("%s", detail),
			 errhint("A handler is a function or procedure %s(), %s(jsonb) or %s(jobq.job); for batches, a function %s(jsonb[]) or %s(jobq.job[]).",
					 name, name, name, name, name)));
}

/* How a handler with one parameter is called; false if it cannot be. */
static bool
describe_argument(Oid type, JobqHandler *handler)
{
	if (type == JSONBOID)
		handler->argument = JOBQ_HANDLER_PAYLOAD;
	else if (type == JSONBARRAYOID)
		handler->argument = JOBQ_HANDLER_PAYLOADS;
	else if (is_job_type(type))
		handler->argument = JOBQ_HANDLER_JOB;
	else if (is_job_type(get_element_type(type)))
		handler->argument = JOBQ_HANDLER_JOBS;
	else
		return false;
	return true;
}

void
jobq_handler_describe(Oid function, JobqHandler *handler)
{
	HeapTuple	tuple = function_tuple(function);
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	check_kind(proc, true);
	handler->function = function;
	handler->is_procedure = proc->prokind == PROKIND_PROCEDURE;
	handler->result_type = proc->prorettype;
	if (has_output_parameters(tuple))
		refuse_handler(proc, "It has output or variadic parameters.");
	if (!handler->is_procedure &&
		get_typtype(proc->prorettype) == TYPTYPE_PSEUDO &&
		proc->prorettype != VOIDOID && proc->prorettype != RECORDOID)
		refuse_handler(proc, "Its result cannot be stored.");

	if (proc->pronargs == 0)
		handler->argument = JOBQ_HANDLER_NOTHING;
	else if (proc->pronargs != 1 ||
			 !describe_argument(proc->proargtypes.values[0], handler))
		refuse_handler(proc, "It has other parameters.");
	if (handler->is_procedure && jobq_handler_takes_batches(handler))
		refuse_handler(proc, "Procedures cannot take batches.");
	ReleaseSysCache(tuple);
}

void
jobq_payload_check_validate(Oid function)
{
	HeapTuple	tuple = function_tuple(function);
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	check_kind(proc, false);
	if (proc->pronargs != 1 || proc->proargtypes.values[0] != JSONBOID ||
		(proc->prorettype != BOOLOID && proc->prorettype != TEXTOID))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot check payloads",
						jobq_function_text(function)),
				 errhint("A payload check is a function %s(jsonb) that returns boolean, or text that says why the payload is refused.",
						 bare_name(proc))));
	ReleaseSysCache(tuple);
}

void
jobq_backoff_function_validate(Oid function)
{
	HeapTuple	tuple = function_tuple(function);
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	check_kind(proc, false);
	if (proc->pronargs != 2 || proc->proargtypes.values[0] != INT4OID ||
		proc->proargtypes.values[1] != JSONBOID ||
		proc->prorettype != INTERVALOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot compute delays",
						jobq_function_text(function)),
				 errhint("A backoff function is a function %s(integer,jsonb) that returns interval.",
						 bare_name(proc))));
	ReleaseSysCache(tuple);
}

/* A call of a function of a queue, and its result. */
typedef struct FunctionCall
{
	const char *text;
	void		(*validate) (Oid function);
	Oid			owner;
	int			nargs;
	Datum		args[2];		/* 0: NULL */
	Oid			result_type;
	NullableDatum result;
} FunctionCall;

/*
 * Looks up the function of a call, with the privileges of the queue's owner.
 * It may have been dropped and created again as another kind of function, and
 * the owner may be gone.
 */
static Oid
callable_function(const FunctionCall *call)
{
	Oid			function = jobq_function_lookup(call->text);

	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s does not exist", call->text),
				 errdetail("A queue refers to it.")));
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(call->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("function %s cannot be called", call->text),
				 errdetail("It is called as the owner of a queue, a role that no longer exists."),
				 errhint("A superuser can give the queue another owner with jobq.alter_queue().")));
	if (!jobq_may_execute(function, call->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", call->text),
				 errdetail("It is called as the owner of a queue, \"%s\".",
						   GetUserNameFromId(call->owner, false))));
	call->validate(function);
	return function;
}

/* Makes a call, in the sandbox. */
static void
make_call(void *arg)
{
	FunctionCall *call = arg;

	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo	flinfo;

	fmgr_info(callable_function(call), &flinfo);
	call->result_type = get_func_rettype(flinfo.fn_oid);
	InitFunctionCallInfoData(*fcinfo, &flinfo, call->nargs, InvalidOid, NULL,
							 NULL);
	call->result.isnull = true;
	for (int i = 0; i < call->nargs; i++)
	{
		fcinfo->args[i].value = call->args[i];
		fcinfo->args[i].isnull = call->args[i] == (Datum) 0;
		/* a strict function is not called */
		if (flinfo.fn_strict && call->args[i] == (Datum) 0 && i > 0)
			return;
	}
	call->result.value = FunctionCallInvoke(fcinfo);
	call->result.isnull = fcinfo->isnull;
	/* it may be in a table of the owner's */
	if (!call->result.isnull && call->result_type == TEXTOID)
		call->result.value =
			PointerGetDatum(PG_DETOAST_DATUM(call->result.value));
}

/*
 * Returns NULL if the payload is accepted, otherwise the reason for refusing
 * it.
 */
char *
jobq_payload_check_call(const char *name, Oid owner, Datum payload)
{
	FunctionCall call = {0};

	call.text = name;
	call.validate = jobq_payload_check_validate;
	call.owner = owner;
	call.nargs = 1;
	call.args[0] = payload;
	jobq_sandbox_run(owner, make_call, &call);
	if (call.result_type == TEXTOID)
		return call.result.isnull ? NULL :
			TextDatumGetCString(call.result.value);
	if (call.result.isnull || !DatumGetBool(call.result.value))
		return psprintf("%s did not accept it", name);
	return NULL;
}

/* Makes a call, in a subtransaction. */
static void
call_as_owner(void *arg)
{
	FunctionCall *call = arg;

	jobq_sandbox_run(call->owner, make_call, call);
}

/*
 * Calls a function of a queue.  If it fails, is missing or may not be called,
 * its effects are undone and the error is returned; a cancel of the statement
 * is raised.
 */
ErrorData *
jobq_backoff_function_call(const char *text, Oid owner, int attempt,
						   Datum error, int64 *delay)
{
	FunctionCall call = {0};
	ErrorData  *problem;

	call.text = text;

	call.validate = jobq_backoff_function_validate;
	call.owner = owner;
	call.nargs = 2;
	call.args[0] = Int32GetDatum(attempt);
	call.args[1] = error;
	problem = jobq_subtransaction(call_as_owner, &call);
	if (problem != NULL)
		return problem;
	if (call.result.isnull)
		*delay = -1;
	else
		*delay = Max(jobq_interval_microseconds(DatumGetIntervalP(call.result.value)),
					 0);
	return NULL;
}
