/*-------------------------------------------------------------------------
 *
 * sandbox.c
 *	  Code of a queue's owner in the session of another role.
 *
 * Payload checks are called by whoever enqueues, backoff functions by whoever
 * fails a job.  They run as the queue's owner in a security-restricted
 * operation, as the functions of an index do, so that nothing of what they do
 * to the session outlives them.
 *
 * One thing would: a type in the temporary schema, which is looked up before
 * those of pg_catalog.  A domain pg_temp.text has its CHECK evaluated by
 * whoever writes 'x'::text.  New releases of the server forbid that (15.20 and
 * 17.12 do, 18.6 does not), and here it is forbidden for all; like there, in
 * every security-restricted operation.  Relations have always been forbidden,
 * and nothing else is looked up in that schema.
 *
 * IDENTIFICATION
 *	  src/sandbox.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog.h"
#include "sandbox.h"

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

void
jobq_sandbox_enter(JobqSandbox *sandbox, Oid owner)
{
	GetUserIdAndSecContext(&sandbox->userid, &sandbox->sec_context);
	sandbox->guc_nest_level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner, sandbox->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	jobq_pin_search_path();
	sandbox->snapshot = !ActiveSnapshotSet();
	if (sandbox->snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
}

void
jobq_sandbox_leave(const JobqSandbox *sandbox)
{
	if (sandbox->snapshot)
		PopActiveSnapshot();
	AtEOXact_GUC(false, sandbox->guc_nest_level);
	SetUserIdAndSecContext(sandbox->userid, sandbox->sec_context);
}

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

/* A range type brings a multirange type along, which may be elsewhere. */
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

void
jobq_sandbox_check(Node *statement)
{
	if (!InSecurityRestrictedOperation())
		return;
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
