/*-------------------------------------------------------------------------
 *
 * watch.c
 *	  Noticing effects of jobs that only the end of their transaction undoes.
 *
 * A job must not see effects of another one.  Effects on the session are
 * undone by session.c after each job.  Effects on the transaction end only
 * with it: SET CONSTRAINTS and deferred trigger events, advisory locks, large
 * object descriptors, notifications (duplicates are merged), locks on tables,
 * and whatever DDL does.  A job that does any of this is the last one of its
 * transaction, whatever its outcome.  So is one that uses a replication origin,
 * or begins a backup.
 *
 * Such effects have three sources: utility commands, except those listed as
 * harmless; built-in functions that are listed; and writes to a table with
 * deferred constraints.  The creation of objects is always noticed, so there
 * are no temporary objects if nothing was noticed.
 *
 * The hooks are set in executors only.
 *
 * IDENTIFICATION
 *	  bgworker/executor/watch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/watch.h"

#include "base/sandbox_rules.h"
#include "base/seed.h"
#include "bgworker/executor/replication.h"

#include "access/transam.h"
#include "catalog/objectaccess.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/reltrigger.h"

static bool watching = false;
static bool noticed = false;

static ProcessUtility_hook_type previous_process_utility = NULL;
static ExecutorFinish_hook_type previous_executor_finish = NULL;
static object_access_hook_type previous_object_access = NULL;

/*
 * Whether session.c undoes everything that a command leaves.  Functions and
 * queries that the command runs are noticed separately.
 */
static bool
leaves_nothing(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_DoStmt:
		case T_CallStmt:
		case T_ExplainStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
			return true;
		default:
			return false;
	}
}

static void
watch_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *queryEnv, DestReceiver *dest,
			  QueryCompletion *qc)
{
	if (watching && !leaves_nothing(pstmt->utilityStmt))
		noticed = true;
	if (previous_process_utility)
		previous_process_utility(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

/* A built-in function is about to be called. */
static void
watch_function(Oid function)
{
	switch (function)
	{
		case F_SETSEED:
			jobq_seed_note();
			break;
		case F_PG_CREATE_PHYSICAL_REPLICATION_SLOT:
		case F_PG_CREATE_LOGICAL_REPLICATION_SLOT:
		case F_PG_COPY_PHYSICAL_REPLICATION_SLOT_NAME_NAME:
		case F_PG_COPY_PHYSICAL_REPLICATION_SLOT_NAME_NAME_BOOL:
		case F_PG_COPY_LOGICAL_REPLICATION_SLOT_NAME_NAME:
		case F_PG_COPY_LOGICAL_REPLICATION_SLOT_NAME_NAME_BOOL:
		case F_PG_COPY_LOGICAL_REPLICATION_SLOT_NAME_NAME_BOOL_NAME:
			jobq_replication_note_slot();
			noticed = true;
			break;
		case F_PG_NOTIFY:
		case F_LO_OPEN:
		case F_PG_EXPORT_SNAPSHOT:
		case F_PG_BACKUP_START:
		case F_PG_REPLICATION_ORIGIN_SESSION_SETUP:
		case F_PG_REPLICATION_ORIGIN_XACT_SETUP:
		case F_PG_ADVISORY_LOCK_INT8:
		case F_PG_ADVISORY_LOCK_INT4_INT4:
		case F_PG_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_ADVISORY_LOCK_SHARED_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_INT8:
		case F_PG_TRY_ADVISORY_LOCK_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4:
		case F_PG_ADVISORY_XACT_LOCK_INT8:
		case F_PG_ADVISORY_XACT_LOCK_INT4_INT4:
		case F_PG_ADVISORY_XACT_LOCK_SHARED_INT8:
		case F_PG_ADVISORY_XACT_LOCK_SHARED_INT4_INT4:
		case F_PG_TRY_ADVISORY_XACT_LOCK_INT8:
		case F_PG_TRY_ADVISORY_XACT_LOCK_INT4_INT4:
		case F_PG_TRY_ADVISORY_XACT_LOCK_SHARED_INT8:
		case F_PG_TRY_ADVISORY_XACT_LOCK_SHARED_INT4_INT4:
			noticed = true;
			break;
		default:
			break;
	}
}

static void
watch_objects(ObjectAccessType access, Oid classId, Oid objectId, int subId,
			  void *arg)
{
	if (watching && access == OAT_FUNCTION_EXECUTE)
	{
		if (objectId < FirstNormalObjectId)
			watch_function(objectId);
	}
	else if (watching && access != OAT_NAMESPACE_SEARCH)
		noticed = true;
	if (previous_object_access)
		previous_object_access(access, classId, objectId, subId, arg);
}

/* Whether rows written to one of these tables may have events that wait. */
static bool
any_deferred(List *relations)
{
	ListCell   *lc;

	foreach(lc, relations)
	{
		const TriggerDesc *triggers =
		((ResultRelInfo *) lfirst(lc))->ri_TrigDesc;

		if (triggers == NULL)
			continue;
		for (int i = 0; i < triggers->numtriggers; i++)
		{
			if (triggers->triggers[i].tginitdeferred)
				return true;
		}
	}
	return false;
}

static void
watch_executor(QueryDesc *query)
{
	EState	   *estate = query->estate;

	if (watching && !noticed &&
		(any_deferred(estate->es_opened_result_relations) ||
		 any_deferred(estate->es_tuple_routing_result_relations) ||
		 any_deferred(estate->es_trig_target_relations)))
		noticed = true;
	if (previous_executor_finish)
		previous_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

/* Sets the hooks, for the rest of the process's life. */
void
jobq_watch_set_up(void)
{
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = watch_utility;
	previous_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = watch_executor;
	previous_object_access = object_access_hook;
	object_access_hook = watch_objects;
	jobq_seed_watch(jobq_in_sandbox);
}

void
jobq_watch_begin(void)
{
	watching = true;
	noticed = false;
}

bool
jobq_watch_noticed(void)
{
	return noticed;
}

void
jobq_watch_end(void)
{
	watching = false;
}
