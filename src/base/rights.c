/*-------------------------------------------------------------------------
 *
 * rights.c
 *	  Who may do everything, who may read everything, and working as the
 *	  extension's owner.
 *
 * IDENTIFICATION
 *	  src/base/rights.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/rights.h"

#include "base/extension.h"
#include "compat.h"
#include "jobq.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/syscache.h"

/* Whether a role may do everything: superusers, the extension's owner. */
bool
jobq_is_administrator(Oid role)
{
	return superuser_arg(role) ||
		has_privs_of_role(role, jobq_extension_owner());
}

void
jobq_require_administrator(const char *action)
{
	AcceptInvalidationMessages();
	if (!jobq_is_administrator(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s", action),
				 errdetail("Only superusers and the owner of the extension may do so.")));
}

/* See rights.h. */
void
jobq_require_set_role(Oid role)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", role)));
	if (!jobq_may_set_role(GetUserId(), role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be able to SET ROLE \"%s\"",
						GetUserNameFromId(role, false)),
				 errhint("Someone with ADMIN OPTION on the role can run GRANT %s TO %s.",
						 quote_identifier(GetUserNameFromId(role, false)),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* See rights.h. */
bool
jobq_may_run_as(Oid role)
{
	return jobq_may_set_role(GetUserId(), role) &&
		(!superuser_arg(role) || superuser());
}

/*
 * The function whose EXECUTE privilege lets a role read everything; see
 * grants.c.  InvalidOid if it is missing.
 */
static Oid
read_all_function(void)
{
	static Oid	function = InvalidOid;
	static Oid	of_schema = InvalidOid;
	Oid			schema = get_namespace_oid(JOBQ_STORE_SCHEMA, true);

	if (schema != of_schema || !OidIsValid(function))
	{
		oidvector  *types = buildoidvector(NULL, 0);

		function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
								   CStringGetDatum("may_read_all"),
								   PointerGetDatum(types),
								   ObjectIdGetDatum(schema));
		of_schema = schema;
	}
	return function;
}

/*
 * Whether a role may see every queue and schedule: administrators, and
 * roles with grant_usage(may_read).
 */
bool
jobq_reads_all(Oid role)
{
	Oid			function;

	if (jobq_is_administrator(role))
		return true;
	function = read_all_function();
	return OidIsValid(function) && jobq_may_execute(function, role);
}

/* See rights.h. */
bool
jobq_may_call(const char *function, Oid role)
{
	Oid			schema = get_namespace_oid(JOBQ_SCHEMA, true);
	CatCList   *functions = SearchSysCacheList1(PROCNAMEARGSNSP,
												CStringGetDatum(function));
	bool		result = false;

	for (int i = 0; i < functions->n_members && !result; i++)
	{
		Form_pg_proc proc =
		(Form_pg_proc) GETSTRUCT(&functions->members[i]->tuple);

		result = proc->pronamespace == schema &&
			jobq_may_execute(proc->oid, role);
	}
	ReleaseSysCacheList(functions);
	return result;
}

/* Sets a search_path that nobody can put objects into, on the current level of
 * settings. */
void
jobq_pin_search_path(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/*
 * Becomes the extension's owner, with a search_path that nobody else can put
 * objects into, until jobq_restore().  An error in between undoes it with the
 * (sub)transaction.  For SQL of jobq's own only, never for users' code.
 */
void
jobq_elevate(JobqElevation *elevation)
{
	GetUserIdAndSecContext(&elevation->userid, &elevation->sec_context);
	elevation->guc_nest_level = NewGUCNestLevel();
	SetUserIdAndSecContext(jobq_extension_owner(),
						   elevation->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE);
	jobq_pin_search_path();
}

void
jobq_restore(const JobqElevation *elevation)
{
	AtEOXact_GUC(false, elevation->guc_nest_level);
	SetUserIdAndSecContext(elevation->userid, elevation->sec_context);
}
