/*-------------------------------------------------------------------------
 *
 * visit.c
 *	  Reading all rows that have a value in an indexed column.
 *
 * IDENTIFICATION
 *	  src/base/visit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/visit.h"

#include "base/extension.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * A snapshot that sees everything committed and this transaction's own
 * changes.  Views also read rows in parallel workers, where nothing has been
 * written and only catalog snapshots are available.
 */
static Snapshot
newest_snapshot(Relation rel)
{
	if (IsInParallelMode())
		return GetCatalogSnapshot(RelationGetRelid(rel));
	CommandCounterIncrement();
	return GetLatestSnapshot();
}

/* Visits the rows with the key, or all rows if that is NULL. */
static void
visit_rows(JobqRelation relation, JobqRelation index, ScanKey key,
		   JobqValuesVisitor visit, void *arg)
{
	Relation	rel = jobq_relation_open(relation);
	int			natts = RelationGetDescr(rel)->natts;
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	Snapshot	snapshot = RegisterSnapshot(newest_snapshot(rel));
	SysScanDesc scan;
	HeapTuple	tuple;

	PushActiveSnapshot(snapshot);
	scan = systable_beginscan(rel, key != NULL ? jobq_relation_oid(index) :
							  InvalidOid, key != NULL, snapshot,
							  key != NULL ? 1 : 0, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		visit(arg, values, nulls);
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	pfree(values);
	pfree(nulls);
}

void
jobq_visit_rows(const JobqLookup *lookup, Datum value, JobqValuesVisitor visit,
				void *arg)
{
	ScanKeyData key;

	ScanKeyInit(&key, lookup->column, BTEqualStrategyNumber, lookup->equals,
				value);
	visit_rows(lookup->relation, lookup->index, &key, visit, arg);
}

void
jobq_visit_all_rows(JobqRelation relation, JobqValuesVisitor visit, void *arg)
{
	visit_rows(relation, relation, NULL, visit, arg);
}
