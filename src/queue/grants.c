/*-------------------------------------------------------------------------
 *
 * grants.c
 *	  Who may use jobq, and who may do what with a queue.
 *
 * The right to use jobq consists of ordinary privileges on schema jobq, its
 * views and functions, so that \dp shows them, and pg_dump and DROP OWNED
 * handle them.  Privileges on a queue are rows of jobq_store.queue_grant,
 * which every function checks (queue.c).
 *
 * IDENTIFICATION
 *	  src/queue/grants.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/rights.h"
#include "base/statement.h"
#include "base/table_find.h"
#include "compat.h"
#include "jobq.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "shared/note.h"
#include "shared/queue_change.h"

#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(jobq_grant_usage);
PG_FUNCTION_INFO_V1(jobq_revoke_usage);
PG_FUNCTION_INFO_V1(jobq_grant_queue);
PG_FUNCTION_INFO_V1(jobq_revoke_queue);

/*
 * The routines that grant_usage() grants, as regprocedure output. $1 is
 * may_create, $2 may_read.  Functions that administer the service are never
 * granted; those that store SQL or the name of a function to be run later need
 * may_create.  In jobq_store, only functions called by the views are granted,
 * since the privileges of functions in a view are checked for the view's user.
 * may_read_all() exists only for its privilege: a role that may execute it
 * sees every queue and schedule.
 */
static const char routines_query[] =
"SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text"
" FROM pg_catalog.pg_proc AS p"
" JOIN pg_catalog.pg_namespace AS n"
" ON n.oid OPERATOR(pg_catalog.=) p.pronamespace"
" WHERE (n.nspname OPERATOR(pg_catalog.=) 'jobq'"
" AND p.proname OPERATOR(pg_catalog.<>) ALL"
" ('{grant_usage,revoke_usage,start,stop,import_pg_cron}'::pg_catalog.name[])"
" AND ($1 OR p.proname OPERATOR(pg_catalog.<>) ALL"
" ('{create_queue,create_limit,schedule,run}'::pg_catalog.name[])))"
" OR (n.nspname OPERATOR(pg_catalog.=) 'jobq_store'"
" AND p.proname OPERATOR(pg_catalog.=) ANY"
" ('{may_read,may_name,readable_queues,may_see_role,visible_roles,job_state,"
"is_kept,real_run_at,worker_slots,limit_running,groups,health_findings}'"
"::pg_catalog.name[]))"
" OR ($2 AND n.nspname OPERATOR(pg_catalog.=) 'jobq_store'"
" AND p.proname OPERATOR(pg_catalog.=) 'may_read_all')"
" ORDER BY p.oid";

static const struct
{
	const char *name;
	int			bit;
}			privilege_names[] = {
	{"enqueue", JOBQ_PRIV_ENQUEUE},
	{"consume", JOBQ_PRIV_CONSUME},
	{"manage", JOBQ_PRIV_MANAGE},
	{"read", JOBQ_PRIV_READ},
};

/* The quoted name of a role; raises 42704 if there is none. */
static const char *
quoted_role(Oid role)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", role)));
	return quote_identifier(GetUserNameFromId(role, false));
}

/*
 * Serializes concurrent grants and revokes, which would otherwise fail with
 * "tuple concurrently updated".
 */
static void
lock_privileges(void)
{
	LockDatabaseObject(NamespaceRelationId,
					   get_namespace_oid(JOBQ_SCHEMA, false), 0,
					   ShareUpdateExclusiveLock);
}

/*
 * The quoted name of the role in the argument `role`, for administrators, with
 * privileges locked.  Raises 22004, 42501, 42704.
 */
static const char *
lock_role_argument(FunctionCallInfo fcinfo)
{
	static const char action[] = "grant or revoke the use of jobq";

	jobq_require_argument(fcinfo, 0, "role");
	jobq_require_administrator(action);
	(void) quoted_role(PG_GETARG_OID(0));	/* it must exist */
	lock_privileges();
	jobq_require_administrator(action);
	return quoted_role(PG_GETARG_OID(0));
}

static void
grant(const char *privileges, const char *role)
{
	(void) jobq_statement_run(psprintf("GRANT %s TO %s", privileges, role), 0,
							  NULL, NULL);
}

/* grant_usage(role, may_create, may_read): adds to what the role has. */
Datum
jobq_grant_usage(PG_FUNCTION_ARGS)
{
	const char *role;
	Oid			types[] = {BOOLOID, BOOLOID};
	Datum		may[] = {BoolGetDatum(jobq_flag_argument(fcinfo, 1, false)),
	BoolGetDatum(jobq_flag_argument(fcinfo, 2, false))};
	StringInfoData routines;
	uint64		nroutines;
	JobqElevation elevation;

	jobq_require_primary("jobq.grant_usage()");
	role = lock_role_argument(fcinfo);
	jobq_elevate(&elevation);
	SPI_connect();
	grant("USAGE ON SCHEMA jobq", role);
	grant("SELECT ON ALL TABLES IN SCHEMA jobq", role);
	grant("USAGE ON TYPE jobq.job", role);
	nroutines = jobq_statement_query(routines_query, lengthof(may), types,
									 may);
	initStringInfo(&routines);
	for (uint64 i = 0; i < nroutines; i++)
		appendStringInfo(&routines, "%s%s", i > 0 ? ", " : "",
						 SPI_getvalue(SPI_tuptable->vals[i],
									  SPI_tuptable->tupdesc, 1));
	grant(psprintf("EXECUTE ON ROUTINE %s", routines.data), role);
	SPI_finish();
	jobq_restore(&elevation);
	PG_RETURN_VOID();
}

/*
 * revoke_usage(role): revokes all of it, and what default privileges have given the
 * role beside.
 */
Datum
jobq_revoke_usage(PG_FUNCTION_ARGS)
{
	static const char *const statements[] = {
		"REVOKE ALL ON ALL ROUTINES IN SCHEMA jobq, jobq_store FROM %s",
		"REVOKE ALL ON ALL TABLES IN SCHEMA jobq, jobq_store FROM %s",
		"REVOKE ALL ON ALL SEQUENCES IN SCHEMA jobq_store FROM %s",
		"REVOKE ALL ON TYPE jobq.job, jobq_store.role_ref FROM %s",
		"REVOKE ALL ON SCHEMA jobq, jobq_store FROM %s",
	};
	const char *role;
	JobqElevation elevation;

	jobq_require_primary("jobq.revoke_usage()");
	role = lock_role_argument(fcinfo);
	jobq_elevate(&elevation);
	SPI_connect();
	for (int i = 0; i < lengthof(statements); i++)
	{
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, statements[i], role);
		(void) jobq_statement_run(sql.data, 0, NULL, NULL);
	}
	SPI_finish();
	jobq_restore(&elevation);
	PG_RETURN_VOID();
}

/* The bit mask of a list of privileges; raises 22023. */
static int
read_privileges(ArrayType *array)
{
	int			nelements;
	Datum	   *elements = jobq_array_elements("privileges", array, TEXTOID, NULL,
											   &nelements);
	int			mask = 0;

	for (int i = 0; i < nelements; i++)
	{
		char	   *name = TextDatumGetCString(elements[i]);
		int			bit = 0;

		for (int j = 0; j < lengthof(privilege_names); j++)
		{
			if (pg_strcasecmp(name, privilege_names[j].name) == 0)
				bit = privilege_names[j].bit;
		}
		if (bit == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized queue privilege \"%s\"", name),
					 errhint("Available privileges: enqueue, consume, manage, read.")));
		mask |= bit;
	}
	return mask;
}

/*
 * Changes, inserts or deletes the row of a role's privileges on a queue.  The
 * queue's row is locked, so nobody else can change its grants.
 */
static void
write_grant(const JobqQueue *queue, Oid role, int privileges, bool grant)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_QUEUE_GRANT);
	Oid			indexid = jobq_relation_oid(JOBQ_IDX_QUEUE_GRANT);
	TupleTableSlot *slot = jobq_table_slot(table);
	Datum		values[Natts_queue_grant];
	bool		nulls[Natts_queue_grant] = {0};
	ScanKeyData keys[2];
	bool		found;
	int			old = 0;

	values[Anum_queue_grant_queue - 1] = Int32GetDatum(queue->id);
	values[Anum_queue_grant_role - 1] = ObjectIdGetDatum(role);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				values[Anum_queue_grant_queue - 1]);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_OIDEQ,
				values[Anum_queue_grant_role - 1]);
	found = jobq_table_find(table, indexid, keys, 2, JOBQ_WAIT,
							slot) == JOBQ_FOUND;
	if (found)
	{
		slot_getallattrs(slot);
		old = DatumGetInt32(slot->tts_values[Anum_queue_grant_privileges - 1]);
	}
	privileges = grant ? old | privileges : old & ~privileges;
	values[Anum_queue_grant_privileges - 1] = Int32GetDatum(privileges);
	if (!found && privileges != 0)
		jobq_table_insert(table, values, nulls);
	else if (found && privileges == 0)
		jobq_table_delete(table, slot);
	else if (found)
		jobq_table_update(table, slot, values, nulls);
	jobq_table_close(table);
	jobq_at_commit_queue_changed(queue->id, queue->owner);
}

/*
 * Grants a role privileges on a queue, or revokes them.  Allowed for the
 * queue's owner and administrators.
 */
static void
change_grant(const char *queue_name, Oid role, int privileges, bool grant)
{
	JobqLockedQueue locked;

	jobq_queue_lock(&locked, queue_name, JOBQ_PRIV_OWNER);
	(void) quoted_role(role);	/* it must exist still */
	if (privileges != 0)
		write_grant(locked.queue, role, privileges, grant);
	jobq_queue_recheck_locked(&locked, JOBQ_PRIV_OWNER);
	jobq_table_close(locked.table);
}

/*
 * Warns that the role that was granted something on a queue may not use jobq
 * at all; it would only get an uninformative error of the server.
 */
static void
notice_if_no_usage(Oid role)
{
	const char *name = quote_identifier(GetUserNameFromId(role, false));

	if (DatumGetBool(DirectFunctionCall3(has_schema_privilege_id_id,
										 ObjectIdGetDatum(role),
										 ObjectIdGetDatum(get_namespace_oid(JOBQ_SCHEMA, false)),
										 CStringGetTextDatum("USAGE"))))
		return;
	ereport(NOTICE,
			(errmsg("role %s may not use jobq yet", name),
			 errhint("A superuser or the owner of extension \"%s\" can allow that with jobq.grant_usage(%s).",
					 JOBQ_EXTENSION, quote_literal_cstr(name))));
}

static void
change_grant_of_arguments(FunctionCallInfo fcinfo, bool grant)
{
	Oid			role;

	jobq_begin_write(grant ? "jobq.grant_queue()" : "jobq.revoke_queue()");
	jobq_require_argument(fcinfo, 0, "queue");
	jobq_require_argument(fcinfo, 1, "role");
	jobq_require_argument(fcinfo, 2, "privileges");
	role = PG_GETARG_OID(1);
	(void) quoted_role(role);	/* it must exist */
	change_grant(text_to_cstring(PG_GETARG_TEXT_PP(0)), role,
				 read_privileges(PG_GETARG_ARRAYTYPE_P(2)), grant);
}

/* grant_queue(queue, role, privilege, ...) */
Datum
jobq_grant_queue(PG_FUNCTION_ARGS)
{
	change_grant_of_arguments(fcinfo, true);
	notice_if_no_usage(PG_GETARG_OID(1));
	PG_RETURN_VOID();
}

/* revoke_queue(queue, role, privilege, ...) */
Datum
jobq_revoke_queue(PG_FUNCTION_ARGS)
{
	change_grant_of_arguments(fcinfo, false);
	PG_RETURN_VOID();
}
