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

/*
 * Visits up to `max` rows with the key, or of all rows if that is NULL.  Returns how
 * many there were.
 */
static int
visit_rows(JobqRelation relation, JobqRelation index, ScanKey key, int max,
		   JobqValuesVisitor visit, void *arg)
{
	Relation	rel = jobq_relation_open(relation);
	int			natts = RelationGetDescr(rel)->natts;
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	Snapshot	snapshot = RegisterSnapshot(newest_snapshot(rel));
	SysScanDesc scan;
	HeapTuple	tuple;
	int			n = 0;

	PushActiveSnapshot(snapshot);
	scan = systable_beginscan(rel, key != NULL ? jobq_relation_oid(index) :
							  InvalidOid, key != NULL, snapshot,
							  key != NULL ? 1 : 0, key);
	while (n < max && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		n++;
		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		visit(arg, values, nulls);
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	pfree(values);
	pfree(nulls);
	return n;
}

void
jobq_visit_rows(const JobqLookup *lookup, Datum value, JobqValuesVisitor visit,
				void *arg)
{
	(void) jobq_visit_some_rows(lookup, value, INT_MAX, visit, arg);
}

/* The same for up to `max` rows; returns how many there were. */
int
jobq_visit_some_rows(const JobqLookup *lookup, Datum value, int max,
					 JobqValuesVisitor visit, void *arg)
{
	ScanKeyData key;

	ScanKeyInit(&key, lookup->column, BTEqualStrategyNumber, lookup->equals,
				value);
	return visit_rows(lookup->relation, lookup->index, &key, max, visit, arg);
}

void
jobq_visit_all_rows(JobqRelation relation, JobqValuesVisitor visit, void *arg)
{
	(void) visit_rows(relation, relation, NULL, INT_MAX, visit, arg);
}
