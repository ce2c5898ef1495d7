/*-------------------------------------------------------------------------
 *
 * service.c
 *	  Starting and stopping a database's workers.
 *
 * Whether they are stopped is in jobq_store.service; the coordinator reads
 * it and tells executors through shared memory (JobqDatabase.stopped).
 *
 * stop() holds from the call on, when nobody else can see its row yet.  So its
 * transaction is counted in shared memory (.stoppers) until it ends, or until
 * the savepoint is rolled back that stop() was called in.  If it commits,
 * .stopped is set in the same moment, and the coordinator is told to read the
 * row; a reading that began before that counts for nothing (.stop_changes).
 * Nobody waits for such a transaction but another stop() or start().
 *
 * IDENTIFICATION
 *	  src/service/service.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "service/service.h"

#include "base/arguments.h"
#include "base/catalog.h"
#include "base/lease_number.h"
#include "compat.h"
#include "job/current_job.h"
#include "jobq.h"
#include "queue/ready.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/queue_change.h"
#include "shared/slot.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_start);
PG_FUNCTION_INFO_V1(jobq_stop);
PG_FUNCTION_INFO_V1(jobq_require_preload);
PG_FUNCTION_INFO_V1(jobq_version);

/* How often stop() looks whether the running jobs are done, milliseconds. */
#define STOP_CHECK_INTERVAL 20

/* So many values of a copied sequence are left out, to be on the safe side. */
#define SEQUENCE_GAP 1000

/* The nesting level at which stop() was called in this transaction, 0: not. */
static int	stop_level = 0;

/* Raises 42501 unless the user may start and stop; after each wait anew. */
static void
require_administrator(void)
{
	AcceptInvalidationMessages();
	if (!jobq_is_administrator(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to start or stop jobq"),
				 errdetail("Only superusers and the owner of the extension may do so.")));
}

/*
 * Locks the row of the service, for an administrator (42501); *table is to be
 * closed.
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
	require_administrator();	/* who has waited may be none any more */
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

/* Whether stop() is in force.  *since, if it is wanted, is since when. */
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

/*
 * Makes the rows of a table that came from another database this one's.
 * The numbers are those of its columns system_identifier and database.
 * Whoever is changing a row is waited for.  Returns whether there were any.
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
		slot_getallattrs(slot);
		if (DatumGetInt64(slot->tts_values[attnum_system - 1]) ==
			jobq_home_identifier() &&
			DatumGetObjectId(slot->tts_values[attnum_database - 1]) ==
			MyDatabaseId)
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
 * Has the sequences of a copied database go on where nobody has been.
 *
 * CREATE DATABASE ... TEMPLATE copies a sequence's page as if the values that
 * nextval() has put into the WAL in advance were logged here too.  They are
 * not, and a crash of the server would bring the copied values back.
 */
static void
move_sequences(void)
{
	static const JobqRelation sequences[] = {
		JOBQ_SEQ_QUEUE_ID, JOBQ_SEQ_JOB_ID, JOBQ_SEQ_SCHEDULE_ID
	};
	JobqElevation elevation;

	jobq_elevate(&elevation);
	for (int i = 0; i < lengthof(sequences); i++)
	{
		Oid			relid = jobq_relation_oid(sequences[i]);
		int64		value = nextval_internal(relid, false) + SEQUENCE_GAP;

		/* others may be drawing values at this moment, hence the gap */
		(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(relid),
								   Int64GetDatum(value));
	}
	jobq_restore(&elevation);
	jobq_lease_blocks_changed();
}

/* start(): the queues and schedules of this database are at home here. */
Datum
jobq_start(PG_FUNCTION_ARGS)
{
	bool		copied;

	(void) fcinfo;
	jobq_begin_write("jobq.start()");
	require_administrator();
	set_stopped(false);
	copied = take_home(JOBQ_REL_QUEUE, Anum_queue_system_identifier,
					   Anum_queue_database);
	copied = take_home(JOBQ_REL_SCHEDULE, Anum_schedule_system_identifier,
					   Anum_schedule_database) || copied;
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

/* The hold of this transaction begins; the row is locked. */
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
 * It ends.  After a commit the row counts, which may say that start() has been
 * called since: until the coordinator has read it, no job is started.
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
 * Waits until no executor of this database runs a job, or may be about to: all
 * have left, but those that have not come up yet and look before they begin.
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
	(void) fcinfo;
	jobq_begin_write("jobq.stop()");
	require_administrator();
	jobq_xact_end_follow(JOBQ_XACT_STOP, at_transaction_end,
						 at_subtransaction_end);
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
 * require_preload(): for the install script.  Leases of a former installation
 * must not mix with the new one's, and a coordinator is needed.
 */
Datum
jobq_require_preload(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	jobq_require_shmem();
	jobq_lease_blocks_changed();
	jobq_at_commit_all_changed();
	PG_RETURN_VOID();
}

/* version(): of the library. */
Datum
jobq_version(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(JOBQ_VERSION));
}
