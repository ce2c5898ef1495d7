/*-------------------------------------------------------------------------
 *
 * sandbox_rules.c
 *	  What the code of a queue's owner may not do in another role's session.
 *
 * The server itself refuses much in a security-restricted operation: other
 * roles, LISTEN, PREPARE, DISCARD, temporary tables, cursors WITH HOLD,
 * deferred triggers.  This refuses the rest of what reads or changes the
 * session: commands by the hook for utility statements (hooks.c), built-in
 * functions and new objects by the hook for access to objects.  The latter is
 * called when an expression is made ready to run; sandbox_planner.c handles what
 * the planner calls without it.
 *
 * PL/pgSQL keeps simple expressions that are ready for the rest of the
 * transaction.  One with a refused function, made ready by the caller, would run
 * in a sandbox unchecked.  So once a session has had a sandbox the hook stays,
 * and notes such functions outside sandboxes, too; then the next sandbox
 * invalidates all plans of the session, and the expressions with them.
 *
 * Types in the temporary schema are looked up before those of pg_catalog.  Any
 * role that writes 'x'::text evaluates the CHECK of a domain pg_temp.text.
 * Some releases of the server forbid such types (15.20 and 17.12 do, 18.6 does
 * not); here they are forbidden on all releases and, as there, in every
 * security-restricted operation.
 *
 * IDENTIFICATION
 *	  src/base/sandbox_rules.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/sandbox_rules.h"

#include "base/dependents.h"
#include "base/leftover.h"
#include "base/seed.h"
#include "base/setting.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/fmgroids.h"
#include "utils/fmgrtab.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/*
 * Functions that read or change the session, by their C names; a name that ends
 * in _ is a prefix.
 */
static const char *const refused_functions[] = {
	"be_lo_close",
	"be_lo_lseek",
	"be_lo_lseek64",
	"be_lo_open",
	"be_lo_tell",
	"be_lo_tell64",
	"be_lo_truncate",
	"be_lo_truncate64",
	"be_loread",
	"be_lowrite",
	"currval_oid",
	"cursor_to_xmlschema",
	"lastval",
	"pg_advisory_",
	"pg_backup_",
	"pg_copy_logical_replication_slot_",
	"pg_copy_physical_replication_slot_",
	"pg_create_logical_replication_slot",
	"pg_create_physical_replication_slot",
	"pg_cursor",
	"pg_export_snapshot",
	"pg_listening_channels",
	"pg_prepared_statement",
	"pg_replication_origin_session_",
	"pg_replication_origin_xact_",
	"pg_try_advisory_",
	"setseed",
};

/* The number of nested calls. */
static int	depth = 0;

static object_access_hook_type previous_object_access = NULL;
static needs_fmgr_hook_type previous_fmgr_need = NULL;
static bool hooks_are_set = false;

/*
 * An expression with a refused function may have been made ready outside a
 * sandbox.
 */
static bool expressions_may_be_ready = true;

/*
 * The command with which the outermost call began, and whether an object has been
 * created or changed since then.
 */
static CommandId first_command;
static bool objects_have_changed;

static void
refuse(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot execute %s within security-restricted operation",
					what)));
}

void
jobq_refuse_if_restricted(const char *what)
{
	if (InSecurityRestrictedOperation())
		refuse(what);
}

/* -------------------------------------------------- functions and objects */

static bool
is_refused(Oid function)
{
	const char *name;

	if (function > fmgr_last_builtin_oid ||
		fmgr_builtin_oid_index[function] == InvalidOidBuiltinMapping)
		return false;
	name = fmgr_builtins[fmgr_builtin_oid_index[function]].funcName;
	for (int i = 0; i < lengthof(refused_functions); i++)
	{
		size_t		length = strlen(refused_functions[i]);

		if (refused_functions[i][length - 1] != '_')
			length++;
		if (strncmp(name, refused_functions[i], length) == 0)
			return true;
	}
	return false;
}

/* The name of the language of a function, NULL if it is gone. */
static char *
language_of(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			language;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	return get_language_name(language, true);
}

/*
 * Called before each call of a function that is not built in, also by triggers
 * and by jobq itself.  PL/Tcl has one queue of events for all roles: an event
 * that a function leaves there runs in another role's function, as that role.
 */
static bool
fmgr_need(Oid function)
{
	if (depth > 0)
	{
		const char *language = language_of(function);

		if (language != NULL && (strcmp(language, "pltcl") == 0 ||
								 strcmp(language, "pltclu") == 0))
			refuse(psprintf("%s(), which is in language %s,",
							get_func_name(function), language));
	}
	return previous_fmgr_need != NULL && previous_fmgr_need(function);
}

/*
 * Raises 42501 if a new object is in the temporary schema.  The caches do
 * not see its row yet.
 */
static void
check_new_object(Oid catalog, Oid object)
{
	AttrNumber	attnum;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		in_temp = false;

	if (!is_objectclass_supported(catalog))
		return;
	attnum = get_object_attnum_namespace(catalog);
	if (attnum == InvalidAttrNumber)
		return;
	rel = table_open(catalog, AccessShareLock);
	ScanKeyInit(&key, get_object_attnum_oid(catalog), BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, get_object_oid_index(catalog), true,
							  SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		schema = heap_getattr(tuple, attnum,
										  RelationGetDescr(rel), &isnull);

		in_temp = !isnull && isAnyTempNamespace(DatumGetObjectId(schema));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (in_temp)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot create an object in a temporary schema within security-restricted operation")));
}

static void
object_access(ObjectAccessType access, Oid catalog, Oid object, int column,
			  void *arg)
{
	if (previous_object_access)
		previous_object_access(access, catalog, object, column, arg);
	if (access == OAT_FUNCTION_EXECUTE)
	{
		if (!is_refused(object))
			return;
		if (depth > 0)
			refuse(psprintf("%s()", get_func_name(object)));
		expressions_may_be_ready = true;
	}
	else if (depth > 0 &&
			 (access == OAT_POST_CREATE || access == OAT_POST_ALTER))
	{
		objects_have_changed = true;
		if (access == OAT_POST_CREATE && column == 0)
			check_new_object(catalog, object);
	}
}

/* Sets the hooks, with the session's first sandbox. */
void
jobq_sandbox_rules_set_up(void)
{
	if (hooks_are_set)
		return;
	jobq_seed_watch(jobq_in_sandbox);
	jobq_setting_watch_exits(jobq_in_sandbox);
	jobq_leftover_watch();
	previous_object_access = object_access_hook;
	object_access_hook = object_access;
	previous_fmgr_need = needs_fmgr_hook;
	needs_fmgr_hook = fmgr_need;
	hooks_are_set = true;
}

void
jobq_sandbox_rules_begin(void)
{
	if (depth++ > 0)
		return;
	first_command = GetCurrentCommandId(false);
	objects_have_changed = false;
	if (expressions_may_be_ready)
	{
		ResetPlanCache();
		expressions_may_be_ready = false;
	}
}

/* What nested calls have made is seen at the end of the outermost one. */
void
jobq_sandbox_rules_check(void)
{
	if (depth == 1 && objects_have_changed)
		jobq_dependents_refuse(first_command);
}

void
jobq_sandbox_rules_end(void)
{
	depth--;
}

bool
jobq_in_sandbox(void)
{
	return depth > 0;
}

/* -------------------------------------------------------------- commands */

/* Raises 42501 if a type of that name would be in the temporary schema. */
static void
check_type_name(List *type)
{
	char	   *name;

	if (isTempNamespace(QualifiedNameGetCreationNamespace(type, &name)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot create a type in a temporary schema within security-restricted operation")));
}

/* A range type creates a multirange type, which may be elsewhere. */
static void
check_range_type(CreateRangeStmt *statement)
{
	ListCell   *lc;

	check_type_name(statement->typeName);
	foreach(lc, statement->params)
	{
		DefElem    *element = lfirst_node(DefElem, lc);

		if (strcmp(element->defname, "multirange_type_name") == 0)
			check_type_name(defGetQualifiedName(element));
	}
}

/* Types, in every security-restricted operation. */
static void
check_types(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateDomainStmt:
			check_type_name(castNode(CreateDomainStmt, statement)->domainname);
			break;
		case T_CreateEnumStmt:
			check_type_name(castNode(CreateEnumStmt, statement)->typeName);
			break;
		case T_CreateRangeStmt:
			check_range_type(castNode(CreateRangeStmt, statement));
			break;
		case T_DefineStmt:
			if (castNode(DefineStmt, statement)->kind == OBJECT_TYPE)
				check_type_name(castNode(DefineStmt, statement)->defnames);
			break;
		default:
			/* a composite type is a relation */
			break;
	}
}

/* The command in EXPLAIN or CREATE TABLE AS, NULL if it is a query. */
static Node *
inner_command(Node *query)
{
	return query != NULL && IsA(query, Query) ?
		castNode(Query, query)->utilityStmt : NULL;
}

/* Commands that read or change the session, in a sandbox. */
static void
check_command(Node *statement)
{
	if (statement == NULL)
		return;
	switch (nodeTag(statement))
	{
		case T_ConstraintsSetStmt:
			refuse("SET CONSTRAINTS");
			break;
		case T_ExecuteStmt:
			refuse("EXECUTE");
			break;
		case T_LoadStmt:
			refuse("LOAD");
			break;
		case T_ExplainStmt:
			check_command(inner_command(castNode(ExplainStmt,
												 statement)->query));
			break;
		case T_CreateTableAsStmt:
			check_command(inner_command(castNode(CreateTableAsStmt,
												 statement)->query));
			break;
		default:
			break;
	}
}

void
jobq_sandbox_check(Node *statement)
{
	if (!InSecurityRestrictedOperation())
		return;
	check_types(statement);
	if (depth > 0)
		check_command(statement);
}
