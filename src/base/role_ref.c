/*-------------------------------------------------------------------------
 *
 * role_ref.c
 *	  The type of the columns that hold a role: jobq_store.role_ref.
 *
 * A value is a role's OID, as in regrole: ALTER ROLE RENAME does not affect it,
 * it is compared as an oid, and pg_upgrade preserves it, since it keeps the OIDs
 * of roles.  In text and binary form it is a name.  DROP ROLE does not know of
 * jobq, so there can be OIDs that no role has.  regrole writes such an OID as a
 * number.  Where the dump is restored, another role may have that OID, and would
 * run the dropped role's jobs.  Here such an OID is written as '-', nobody, and a
 * name that no role has is read as nobody: the dump loses an owner, not the table.
 *
 * IDENTIFICATION
 *	  src/base/role_ref.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

/* The text form of nobody; a role of that name is quoted. */
#define NOBODY "-"

PG_FUNCTION_INFO_V1(jobq_role_ref_in);
PG_FUNCTION_INFO_V1(jobq_role_ref_out);
PG_FUNCTION_INFO_V1(jobq_role_ref_recv);
PG_FUNCTION_INFO_V1(jobq_role_ref_send);
PG_FUNCTION_INFO_V1(jobq_skip_row);

/*
 * The role with a name, which may be quoted; a number is a name like others.
 * InvalidOid if there is none.  Scribbles on its argument.  Raises 42602 if
 * it is not a name.
 */
static Oid
role_by_name(char *text)
{
	List	   *names;
	Oid			role;

	if (strcmp(text, NOBODY) == 0)
		return InvalidOid;
	if (!SplitIdentifierString(text, '.', &names) || list_length(names) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid name syntax")));
	role = get_role_oid(linitial(names), true);
	list_free(names);
	return role;
}

/* The name of a role, quoted if SQL requires it. */
static const char *
name_of_role(Oid role)
{
	char	   *name = OidIsValid(role) ? GetUserNameFromId(role, true) : NULL;

	return name != NULL ? quote_identifier(name) : NOBODY;
}

Datum
jobq_role_ref_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(role_by_name(pstrdup(PG_GETARG_CSTRING(0))));
}

Datum
jobq_role_ref_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(pstrdup(name_of_role(PG_GETARG_OID(0))));
}

/*
 * The binary form is the text as well: an OID means nothing to another server.
 */
Datum
jobq_role_ref_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int			length;

	PG_RETURN_OID(role_by_name(pq_getmsgtext(buffer,
											 buffer->len - buffer->cursor,
											 &length)));
}

Datum
jobq_role_ref_send(PG_FUNCTION_ARGS)
{
	const char *name = name_of_role(PG_GETARG_OID(0));
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendtext(&buffer, name, strlen(name));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* A BEFORE trigger whose WHEN selects the rows to leave out. */
Datum
jobq_skip_row(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("skip_row() must be called as a trigger")));
	return PointerGetDatum(NULL);
}
