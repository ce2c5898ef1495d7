/*-------------------------------------------------------------------------
 *
 * dependents.c
 *	  What depends on objects in the session's temporary schema.
 *
 * A column of a temporary table's row type, a function's argument, a default that
 * calls a temporary function, a trigger on a temporary table: as long as another
 * role has such an object, the session can neither drop nor alter its own.  The
 * server lets every role that runs in the session make them.
 *
 * All of them have rows in pg_depend, but many are written after the hook for access
 * to objects has been called.  So they are looked for when the code has ended, from
 * the schema on.  That reads what depends on the session's temporary objects, and is
 * only done after code that has changed the catalogs.
 *
 * IDENTIFICATION
 *	  src/base/dependents.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/dependents.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* An object, without its columns. */
typedef struct Object
{
	Oid			catalog;
	Oid			object;
} Object;

/* The objects reached so far, each once. */
typedef struct Walk
{
	HTAB	   *reached;
	List	   *objects;
	CommandId	since;
} Walk;

/*
 * Whether the row is of the transaction's commands since that one.  Rows that the
 * caller has written are older: there is a new command after such rows, and before
 * each of the code's.
 */
static bool
is_new(const Walk *walk, HeapTuple tuple)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)) &&
		HeapTupleHeaderGetCmin(tuple->t_data) >= walk->since;
}

static void
refuse(const FormData_pg_depend *row)
{
	ObjectAddress object;
	ObjectAddress temporary;

	ObjectAddressSubSet(object, row->classid, row->objid, row->objsubid);
	ObjectAddressSubSet(temporary, row->refclassid, row->refobjid,
						row->refobjsubid);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot make an object depend on a temporary object within security-restricted operation"),
			 errdetail("%s depends on %s.",
					   getObjectDescription(&object, false),
					   getObjectDescription(&temporary, false))));
}

static void
reach(Walk *walk, Oid catalog, Oid object)
{
	Object		key = {catalog, object};
	Object	   *entry;
	bool		found;

	entry = hash_search(walk->reached, &key, HASH_ENTER, &found);
	if (!found)
		walk->objects = lappend(walk->objects, entry);
}

/* Reaches what depends on an object. */
static void
follow(Walk *walk, Relation depend, const Object *object)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->catalog));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->object));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		if (is_new(walk, tuple))
			refuse(row);
		reach(walk, row->classid, row->objid);
	}
	systable_endscan(scan);
}

/* Follows all there is, from the schema on, in the current memory context. */
static void
walk_from(Oid schema, CommandId since)
{
	Walk		walk = {.since = since};
	HASHCTL		ctl = {
		.keysize = sizeof(Object),
		.entrysize = sizeof(Object),
		.hcxt = CurrentMemoryContext,
	};
	Relation	depend = table_open(DependRelationId, AccessShareLock);

	walk.reached = hash_create("jobq dependents of temporary objects", 64,
							   &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	reach(&walk, NamespaceRelationId, schema);
	/* the list grows meanwhile */
	for (int next = 0; next < list_length(walk.objects); next++)
	{
		CHECK_FOR_INTERRUPTS();
		follow(&walk, depend, list_nth(walk.objects, next));
	}
	table_close(depend, AccessShareLock);
}

void
jobq_dependents_refuse(CommandId since)
{
	Oid			schema;
	Oid			toast_schema;
	MemoryContext context;
	MemoryContext oldcontext;

	GetTempNamespaceState(&schema, &toast_schema);
	if (!OidIsValid(schema))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext,
									"jobq dependents of temporary objects",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	walk_from(schema, since);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
