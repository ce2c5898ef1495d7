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

/* The name of the type that a command creates, NIL if it creates none. */
static List *
created_type(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateDomainStmt:
			return castNode(CreateDomainStmt, statement)->domainname;
		case T_CreateEnumStmt:
			return castNode(CreateEnumStmt, statement)->typeName;
		case T_CreateRangeStmt:
			return castNode(CreateRangeStmt, statement)->typeName;
		case T_DefineStmt:
			if (castNode(DefineStmt, statement)->kind == OBJECT_TYPE)
				return castNode(DefineStmt, statement)->defnames;
			return NIL;
		default:
			/* a composite type is a relation */
			return NIL;
	}
}

void
jobq_sandbox_check(Node *statement)
{
	List	   *type;
	char	   *name;

	if (!InSecurityRestrictedOperation())
		return;
	type = created_type(statement);
	if (type != NIL &&
		isTempNamespace(QualifiedNameGetCreationNamespace(type, &name)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot create a type in a temporary schema within security-restricted operation")));
}
