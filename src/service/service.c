/*-------------------------------------------------------------------------
 *
 * service.c
 *	  Starting and stopping a database's workers.
 *
 * Whether they are stopped is in jobq_store.service; the coordinator reads
 * it and tells executors through shared memory (JobqDatabase.stopped).
 *
 * stop() takes effect when it is called, before others can see its row.  So
 * its transaction is counted in shared memory (.stoppers) until it ends, or
 * until the savepoint in which stop() was called is rolled back.  If it
 * commits, .stopped is set at the same moment, and the coordinator is told to
 * read the row; a reading that began earlier is ignored (.stop_changes).  Only
 * another stop() or start() waits for such a transaction.
 *
 * IDENTIFICATION
 *	  src/service/service.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "service/service.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/home.h"
#include "base/lease_number.h"
#include "base/rights.h"
#include "base/table_find.h"
#include "compat.h"
#include "job/current_job.h"
#include "jobq.h"
#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lease_registry.h"
#include "shared/limit_state.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/slot.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_start);
PG_FUNCTION_INFO_V1(jobq_stop);
PG_FUNCTION_INFO_V1(jobq_require_preload);
PG_FUNCTION_INFO_V1(jobq_version);

/* How often stop() checks whether running jobs have ended, in milliseconds. */
#define STOP_CHECK_INTERVAL 20

/* Number of values of a copied sequence that are skipped for safety. */
#define SEQUENCE_GAP 1000

/* The nesting level at which stop() was called in this transaction, 0: not. */
static int	stop_level = 0;

/*
 * Raises 42501 unless the user may start and stop; called again after each
 * wait.
 */
static void
require_administrator(void)
{
	jobq_require_administrator("start or stop jobq");
}

/*
 * Locks the row of the service, for an administrator (raises 42501); the
 * caller closes *table.
 */
static TupleTableSlot *
lock_service(JobqTable **table)
{
	TupleTableSlot *slot;
	ScanKeyData key;

	*table = jobq_table_open(JOBQ_REL_SERVICE);
	slot = jobq_table_slot(*table);
	ScanKeyInit(&key, Anum_service_only_row, BTEqualStrategyNumber, F_BOOLEQ,
				BoolGetDatum(true));
	if (jobq_table_find(*table, jobq_relation_oid(JOBQ_IDX_SERVICE), &key, 1,
						JOBQ_WAIT, slot) != JOBQ_FOUND)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s.service is empty", JOBQ_STORE_SCHEMA),
				 errhint("Drop the extension and create it again.")));
	require_administrator();	/* the user may have lost that right while
								 * waiting */
	return slot;
}

static void
set_stopped(bool stopped)
{
	JobqTable  *table;
	TupleTableSlot *slot = lock_service(&table);
	Datum		values[Natts_service];
	bool		nulls[Natts_service];

	slot_getallattrs(slot);
	memcpy(values, slot->tts_values, sizeof(values));
	memcpy(nulls, slot->tts_isnull, sizeof(nulls));
	/* a second stop() does not change since when */
	if (stopped && !DatumGetBool(values[Anum_service_stopped - 1]))
		values[Anum_service_stopped_at - 1] = TimestampTzGetDatum(jobq_now());
	nulls[Anum_service_stopped_at - 1] = !stopped;
	values[Anum_service_stopped - 1] = BoolGetDatum(stopped);
	jobq_table_update(table, slot, values, nulls);
	jobq_table_close(table);
	jobq_at_commit_service_changed();
}

/* Whether jobq is stopped; sets *since, unless NULL, to the time of that. */
bool
jobq_service_is_stopped(TimestampTz *since)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_SERVICE);
	TupleTableSlot *slot = jobq_table_slot(table);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(table->rel, snapshot, 0, NULL);
	bool		stopped = false;

	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		stopped = DatumGetBool(slot_getattr(slot, Anum_service_stopped,
											&isnull));
		if (stopped && since != NULL)
			*since = DatumGetTimestampTz(slot_getattr(slot,
													  Anum_service_stopped_at,
													  &isnull));
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	jobq_table_close(table);
	return stopped;
}

/* The tables whose rows are this database's own, or came with a copy. */
static const struct
{
	JobqRelation relation;
	AttrNumber	system_identifier;
	AttrNumber	database;
}			tables_with_home[] = {
	{JOBQ_REL_QUEUE, Anum_queue_system_identifier, Anum_queue_database},
	{JOBQ_REL_SCHEDULE, Anum_schedule_system_identifier,
	Anum_schedule_database},
	{JOBQ_REL_GONE_QUEUE, Anum_gone_queue_system_identifier,
	Anum_gone_queue_database},
	{JOBQ_REL_CANCEL_REQUEST, Anum_cancel_request_system_identifier,
	Anum_cancel_request_database},
};

/* Whether a table has rows that are this database's own, or that are not. */
static bool
has_row(JobqRelation relation, int attnum_system, int attnum_database,
		bool at_home)
{
	JobqTable  *table = jobq_table_open(relation);
	TupleTableSlot *slot = jobq_table_slot(table);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(table->rel, snapshot, 0, NULL);
	bool		result = false;

	while (!result && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		result = jobq_row_is_at_home(slot, attnum_system,
									 attnum_database) == at_home;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	jobq_table_close(table);
	return result;
}

/*
 * Makes the rows of a table that came from another database this one's.  The
 * numbers are those of its columns system_identifier and database.  If there are
 * such rows, locks the table, and waits for transactions that are changing a row.
 * Returns whether there were any.
 */
static bool
take_home(JobqRelation relation, int attnum_system, int attnum_database)
{
	JobqTable  *table;
	TupleTableSlot *slot;
	Snapshot	snapshot;
	TableScanDesc scan;
	int			natts;
	Datum	   *values;
	bool	   *nulls;
	bool		any = false;

	if (!has_row(relation, attnum_system, attnum_database, false))
		return false;
	LockRelationOid(jobq_relation_oid(relation), ShareRowExclusiveLock);
	table = jobq_table_open(relation);
	slot = jobq_table_slot(table);
	natts = RelationGetDescr(table->rel)->natts;
	values = palloc(natts * sizeof(Datum));
	nulls = palloc(natts * sizeof(bool));
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = table_beginscan(table->rel, snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		TupleTableSlot *locked;

		CHECK_FOR_INTERRUPTS();
		if (jobq_row_is_at_home(slot, attnum_system, attnum_database))
			continue;
		locked = jobq_table_slot(table);
		if (jobq_table_lock(table, &slot->tts_tid, snapshot,
							locked) != JOBQ_FOUND)
			elog(ERROR, "row of \"%s\" was changed in spite of the lock",
				 RelationGetRelationName(table->rel));
		slot_getallattrs(locked);
		memcpy(values, locked->tts_values, natts * sizeof(Datum));
		memcpy(nulls, locked->tts_isnull, natts * sizeof(bool));
		values[attnum_system - 1] = Int64GetDatum(jobq_home_identifier());
		values[attnum_database - 1] = ObjectIdGetDatum(MyDatabaseId);
		jobq_table_update(table, locked, values, nulls);
		any = true;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	jobq_table_close(table);
	return any;
}

/*
 * Advances the sequences of a copied database to unused values.
 *
 * CREATE DATABASE ... TEMPLATE copies a sequence's page as if the values that
 * nextval() has put into the WAL in advance were logged here too.  They are
 * not, and a crash of the server would bring the copied values back.
 */
static void
move_sequences(void)
{
	static const JobqRelation sequences[] = {
		JOBQ_SEQ_QUEUE_ID, JOBQ_SEQ_LIMIT_ID, JOBQ_SEQ_JOB_ID,
		JOBQ_SEQ_SCHEDULE_ID
	};
	JobqElevation elevation;

	jobq_elevate(&elevation);
	for (int i = 0; i < lengthof(sequences); i++)
	{
		Oid			relid = jobq_relation_oid(sequences[i]);
		int64		value = nextval_internal(relid, false) + SEQUENCE_GAP;

		/* others may be drawing values at the same time, hence the gap */
		(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(relid),
								   Int64GetDatum(value));
	}
	jobq_restore(&elevation);
	jobq_lease_blocks_changed();
}

/* start(): makes the queues and schedules of this database its own. */
Datum
jobq_start(PG_FUNCTION_ARGS)
{
	bool		copied = false;

	jobq_begin_write("jobq.start()");
	require_administrator();
	set_stopped(false);
	for (int i = 0; i < lengthof(tables_with_home); i++)
		copied = take_home(tables_with_home[i].relation,
						   tables_with_home[i].system_identifier,
						   tables_with_home[i].database) || copied;
	if (copied)
		move_sequences();
	require_administrator();
	jobq_at_commit_all_changed();
	jobq_at_commit_reset_lanes();
	jobq_at_commit_wake(JOBQ_WAKE_CONFIG | JOBQ_WAKE_RESYNC |
						JOBQ_WAKE_LEASES);
	PG_RETURN_VOID();
}

bool
jobq_service_any_at_home(void)
{
	bool		result = false;

	for (int i = 0; i < lengthof(tables_with_home) && !result; i++)
		result = has_row(tables_with_home[i].relation,
						 tables_with_home[i].system_identifier,
						 tables_with_home[i].database, true);
	return result;
}

bool
jobq_service_refresh(void)
{
	JobqDatabase *database = jobq_database();
	bool		valid;
	bool		held;

	do
	{
		uint32		changes;
		bool		stopped;

		LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
		changes = database->stop_changes;
		LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
		stopped = jobq_service_is_stopped(NULL);
		LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
		valid = changes == database->stop_changes;
		if (valid)
			database->stopped = stopped;
		held = jobq_service_is_held(database);
		LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	} while (!valid);
	return held;
}

bool
jobq_service_holds(void)
{
	JobqDatabase *database = jobq_database();
	bool		held;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	held = jobq_service_is_held(database);
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return held;
}

bool
jobq_service_allows_executors(void)
{
	JobqDatabase *database = jobq_database();
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	result = !jobq_service_is_held(database) && database->holds == 0;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/* Begins the hold of this transaction; the row is locked. */
static void
begin_stop(void)
{
	JobqDatabase *database = jobq_database();

	if (stop_level == 0)
	{
		LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
		database->stoppers++;
		database->stopper_pid = MyProcPid;
		LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
		stop_level = GetCurrentTransactionNestLevel();
	}
}

/*
 * Ends the hold.  After a commit the row counts, which may say that start()
 * has been called since: no job is started until the coordinator has read it.
 */
static void
end_stop(bool committed)
{
	JobqDatabase *database = jobq_database();

	stop_level = 0;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	database->stoppers--;
	if (database->stopper_pid == MyProcPid)
		database->stopper_pid = 0;
	if (committed)
		database->stopped = true;
	database->stop_changes++;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	jobq_wake_coordinator(database, JOBQ_WAKE_CONFIG);
}

static void
at_transaction_end(XactEvent event)
{
	if (stop_level == 0)
		return;
	if (event == XACT_EVENT_PRE_PREPARE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has executed jobq.stop()"),
				 errdetail("Workers are stopped while the transaction is open, and a prepared transaction can stay open indefinitely.")));
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT)
		end_stop(event == XACT_EVENT_COMMIT);
}

static void
at_subtransaction_end(SubXactEvent event, int level)
{
	if (stop_level < level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		end_stop(false);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		stop_level = level - 1;
}

/*
 * Waits for the transaction of an executor that is at work.  That is known to the lock
 * manager: the job may wait for a lock of this transaction, a deadlock.  Returns false
 * if none is in a transaction.
 */
static bool
wait_for_transaction(void)
{
	pid_t		pids[JOBQ_MAX_WORKER_SLOTS];
	int			n = jobq_slots_at_work(MyDatabaseId, pids);

	for (int i = 0; i < n; i++)
	{
		PGPROC	   *proc = BackendPidGetProc(pids[i]);
		VirtualTransactionId vxid;

		if (proc == NULL)
			continue;
		GET_VXID_FROM_PGPROC(vxid, *proc);
		if (!VirtualTransactionIdIsValid(vxid))
			continue;
		(void) VirtualXactLock(vxid, true);
		return true;
	}
	return false;
}

/*
 * Waits until no executor of this database runs a job or may be about to: all
 * have exited, except starting ones, which check before they begin.
 */
static void
wait_for_jobs(void)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		jobq_slots_leave(MyDatabaseId);
		if (jobq_slots_of_database(MyDatabaseId, true) == 0)
			return;
		if (wait_for_transaction())
			continue;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 STOP_CHECK_INTERVAL, JOBQ_WAIT_EVENT_WORKERS);
		ResetLatch(MyLatch);
	}
}

/* stop(): returns when no job is running. */
Datum
jobq_stop(PG_FUNCTION_ARGS)
{
	jobq_begin_write("jobq.stop()");
	require_administrator();
	jobq_xact_end_follow(JOBQ_XACT_STOP,
						 JOBQ_XACT_BEFORE_PREPARE | JOBQ_XACT_AT_END,
						 at_transaction_end, at_subtransaction_end);
	set_stopped(true);
	begin_stop();

	/* a job that calls it cannot wait for itself */
	if (jobq_current_job_row() == (Datum) 0)
		wait_for_jobs();
	else
		jobq_slots_leave(MyDatabaseId);
	PG_RETURN_VOID();
}

/*
 * Forgets the jobs and queues of an earlier installation, whose ids the new one
 * uses again.  If the drop of that is rolled back, they are counted anew.
 */
static void
forget_earlier_installation(void)
{
	if (!creating_extension)
		return;
	jobq_leases_forget_database(MyDatabaseId);
	jobq_queue_states_forget(MyDatabaseId);
	jobq_limit_states_forget(MyDatabaseId);
	jobq_database()->leases_loaded = false;
}

/*
 * require_preload(): for the install script.  Keeps leases of an earlier
 * installation apart from the new one's, and requests a coordinator.
 */
Datum
jobq_require_preload(PG_FUNCTION_ARGS)
{
	jobq_require_shmem();
	forget_earlier_installation();
	jobq_lease_blocks_changed();
	jobq_at_commit_all_changed();
	PG_RETURN_VOID();
}

/* version(): of the library. */
Datum
jobq_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(JOBQ_VERSION));
}
