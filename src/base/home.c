/*-------------------------------------------------------------------------
 *
 * home.c
 *	  Telling an installation from a copy of it.
 *
 * IDENTIFICATION
 *	  src/base/home.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/home.h"

#include "base/extension.h"
#include "jobq.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "miscadmin.h"

/*
 * The identity of this installation of the extension, as it is stored with
 * queues and schedules: the cluster's system identifier, mixed with the
 * extension's OID so that a dump restored in place counts as a copy. Needs a
 * transaction.
 */
int64
jobq_home_identifier(void)
{
	static Oid	known_schema = InvalidOid;
	static Oid	known_extension = InvalidOid;
	Oid			schema = get_namespace_oid(JOBQ_STORE_SCHEMA, true);

	if (schema != known_schema || !OidIsValid(known_extension))
	{
		known_extension = jobq_extension_oid();
		known_schema = schema;
	}
	return (int64) (GetSystemIdentifier() ^
					((uint64) known_extension << 32));
}

/* See home.h. */
bool
jobq_home_is(Datum system_identifier, Datum database)
{
	return DatumGetInt64(system_identifier) == jobq_home_identifier() &&
		DatumGetObjectId(database) == MyDatabaseId;
}

/* See home.h. */
bool
jobq_row_is_at_home(TupleTableSlot *row, AttrNumber system_identifier,
					AttrNumber database)
{
	bool		isnull;
	Datum		system = slot_getattr(row, system_identifier, &isnull);

	return jobq_home_is(system, slot_getattr(row, database, &isnull));
}
