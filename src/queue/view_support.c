/*-------------------------------------------------------------------------
 *
 * view_support.c
 *	  Makes the cost of jobq's views depend on what their reader may see.
 *
 * may_read() and may_see_role() filter each row.  To avoid calling them for
 * all rows, these support functions tell the planner that the rows that pass
 * are also found by an index on the column, with the keys that
 * readable_queues() or visible_roles() return when the scan begins:
 *
 *		may_read(q.id)  =>  q.id = ANY (readable_queues())
 *
 * Whether to use that is up to the planner.  The function itself is still
 * called for each row found.
 *
 * IDENTIFICATION
 *	  src/queue/view_support.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/rights.h"
#include "base/visit.h"
#include "compat.h"
#include "queue/limit_row.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "shared/database.h"

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The selectivity reported to the planner for most readers. */
#define SELECTIVITY 0.001

PG_FUNCTION_INFO_V1(jobq_readable_queues);
PG_FUNCTION_INFO_V1(jobq_visible_roles);
PG_FUNCTION_INFO_V1(jobq_may_read_support);
PG_FUNCTION_INFO_V1(jobq_may_see_role_support);

/* The ids of the queues for which may_read() is true. */
static ArrayType *
read_readable_queues(void)
{
	List	   *ids = jobq_queues_allowed(GetUserId(), JOBQ_PRIV_READ |
										  JOBQ_PRIV_CONSUME |
										  JOBQ_PRIV_MANAGE);
	Datum	   *elements = palloc((list_length(ids) + 1) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, ids)
		elements[foreach_current_index(lc)] = Int32GetDatum(lfirst_int(lc));
	return construct_array(elements, list_length(ids), INT4OID,
						   sizeof(int32), true, TYPALIGN_INT);
}

static void
collect_owner(void *arg, const Datum *values, const bool *nulls)
{
	List	  **owners = arg;

	*owners =
		list_append_unique_oid(*owners,
							   DatumGetObjectId(values[Anum_schedule_owner - 1]));
}

/* The roles that have schedules or limits. */
static List *
read_owners(void)
{
	List	   *owners = NIL;

	jobq_visit_all_rows(JOBQ_REL_SCHEDULE, collect_owner, &owners);
	return list_concat_unique_oid(owners, jobq_limit_read_owners());
}

/*
 * The owners of schedules and limits for which may_see_role() is true, and perhaps
 * other roles.
 */
static ArrayType *
read_visible_roles(void)
{
	Oid			reader = GetUserId();
	List	   *roles = jobq_reads_all(reader) ?
	read_owners() : jobq_roles_of(reader);
	Datum	   *elements = palloc((list_length(roles) + 1) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, roles)
		elements[foreach_current_index(lc)] =
		ObjectIdGetDatum(lfirst_oid(lc));
	return construct_array(elements, list_length(roles), OIDOID, sizeof(Oid),
						   true, TYPALIGN_INT);
}

/*
 * The array that a function returns, computed once for each call site in an
 * executed query, since a scan may be restarted many times.
 */
static ArrayType *
array_of_query(FunctionCallInfo fcinfo, ArrayType *(*read) (void))
{
	MemoryContext oldcontext;

	jobq_require_shmem();
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		oldcontext = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = read();
		MemoryContextSwitchTo(oldcontext);
	}
	return fcinfo->flinfo->fn_extra;
}

/* readable_queues() */
Datum
jobq_readable_queues(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(array_of_query(fcinfo, read_readable_queues));
}

/* visible_roles() */
Datum
jobq_visible_roles(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(array_of_query(fcinfo, read_visible_roles));
}

/*
 * Makes a call of a function without arguments in the schema of another
 * function.  The reader has no privilege on the schema, so the parser's
 * look-up cannot be used.
 */
static Expr *
make_call(const char *name, Oid neighbour, Oid result_type)
{
	oidvector  *no_arguments = buildoidvector(NULL, 0);
	Oid			function;

	function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							   CStringGetDatum(name),
							   PointerGetDatum(no_arguments),
							   ObjectIdGetDatum(get_func_namespace(neighbour)));
	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, result_type, NIL, InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

/*
 * Makes an index condition for a function of one argument: the column is among
 * the values that another function of the schema returns.  The condition is
 * lossy (request->lossy is set).  Returns NIL if there is none.
 */
static List *
make_condition(const SupportRequestIndexCondition *request, Oid type,
			   const char *function)
{
	ScalarArrayOpExpr *condition;
	Oid			operator;
	Expr	   *call;

	/* on a later column it would break the order of the scan */
	if (!is_funcclause(request->node) || request->indexcol != 0 ||
		request->index->relam != BTREE_AM_OID)
		return NIL;
	operator = get_opfamily_member(request->opfamily, type, type,
								   BTEqualStrategyNumber);
	call = make_call(function, request->funcid, get_array_type(type));
	if (!OidIsValid(operator) || call == NULL)
		return NIL;

	condition = makeNode(ScalarArrayOpExpr);
	condition->opno = operator;
	condition->opfuncid = get_opcode(operator);
	condition->useOr = true;
	condition->inputcollid = InvalidOid;
	condition->args =
		list_make2(linitial(((FuncExpr *) request->node)->args), call);
	condition->location = -1;
	return list_make1(condition);
}

/*
 * Answers a request of the planner about a function that passes all rows for a
 * role that may read everything, and few for others.  The plan may be used by
 * another role.
 */
static void *
answer(Node *request, Oid type, const char *function)
{
	bool		all = jobq_reads_all(GetUserId());

	if (IsA(request, SupportRequestSelectivity))
	{
		((SupportRequestSelectivity *) request)->selectivity =
			all ? 1.0 : SELECTIVITY;
		return request;
	}
	if (IsA(request, SupportRequestIndexCondition) && !all)
		return make_condition((SupportRequestIndexCondition *) request, type,
							  function);
	return NULL;
}

/* may_read_support(internal): of may_read() */
Datum
jobq_may_read_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(answer((Node *) PG_GETARG_POINTER(0), INT4OID,
							 "readable_queues"));
}

/* may_see_role_support(internal): of may_see_role() */
Datum
jobq_may_see_role_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(answer((Node *) PG_GETARG_POINTER(0), OIDOID,
							 "visible_roles"));
}
