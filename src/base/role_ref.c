/*-------------------------------------------------------------------------
 *
 * role_ref.c
 *	  The type of the columns that hold a role: jobq_store.role_ref.
 *
 * A value is a role's OID, as in regrole, so it follows ALTER ROLE RENAME, is
 * compared as an oid, and is carried over by pg_upgrade, which keeps the OIDs of
 * roles.  In text and binary form it is a name.  DROP ROLE does not know of jobq,
 * so there can be OIDs that no role has; regrole would write such an OID as a
 * number, and read it wherever a dump is restored as whichever role has it
 * there, whose code the jobs of the dropped one would then be.  Here it is
 * written as '-', nobody, and so is a name read that no role has: a dump loses
 * an owner, and not the table.
 *
 * IDENTIFICATION
 *	  src/base/role_ref.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

/* How nobody is written; a role of that name is quoted. */
#define NOBODY "-"

PG_FUNCTION_INFO_V1(jobq_role_ref_in);
PG_FUNCTION_INFO_V1(jobq_role_ref_out);
PG_FUNCTION_INFO_V1(jobq_role_ref_recv);
PG_FUNCTION_INFO_V1(jobq_role_ref_send);
PG_FUNCTION_INFO_V1(jobq_skip_row);

/*
 * The role with a name, which may be quoted; a number is a name like others.
 * InvalidOid if there is none.  Scribbles on its argument.  Raises 42602 for
 * what is no name.
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

/* The name of a role, quoted where SQL wants it. */
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

/* The binary form is the text, too: an OID means nothing to another server. */
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

/* A BEFORE trigger whose WHEN says which rows are not wanted. */
Datum
jobq_skip_row(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("skip_row() must be called as a trigger")));
	return PointerGetDatum(NULL);
}
