/*-------------------------------------------------------------------------
 *
 * owner_only.c
 *	  Keeps roles that may write to all tables from writing to those of jobq.
 *
 * The tables say which code runs as which role.  Members of pg_write_all_data
 * are no superusers, and would be if they could write there.
 *
 * IDENTIFICATION
 *	  src/base/owner_only.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(jobq_refuse_others);

/*
 * A BEFORE trigger for statements and for rows.  Raises 42501 for roles without
 * the privileges of the table's owner; superusers have them.  Changes nothing.
 */
Datum
jobq_refuse_others(PG_FUNCTION_ARGS)
{
	TriggerData *data;
	Relation	rel;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("refuse_others() must be called as a trigger")));
	data = (TriggerData *) fcinfo->context;
	rel = data->tg_relation;
	if (!has_privs_of_role(GetUserId(), rel->rd_rel->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s",
						RelationGetRelationName(rel)),
				 errdetail("Only the owner of the extension may write to the tables of jobq."),
				 errhint("Use the functions in schema jobq.")));
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event))
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ?
						   data->tg_newtuple : data->tg_trigtuple);
}
