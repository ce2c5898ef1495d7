/*-------------------------------------------------------------------------
 *
 * call.c
 *	  Running the code of a job: its queue's handler, or its command.
 *
 * Functions, and commands that may run in a transaction block, are run through
 * SPI.  Procedures, and commands like VACUUM, are run as if a client had sent
 * them, so that they can end transactions.
 *
 * Payloads are passed as parameters and never become part of a command's
 * text, which the log and pg_stat_activity may show.
 *
 * IDENTIFICATION
 *	  bgworker/executor/call.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/call.h"

#include "bgworker/executor/first_row.h"
#include "compat.h"
#include "job/current_job.h"
#include "queue/command.h"
#include "queue/handler.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/params.h"
#include "parser/analyze.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A queue's handler as it was found. */
typedef struct HandlerEntry
{
	int32		queue;
	char	   *name;			/* as the queue has it; NULL: not looked up */
	uint32		changes;		/* of functions, when it was looked up */
	JobqHandler handler;
	char	   *sql;
	SPIPlanPtr	plan;			/* of functions only; may be NULL */
} HandlerEntry;

static HTAB *handlers = NULL;

/* Number of invalidations of functions or schemas. */
static uint32 changes = 0;

/* Invalidation callback: names may now refer to other functions. */
static void
note_change(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
}

/* Allocates for the life of the process; needed only once per handler. */
static char *
keep_string(const char *string)
{
	return MemoryContextStrdup(TopMemoryContext, string);
}

static void
forget_handler(HandlerEntry *entry)
{
	if (entry->plan != NULL)
		(void) SPI_freeplan(entry->plan);
	if (entry->sql != NULL)
		pfree(entry->sql);
	if (entry->name != NULL)
		pfree(entry->name);
	entry->plan = NULL;
	entry->sql = NULL;
	entry->name = NULL;
}

/* The entry of a queue, new or as it was. */
static HandlerEntry *
handler_entry(int32 queue)
{
	HandlerEntry *entry;
	bool		found;

	if (handlers == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(int32);
		info.entrysize = sizeof(HandlerEntry);
		handlers = hash_create("jobq handlers", 16, &info,
							   HASH_ELEM | HASH_BLOBS);
		CacheRegisterSyscacheCallback(PROCOID, note_change, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, note_change, (Datum) 0);
	}
	entry = hash_search(handlers, &queue, HASH_ENTER, &found);
	if (!found)
	{
		entry->name = NULL;
		entry->sql = NULL;
		entry->plan = NULL;
	}
	return entry;
}

/* The command that calls a handler. */
static char *
call_text(const JobqHandler *handler)
{
	char	   *name;
	const char *argument =
	handler->argument == JOBQ_HANDLER_NOTHING ? "" : "$1";

	name = quote_qualified_identifier(get_namespace_name(get_func_namespace(handler->function)),
									  get_func_name(handler->function));
	if (handler->is_procedure)
		return psprintf("CALL %s(%s)", name, argument);
	if (handler->result_type == VOIDOID)
		return psprintf("SELECT %s(%s)", name, argument);
	return psprintf("SELECT pg_catalog.to_jsonb(%s(%s))", name, argument);
}

/* Looks up a queue's handler; raises an error if it cannot be called. */
static HandlerEntry *
find_handler(const JobqCall *call)
{
	HandlerEntry *entry = handler_entry(call->queue);
	uint32		looked_up_at;
	Oid			function;

	if (entry->name != NULL && strcmp(entry->name, call->handler) == 0 &&
		entry->changes == changes)
		return entry;
	forget_handler(entry);
	looked_up_at = changes;
	function = jobq_function_lookup(call->handler);
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("handler %s does not exist", call->handler),
				 errhint("Create it, or give the queue another handler with jobq.alter_queue().")));
	jobq_handler_describe(function, &entry->handler);
	if (jobq_handler_takes_batches(&entry->handler) != call->is_batch)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("handler %s does not fit the queue's batch_size",
						call->handler),
				 errhint("Give the queue another handler, or another batch_size, with jobq.alter_queue().")));
	entry->sql = keep_string(call_text(&entry->handler));
	entry->name = keep_string(call->handler);
	entry->changes = looked_up_at;
	return entry;
}

/* Whether the call must not be made in a transaction block. */
bool
jobq_call_needs_top_level(const JobqCall *call)
{
	if (call->handler != NULL)
		return find_handler(call)->handler.is_procedure;
	if (call->command == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the job has neither a handler nor a command")));
	return !jobq_command_check(call->command);
}

/* The payloads of the current batch as jsonb[]. */
static Datum
batch_payloads(void)
{
	int			njobs;
	const JobqJob *jobs = jobq_current_job_batch(&njobs);
	Datum	   *values = palloc(njobs * sizeof(Datum));
	bool	   *nulls = palloc(njobs * sizeof(bool));
	int			lower_bound = 1;

	for (int i = 0; i < njobs; i++)
	{
		values[i] = jobs[i].values[Anum_job_payload - 1];
		nulls[i] = jobs[i].nulls[Anum_job_payload - 1];
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &njobs,
											  &lower_bound, JSONBOID, -1,
											  false, TYPALIGN_INT));
}

/* The argument of a handler. */
static NullableDatum
argument_value(const JobqCall *call, const JobqHandler *handler)
{
	NullableDatum result = {0};

	switch (handler->argument)
	{
		case JOBQ_HANDLER_NOTHING:
		case JOBQ_HANDLER_PAYLOAD:
			return call->payload;
		case JOBQ_HANDLER_JOB:
			result.value = jobq_current_job_row();
			break;
		case JOBQ_HANDLER_PAYLOADS:
			result.value = batch_payloads();
			break;
		case JOBQ_HANDLER_JOBS:
			result.value = jobq_current_job_batch_rows();
			break;
	}
	return result;
}

static Oid
argument_type(const JobqHandler *handler)
{
	Oid		   *types;
	int			nargs;

	if (handler->argument == JOBQ_HANDLER_PAYLOAD)
		return JSONBOID;
	(void) get_func_signature(handler->function, &types, &nargs);
	return types[0];
}

static void
check_spi(int result)
{
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a job cannot run this command"),
				 errdetail_internal("%s", SPI_result_code_string(result))));
}

/* Calls a function. */
static bool
call_function(const JobqCall *call, MemoryContext context, Datum *result)
{
	HandlerEntry *entry = find_handler(call);
	int			nargs = entry->handler.argument == JOBQ_HANDLER_NOTHING ?
	0 : 1;
	NullableDatum argument = {0};
	bool		isnull = true;

	if (nargs > 0)
		argument = argument_value(call, &entry->handler);
	SPI_connect();
	if (entry->plan == NULL)
	{
		Oid			type = nargs > 0 ?
		argument_type(&entry->handler) : InvalidOid;
		SPIPlanPtr	plan = SPI_prepare(entry->sql, nargs, &type);

		if (plan == NULL)
			check_spi(SPI_result);
		SPI_keepplan(plan);
		entry->plan = plan;
	}
	check_spi(SPI_execute_plan(entry->plan, &argument.value,
							   argument.isnull ? "n" : NULL, false, 0));
	if (entry->handler.result_type != VOIDOID && SPI_processed == 1)
	{
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(context);

			*result = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
			MemoryContextSwitchTo(oldcontext);
		}
	}
	SPI_finish();
	return !isnull;
}

/* Parameters of a command that is not run by SPI. */
static ParamListInfo
make_params(NullableDatum value, Oid type)
{
	ParamListInfo params = makeParamList(1);

	params->params[0].value = value.value;
	params->params[0].isnull = value.isnull;
	params->params[0].pflags = PARAM_FLAG_CONST;
	params->params[0].ptype = type;
	return params;
}

/* Runs a command; its first row, if it gives one, is the result. */
static bool
run_command(const JobqCall *call, MemoryContext context, Datum *result)
{
	SPIExecuteOptions options = {0};
	Oid			type = JSONBOID;
	DestReceiver *receiver = jobq_first_row_receiver(context);
	SPIPlanPtr	plan;
	bool		found;

	SPI_connect();
	plan = SPI_prepare(call->command, 1, &type);
	if (plan == NULL)
		check_spi(SPI_result);
	options.params = make_params(call->payload, type);
	options.dest = receiver;
	check_spi(SPI_execute_plan_extended(plan, &options));
	found = jobq_first_row_as_jsonb(receiver, context, result);
	SPI_finish();
	return found;
}

bool
jobq_call_in_transaction(const JobqCall *call, MemoryContext context,
						 Datum *result)
{
	bool		has_result;

	/* SPI wants one to be there; commands take their own */
	PushActiveSnapshot(GetTransactionSnapshot());
	has_result = call->handler != NULL ?
		call_function(call, context, result) :
		run_command(call, context, result);
	PopActiveSnapshot();
	return has_result;
}

/* Analyzes and plans the only statement of a command. */
static List *
plan_statement(RawStmt *statement, const char *sql, Oid type)
{
	List	   *queries;
	List	   *plans;
	bool		snapshot = analyze_requires_snapshot(statement);

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_fixedparams(statement, sql, &type, 1,
												 NULL);
	plans = pg_plan_queries(queries, sql, CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot)
		PopActiveSnapshot();
	return plans;
}

/* Runs a command as postgres.c runs a client's. */
static void
run_at_top_level(const char *sql, const JobqCall *call,
				 const JobqHandler *handler, MemoryContext context)
{
	Oid			type = handler != NULL &&
	handler->argument == JOBQ_HANDLER_JOB ?
	argument_type(handler) : JSONBOID;
	NullableDatum value = handler != NULL ? argument_value(call, handler) :
	call->payload;
	List	   *parsed = pg_parse_query(sql);
	RawStmt    *statement = linitial_node(RawStmt, parsed);
	CommandTag	tag = CreateCommandTag(statement->stmt);
	DestReceiver *receiver = CreateDestReceiver(DestNone);
	QueryCompletion completion;
	Portal		portal;
	List	   *plans = plan_statement(statement, sql, type);

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, tag, plans, NULL);
	PortalStart(portal, make_params(value, type), 0, InvalidSnapshot);
	InitializeQueryCompletion(&completion);
	(void) jobq_portal_run(portal, FETCH_ALL, true, receiver, receiver,
						   &completion);
	receiver->rDestroy(receiver);
	PortalDrop(portal, false);
	MemoryContextSwitchTo(context);
}

void
jobq_call_at_top_level(const JobqCall *call, MemoryContext context)
{
	const char *sql = call->command;
	const JobqHandler *handler = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	if (call->handler != NULL)
	{
		HandlerEntry *entry = find_handler(call);

		sql = entry->sql;
		handler = &entry->handler;
	}
	run_at_top_level(sql, call, handler, context);
	CommitTransactionCommand();
}
