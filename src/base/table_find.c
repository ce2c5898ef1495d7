/*-------------------------------------------------------------------------
 *
 * table_find.c
 *	  Finding rows by their keys, and locking them.
 *
 * As in executor/execReplication.c, rows are looked up with a dirty snapshot
 * and then locked.  So another transaction's change of a row is waited for
 * (or seen and skipped), never missed, whatever the isolation level.
 *
 * IDENTIFICATION
 *	  src/base/table_find.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/table_find.h"

#include "base/extension.h"
#include "base/row_holder.h"
#include "compat.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

/* What became of an attempt to lock a row version. */
static JobqFindResult
lock_result(TM_Result result)
{
	switch (result)
	{
		case TM_Ok:
			return JOBQ_FOUND;
		case TM_WouldBlock:
			return JOBQ_BUSY;
		case TM_Updated:
		case TM_Deleted:
			return JOBQ_MISSING;
		default:
			elog(ERROR, "unexpected result of tuple lock: %d", result);
			return JOBQ_MISSING;	/* keep compiler quiet */
	}
}

/*
 * Locks the row version at tid, as a snapshot saw it, without waiting.
 * JOBQ_MISSING if it is not the latest version any more.
 */
JobqFindResult
jobq_table_lock(JobqTable *table, ItemPointer tid, Snapshot snapshot,
				TupleTableSlot *slot)
{
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(table->rel, tid, snapshot, slot,
							  GetCurrentCommandId(false), LockTupleExclusive,
							  LockWaitSkip, 0, &failure);
	/* this command itself may have changed it since */
	if (result == TM_SelfModified || result == TM_Invisible)
		return JOBQ_MISSING;
	return lock_result(result);
}

/* Reads the row with the given keys into the slot, by the latest snapshot. */
static bool
read_latest(JobqTable *table, Relation index, ScanKey keys, int nkeys,
			TupleTableSlot *slot)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	IndexScanDesc scan = jobq_index_beginscan(table->rel, index, snapshot,
											  nkeys);
	bool		result;

	index_rescan(scan, keys, nkeys, NULL, 0);
	result = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	return result;
}

/*
 * Whether a row with the given keys is there by the latest snapshot.  A scan
 * with a dirty snapshot can miss a row that is updated during the scan: the
 * old version is dead when it is fetched, and the new one was not in the index
 * yet when its page was read.
 */
static bool
row_is_there(JobqTable *table, Relation index, ScanKey keys, int nkeys,
			 TupleTableSlot *slot)
{
	bool		result = read_latest(table, index, keys, nkeys, slot);

	ExecClearTuple(slot);
	return result;
}

/*
 * Whether to wait for a transaction that has inserted the row or is changing
 * or deleting it.  The filter sees the committed version of the row first, so that a
 * user without a right to it does not wait; with JOBQ_WAIT_IF_WANTED that must satisfy
 * the filter.
 */
static bool
waits_for_writer(JobqTable *table, Relation index, const JobqSearch *search)
{
	TupleTableSlot *slot;
	bool		wanted;

	if (search->wait == JOBQ_NO_WAIT || search->filter == NULL)
		return search->wait != JOBQ_NO_WAIT;
	slot = jobq_table_slot(table);
	wanted = read_latest(table, index, search->keys, search->nkeys, slot) &&
		search->filter(slot, search->arg);
	return wanted || search->wait != JOBQ_WAIT_IF_WANTED;
}

/*
 * Locks the row version in the slot, which no transaction was changing.
 * JOBQ_MISSING: it has been changed since.
 */
static JobqFindResult
lock_version(JobqTable *table, JobqWaitPolicy wait, TupleTableSlot *slot)
{
	bool		waits = wait == JOBQ_WAIT || wait == JOBQ_WAIT_IF_WANTED;
	TM_FailureData failure;
	TM_Result	result;

	PushActiveSnapshot(GetLatestSnapshot());
	result = table_tuple_lock(table->rel, &slot->tts_tid, GetActiveSnapshot(),
							  slot, GetCurrentCommandId(false),
							  LockTupleExclusive,
							  waits ? LockWaitBlock : LockWaitSkip,
							  0, &failure);
	PopActiveSnapshot();
	return lock_result(result);
}

/*
 * Reads the row with the given keys in a unique index into the slot, by the
 * latest snapshot, which sees what this transaction has done.  False if there
 * is none.
 */
bool
jobq_table_read(JobqTable *table, Oid indexid, ScanKey keys, int nkeys,
				TupleTableSlot *slot)
{
	Relation	index = index_open(indexid, AccessShareLock);
	bool		found;

	CommandCounterIncrement();
	found = read_latest(table, index, keys, nkeys, slot);
	index_close(index, AccessShareLock);
	return found;
}

/* See table_find.h. */
void
jobq_reader_begin(JobqReader *reader, JobqTable *table, Oid indexid, int nkeys)
{
	reader->table = table;
	reader->index = index_open(indexid, AccessShareLock);
	reader->nkeys = nkeys;
	reader->scan = NULL;
	reader->snapshot = NULL;
}

/* Takes a snapshot, which sees what this transaction has done so far. */
static void
begin_reading(JobqReader *reader)
{
	CommandCounterIncrement();
	reader->snapshot = RegisterSnapshot(GetLatestSnapshot());
	reader->scan = jobq_index_beginscan(reader->table->rel, reader->index,
										reader->snapshot, reader->nkeys);
}

/*
 * See table_find.h.  Takes note of what others have changed in the catalogs, roles that
 * have lost a membership for one, as opening the index for each row would.
 */
bool
jobq_reader_read(JobqReader *reader, ScanKey keys, TupleTableSlot *slot)
{
	AcceptInvalidationMessages();
	if (reader->scan == NULL)
		begin_reading(reader);
	index_rescan(reader->scan, keys, reader->nkeys, NULL, 0);
	return index_getnext_slot(reader->scan, ForwardScanDirection, slot);
}

/* See table_find.h. */
void
jobq_reader_rest(JobqReader *reader)
{
	if (reader->scan == NULL)
		return;
	index_endscan(reader->scan);
	UnregisterSnapshot(reader->snapshot);
	reader->scan = NULL;
	reader->snapshot = NULL;
}

/* See table_find.h. */
void
jobq_reader_end(JobqReader *reader)
{
	jobq_reader_rest(reader);
	index_close(reader->index, AccessShareLock);
}

/*
 * Finds the row with the given keys in a unique index, locks it, and puts it
 * into the slot.
 */
JobqFindResult
jobq_table_find(JobqTable *table, Oid indexid, ScanKey keys, int nkeys,
				JobqWaitPolicy wait, TupleTableSlot *slot)
{
	JobqSearch	search = {indexid, keys, nkeys, wait, NULL, NULL};

	return jobq_table_find_if(table, &search, slot);
}

/*
 * The same for rows that satisfy a filter, which is called before the row
 * is locked: a row must not even be locked for a user without a right to
 * it.
 */
JobqFindResult
jobq_table_find_if(JobqTable *table, const JobqSearch *search,
				   TupleTableSlot *slot)
{
	Relation	index = index_open(search->indexid, RowExclusiveLock);
	JobqFindResult result;
	SnapshotData dirty;
	IndexScanDesc scan;

	/* what this command has written so far must be lockable */
	CommandCounterIncrement();
	InitDirtySnapshot(dirty);
	scan = jobq_index_beginscan(table->rel, index, &dirty, search->nkeys);
	for (;;)
	{
		TransactionId writer;

		CHECK_FOR_INTERRUPTS();
		index_rescan(scan, search->keys, search->nkeys, NULL, 0);
		if (!index_getnext_slot(scan, ForwardScanDirection, slot))
		{
			if (row_is_there(table, index, search->keys, search->nkeys, slot))
				continue;
			result = JOBQ_MISSING;
			break;
		}
		ExecMaterializeSlot(slot);

		writer = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
		if (TransactionIdIsValid(writer))
		{
			if (!waits_for_writer(table, index, search))
			{
				result = JOBQ_BUSY;
				break;
			}
			/* without the pin that would keep VACUUM from the page */
			index_rescan(scan, search->keys, search->nkeys, NULL, 0);
			XactLockTableWait(writer, table->rel, &slot->tts_tid,
							  XLTW_FetchUpdated);
			continue;
		}

		if (search->filter != NULL && !search->filter(slot, search->arg))
		{
			result = JOBQ_UNWANTED;
			break;
		}
		result = lock_version(table, search->wait, slot);
		if (result != JOBQ_MISSING)
			break;
	}
	index_endscan(scan);
	index_close(index, NoLock);
	return result;
}

/*
 * Whether a running transaction has inserted or is deleting a row with the
 * given keys of a unique index, so that inserting such a row would wait for
 * it.  *pid is the process that runs it, 0 if that is not known.
 */
bool
jobq_key_is_busy(JobqTable *table, Oid indexid, ScanKey keys, int nkeys,
				 int *pid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	TupleTableSlot *slot = jobq_table_slot(table);
	TransactionId other = InvalidTransactionId;
	SnapshotData dirty;
	IndexScanDesc scan;

	InitDirtySnapshot(dirty);
	scan = jobq_index_beginscan(table->rel, index, &dirty, nkeys);
	index_rescan(scan, keys, nkeys, NULL, 0);
	while (!TransactionIdIsValid(other) &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
		other = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
	ExecClearTuple(slot);
	index_endscan(scan);
	index_close(index, AccessShareLock);
	*pid = TransactionIdIsValid(other) ? jobq_transaction_pid(other) : 0;
	return TransactionIdIsValid(other);
}

static void
make_name_key(ScanKey key, const char *name)
{
	ScanKeyInit(key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name));
}

/* See table_find.h. */
bool
jobq_table_read_name(JobqTable *table, JobqRelation index, const char *name,
					 TupleTableSlot *slot)
{
	ScanKeyData key;

	make_name_key(&key, name);
	return jobq_table_read(table, jobq_relation_oid(index), &key, 1, slot);
}

/* See table_find.h. */
bool
jobq_table_lock_name(JobqTable *table, JobqRelation index, const char *name,
					 TupleTableSlot *slot)
{
	ScanKeyData key;

	make_name_key(&key, name);
	return jobq_table_find(table, jobq_relation_oid(index), &key, 1, JOBQ_WAIT,
						   slot) == JOBQ_FOUND;
}
