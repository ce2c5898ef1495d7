/*-------------------------------------------------------------------------
 *
 * table.c
 *	  Rows of jobq's tables by the table and index access methods.
 *
 * Triggers and constraints are not run: the tables have none.
 *
 * IDENTIFICATION
 *	  src/base/table.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/table.h"

#include "base/extension.h"
#include "base/row_holder.h"
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* jobq_table_insert_many() inserts this many rows, or bytes, at a time. */
#define BATCH_ROWS 128
#define BATCH_BYTES 65536

/*
 * Opens a table for reading and writing rows.  ROW EXCLUSIVE is the strongest
 * lock it takes, and it is kept to the end of the transaction.  Allocated in
 * the current memory context.
 */
JobqTable *
jobq_table_open(JobqRelation relation)
{
	return jobq_table_open_oid(jobq_relation_oid(relation));
}

/* The same by OID. Raises 55000 if the table is gone with the extension. */
JobqTable *
jobq_table_open_oid(Oid relid)
{
	JobqTable  *table = palloc0(sizeof(JobqTable));

	table->rel = jobq_relation_open_oid(relid, RowExclusiveLock);
	table->context = CurrentMemoryContext;
	return table;
}

/*
 * Gets the executor ready to make entries in the table's indexes, for indexes
 * or operations that index_entry.c does not handle. `speculative` is for
 * inserts that check for duplicates.
 */
static void
prepare_executor(JobqTable *table, bool speculative)
{
	MemoryContext oldcontext;

	if (table->result_rel != NULL &&
		(table->speculative || !speculative))
		return;
	oldcontext = MemoryContextSwitchTo(table->context);
	if (table->result_rel != NULL)
		ExecCloseIndices(table->result_rel);
	else
		table->estate = CreateExecutorState();
	table->result_rel = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result_rel, table->rel, 1, NULL, 0);
	ExecOpenIndices(table->result_rel, speculative);
	table->speculative = speculative;
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Frees everything that belongs to the table, including slots; the lock stays.
 */
void
jobq_table_close(JobqTable *table)
{
	if (table->companion != NULL)
		jobq_table_close(table->companion);
	while (table->slots != NIL)
	{
		ExecDropSingleTupleTableSlot(linitial(table->slots));
		table->slots = list_delete_first(table->slots);
	}
	if (table->write_slot != NULL)
		ExecDropSingleTupleTableSlot(table->write_slot);
	if (table->version_slot != NULL)
		ExecDropSingleTupleTableSlot(table->version_slot);
	if (table->indexes != NULL)
		jobq_indexes_close(table->indexes);
	if (table->result_rel != NULL)
	{
		ExecCloseIndices(table->result_rel);
		FreeExecutorState(table->estate);
	}
	table_close(table->rel, NoLock);
	pfree(table);
}

/* The file in which TIDs of the table's rows are valid. */
Oid
jobq_table_storage(const JobqTable *table)
{
	return table->rel->rd_rel->relfilenode;
}

/* A slot for rows of the table; it lives until the table is closed. */
TupleTableSlot *
jobq_table_slot(JobqTable *table)
{
	MemoryContext oldcontext;
	TupleTableSlot *slot = table->spare;

	table->spare = NULL;
	if (slot != NULL)
		return slot;
	oldcontext = MemoryContextSwitchTo(table->context);
	slot = table_slot_create(table->rel, NULL);
	table->slots = lappend(table->slots, slot);
	MemoryContextSwitchTo(oldcontext);
	return slot;
}

/* Empties a slot that is not needed any more, and keeps it for jobq_table_slot(). */
void
jobq_table_put_slot_back(JobqTable *table, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	table->spare = slot;
}

/* A slot to form new rows in. */
static TupleTableSlot *
make_write_slot(JobqTable *table, const TupleTableSlotOps *ops)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(table->context);
	TupleTableSlot *slot =
	MakeSingleTupleTableSlot(RelationGetDescr(table->rel), ops);

	MemoryContextSwitchTo(oldcontext);
	slot->tts_tableOid = RelationGetRelid(table->rel);
	return slot;
}

static void
assert_not_null(JobqTable *table, const bool *nulls)
{
#ifdef USE_ASSERT_CHECKING
	TupleDesc	desc = RelationGetDescr(table->rel);

	for (int i = 0; i < desc->natts; i++)
		Assert(!TupleDescAttr(desc, i)->attnotnull || !nulls[i]);
#endif
}

/* Marks the slot's values as a row. */
static void
finish_row(JobqTable *table, TupleTableSlot *slot)
{
	assert_not_null(table, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
}

/* Puts a new row into the slot for writing. */
static TupleTableSlot *
form_row(JobqTable *table, const Datum *values, const bool *nulls)
{
	int			natts = RelationGetDescr(table->rel)->natts;
	TupleTableSlot *slot;

	if (table->write_slot == NULL)
		table->write_slot = make_write_slot(table, &TTSOpsVirtual);
	slot = table->write_slot;
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, natts * sizeof(bool));
	finish_row(table, slot);
	return slot;
}

/*
 * The same for a new version of a row.  The indexes seldom ask for its columns, so it is
 * formed as a tuple at once, which the table would copy the values for otherwise.
 */
static TupleTableSlot *
form_version(JobqTable *table, const Datum *values, const bool *nulls)
{
	MemoryContext oldcontext;

	if (table->version_slot == NULL)
		table->version_slot = make_write_slot(table, &TTSOpsHeapTuple);
	assert_not_null(table, nulls);
	oldcontext = MemoryContextSwitchTo(table->context);
	ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(table->rel),
									   unconstify(Datum *, values),
									   unconstify(bool *, nulls)),
					   table->version_slot, true);
	MemoryContextSwitchTo(oldcontext);
	return table->version_slot;
}

/* Makes the entries of new rows in all of the table's indexes. */
static void
insert_index_entries(JobqTable *table, TupleTableSlot **slots, int nslots)
{
	if (table->indexes == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(table->context);

		table->indexes = jobq_indexes_open(table->rel);
		MemoryContextSwitchTo(oldcontext);
	}
	if (jobq_indexes_insert(table->indexes, slots, nslots))
		return;

	prepare_executor(table, false);
	for (int i = 0; i < nslots; i++)
	{
		list_free(jobq_insert_index_tuples(table->result_rel, slots[i],
										   table->estate, false, false, NULL,
										   NIL));
		ResetPerTupleExprContext(table->estate);
	}
}

/* Inserts a row.  A duplicate raises 23505 as usual. */
void
jobq_table_insert(JobqTable *table, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = form_row(table, values, nulls);

	table_tuple_insert(table->rel, slot, GetCurrentCommandId(true), 0, NULL);
	table->written = slot->tts_tid;
	insert_index_entries(table, &slot, 1);
}

/*
 * Inserts rows that a function gives one by one, many of them at a time: a
 * page of them with one WAL record.
 */
void
jobq_table_insert_many(JobqTable *table, int nrows, JobqRowSource source,
					   void *arg)
{
	TupleDesc	desc = RelationGetDescr(table->rel);
	int			nslots = Min(nrows, BATCH_ROWS);
	TupleTableSlot **slots = palloc(nslots * sizeof(TupleTableSlot *));
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq rows",
												  ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < nslots; i++)
		slots[i] = make_write_slot(table, &TTSOpsVirtual);
	while (nrows > 0)
	{
		MemoryContext oldcontext;
		Size		bytes = 0;
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		while (n < nslots && nrows > 0 && bytes < BATCH_BYTES)
		{
			TupleTableSlot *slot = ExecClearTuple(slots[n++]);

			source(arg, slot->tts_values, slot->tts_isnull);
			finish_row(table, slot);
			bytes += heap_compute_data_size(desc, slot->tts_values,
											slot->tts_isnull);
			nrows--;
		}
		oldcontext = MemoryContextSwitchTo(context);
		table_multi_insert(table->rel, slots, n, GetCurrentCommandId(true), 0,
						   NULL);
		insert_index_entries(table, slots, n);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(context);
	}
	for (int i = 0; i < nslots; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	MemoryContextDelete(context);
	pfree(slots);
}

/* Whether two indexes have the same columns. */
static bool
have_same_columns(const IndexInfo *a, const IndexInfo *b)
{
	return a->ii_NumIndexKeyAttrs == b->ii_NumIndexKeyAttrs &&
		memcmp(a->ii_IndexAttrNumbers, b->ii_IndexAttrNumbers,
			   a->ii_NumIndexKeyAttrs * sizeof(AttrNumber)) == 0;
}

/*
 * The unique indexes with the columns of `arbiter`: while REINDEX CONCURRENTLY
 * rebuilds it there are two of them, and a duplicate that only the other one
 * shows is not an error either.
 */
static List *
equal_indexes(JobqTable *table, Oid arbiter)
{
	ResultRelInfo *rel = table->result_rel;
	const IndexInfo *like = NULL;
	List	   *result = NIL;

	for (int i = 0; i < rel->ri_NumIndices; i++)
	{
		if (RelationGetRelid(rel->ri_IndexRelationDescs[i]) == arbiter)
			like = rel->ri_IndexRelationInfo[i];
	}
	if (like == NULL)
		elog(ERROR, "index %u is not one of table \"%s\"", arbiter,
			 RelationGetRelationName(table->rel));
	for (int i = 0; i < rel->ri_NumIndices; i++)
	{
		const IndexInfo *info = rel->ri_IndexRelationInfo[i];

		if (info->ii_Unique && have_same_columns(info, like))
			result = lappend_oid(result,
								 RelationGetRelid(rel->ri_IndexRelationDescs[i]));
	}
	return result;
}

/*
 * Inserts a row unless there is one with the same key in the unique index
 * `arbiter`; waits for transactions that are inserting or deleting such a
 * row.  If there is one, returns false, and its TID in *conflict.
 *
 * The protocol is that of INSERT ... ON CONFLICT DO NOTHING (ExecInsert).  The
 * index must have been looked up after the table was opened.
 */
bool
jobq_table_insert_unique(JobqTable *table, Oid arbiter, const Datum *values,
						 const bool *nulls, ItemPointer conflict)
{
	List	   *arbiters;
	TupleTableSlot *slot;
	bool		inserted = false;

	prepare_executor(table, true);
	arbiters = equal_indexes(table, arbiter);
	for (;;)
	{
		uint32		token;
		bool		speculative_conflict = false;

		CHECK_FOR_INTERRUPTS();
		slot = form_row(table, values, nulls);
		if (!jobq_check_index_constraints(table->result_rel, slot,
										  table->estate, conflict, arbiters))
			break;

		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
		table_tuple_insert_speculative(table->rel, slot,
									   GetCurrentCommandId(true), 0, NULL,
									   token);
		list_free(jobq_insert_index_tuples(table->result_rel, slot,
										   table->estate, false, true,
										   &speculative_conflict, arbiters));
		table_tuple_complete_speculative(table->rel, slot, token,
										 !speculative_conflict);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		table->written = slot->tts_tid;
		ResetPerTupleExprContext(table->estate);
		if (!speculative_conflict)
		{
			inserted = true;
			break;
		}
	}
	list_free(arbiters);
	return inserted;
}

/* Makes the entries of a row's new version, which is not on its page. */
static void
insert_updated_entries(JobqTable *table, TupleTableSlot *slot,
					   JobqUpdateIndexes indexes)
{
	prepare_executor(table, false);
	list_free(jobq_update_index_tuples(table->result_rel, slot,
									   table->estate, indexes));
	ResetPerTupleExprContext(table->estate);
}

/* Replaces a row that this transaction has locked. */
void
jobq_table_update(JobqTable *table, TupleTableSlot *old, const Datum *values,
				  const bool *nulls)
{
	ItemPointerData tid = old->tts_tid;
	TupleTableSlot *slot;
	JobqUpdateIndexes indexes;

	slot = form_version(table, values, nulls);
	simple_table_tuple_update(table->rel, &tid, slot, InvalidSnapshot,
							  &indexes);
	table->written = slot->tts_tid;
	if (jobq_needs_index_insert(indexes))
		insert_updated_entries(table, slot, indexes);
}

/* The result of an attempt to change a row that was not locked. */
static JobqFindResult
changed(TM_Result result)
{
	switch (result)
	{
		case TM_Ok:
			return JOBQ_FOUND;
		case TM_BeingModified:
		case TM_WouldBlock:
			return JOBQ_BUSY;
		case TM_Updated:
		case TM_Deleted:
		case TM_SelfModified:
			return JOBQ_MISSING;
		default:
			elog(ERROR, "unexpected result of changing a tuple: %d", result);
			return JOBQ_MISSING;	/* keep compiler quiet */
	}
}

/*
 * Replaces a row as it was seen, without having locked it.  JOBQ_BUSY: another
 * transaction has locked or is changing it.  JOBQ_MISSING: it has been changed.
 */
JobqFindResult
jobq_table_try_update(JobqTable *table, TupleTableSlot *old,
					  const Datum *values, const bool *nulls)
{
	ItemPointerData tid = old->tts_tid;
	TupleTableSlot *slot;
	TM_FailureData failure;
	LockTupleMode lockmode;
	JobqUpdateIndexes indexes;
	JobqFindResult result;

	for (bool wait = false;; wait = true)
	{
		slot = form_version(table, values, nulls);
		result = changed(table_tuple_update(table->rel, &tid, slot,
											GetCurrentCommandId(true),
											InvalidSnapshot, InvalidSnapshot,
											wait, &failure, &lockmode,
											&indexes));
		if (result != JOBQ_BUSY || wait || !jobq_row_is_locked_by_me(old))
			break;
	}
	if (result == JOBQ_FOUND)
	{
		table->written = slot->tts_tid;
		if (jobq_needs_index_insert(indexes))
			insert_updated_entries(table, slot, indexes);
	}
	return result;
}

/*
 * Deletes a row as it was seen, without having locked it.  The result is that
 * of jobq_table_try_update().
 */
JobqFindResult
jobq_table_try_delete(JobqTable *table, TupleTableSlot *old)
{
	ItemPointerData tid = old->tts_tid;
	TM_FailureData failure;
	JobqFindResult result;

	for (bool wait = false;; wait = true)
	{
		result = changed(table_tuple_delete(table->rel, &tid,
											GetCurrentCommandId(true),
											InvalidSnapshot, InvalidSnapshot,
											wait, &failure, false));
		if (result != JOBQ_BUSY || wait || !jobq_row_is_locked_by_me(old))
			return result;
	}
}

/* Deletes a row that this transaction has locked. */
void
jobq_table_delete(JobqTable *table, TupleTableSlot *old)
{
	ItemPointerData tid = old->tts_tid;

	simple_table_tuple_delete(table->rel, &tid, InvalidSnapshot);
}
