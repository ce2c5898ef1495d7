/*-------------------------------------------------------------------------
 *
 * temporary.c
 *	  Removing the temporary objects of jobs that ran at top level.
 *
 * A job that runs at top level, like a procedure, can commit any number of
 * temporary tables.  To drop a table takes locks, and there may not be enough
 * of them to drop all in one transaction.  So this is done in portions, after
 * the job's outcome has been recorded, which it must not endanger.
 *
 * The server would remove the objects when the process exits, in a single
 * transaction.  If that fails, the next process with temporary objects in the
 * same backend slot must remove them first, and fails in the same way.
 *
 * IDENTIFICATION
 *	  bgworker/executor/temporary.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/temporary.h"

#include "bgworker/executor/session.h"
#include "bgworker/worker.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Number of tables and views that are dropped in a transaction. */
#define PORTION 100

static bool is_left = false;

/*
 * Adds tables and views of a schema to `objects`, up to PORTION of them, and
 * returns how many.  All other objects of relations depend on these, or are
 * few.
 */
static int
find_portion(Oid schema, ObjectAddresses *objects)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	int			n = 0;

	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while (n < PORTION && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		const FormData_pg_class *form = (Form_pg_class) GETSTRUCT(tuple);
		ObjectAddress object;

		if (form->relkind != RELKIND_RELATION &&
			form->relkind != RELKIND_PARTITIONED_TABLE &&
			form->relkind != RELKIND_VIEW)
			continue;
		ObjectAddressSet(object, RelationRelationId, form->oid);
		add_exact_object_address(&object, objects);
		n++;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return n;
}

/*
 * Removes a portion of the objects in a schema of this session, or all that are
 * left.  Returns whether to go on.  Needs a transaction.
 */
static bool
remove_portion(Oid schema)
{
	ObjectAddresses *objects = new_object_addresses();
	bool		more = find_portion(schema, objects) == PORTION;

	if (more)
		performMultipleDeletions(objects, DROP_CASCADE,
								 PERFORM_DELETION_INTERNAL |
								 PERFORM_DELETION_QUIETLY |
								 PERFORM_DELETION_SKIP_EXTENSIONS);
	else
		ResetTempTableNamespace();
	free_object_addresses(objects);
	return more;
}

/*
 * Removes the temporary objects of this session, if there are any.  If that
 * fails, the error is logged.
 */
void
jobq_temporary_remove(void)
{
	Oid			schema;
	Oid			toast_schema;
	volatile bool more = true;

	GetTempNamespaceState(&schema, &toast_schema);
	if (!OidIsValid(schema))
		return;
	PG_TRY();
	{
		while (more)
		{
			CHECK_FOR_INTERRUPTS();
			jobq_worker_begin();
			PushActiveSnapshot(GetTransactionSnapshot());
			more = remove_portion(schema);
			PopActiveSnapshot();
			CommitTransactionCommand();
		}
	}
	PG_CATCH();
	{
		jobq_session_log_error();
		is_left = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
}

bool
jobq_temporary_is_left(void)
{
	return is_left;
}
