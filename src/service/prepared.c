/*-------------------------------------------------------------------------
 *
 * prepared.c
 *	  What prepared transactions have to do with jobq.
 *
 * The session that finishes a prepared transaction tells others what it has
 * changed; it knows that from the marks (mark.h) with which the transaction was
 * prepared.  The marks are locks that conflict with nothing: the transaction
 * has a lock on an object of the class jobq_store.queue, whose number is the
 * mark's value and whose subobject is its kind.  Prepared transactions keep
 * their locks, even after a crash and on a promoted standby, and all sessions
 * can read them.
 *
 * Others must look at no more than that: any role can prepare a thousand
 * transactions in a second.
 *
 * IDENTIFICATION
 *	  src/service/prepared.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "service/prepared.h"

#include "base/extension.h"
#include "base/statement.h"
#include "jobq.h"
#include "queue/limit.h"
#include "queue/queue_gone.h"
#include "queue/queue_wake.h"
#include "shared/database.h"
#include "shared/ended_owner.h"
#include "shared/lane.h"
#include "shared/lease_listing.h"
#include "shared/limit_state.h"
#include "shared/mark.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/roster_memory.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * The marks, of kind and value, of the prepared transaction $1, if $2 owns it,
 * or $3.  Its locks are those of the holder of the lock on its XID. With an
 * exclusive lock on a table of jobq, as after DROP EXTENSION, it may have
 * changed anything.
 */
static const char marks_query[] =
"SELECT CASE WHEN l.locktype = 'object' THEN l.objsubid ELSE $5 END,"
" coalesce(l.objid, 0)"
" FROM pg_catalog.pg_prepared_xact() AS p"
" JOIN pg_catalog.pg_locks AS x ON x.locktype = 'transactionid'"
" AND x.transactionid = p.transaction AND x.pid IS NULL"
" JOIN pg_catalog.pg_locks AS l ON l.virtualtransaction = x.virtualtransaction"
" AND l.pid IS NULL AND l.database = p.dbid"
" WHERE p.gid = $1 AND (p.ownerid = $2 OR $3)"
" AND p.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d"
" WHERE d.datname = pg_catalog.current_database())"
" AND (l.locktype = 'object' AND l.classid = $4 AND l.objsubid > 0"
" OR l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'"
" AND l.relation IN (SELECT c.oid FROM pg_catalog.pg_class AS c"
" JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
" WHERE n.nspname = '" JOBQ_STORE_SCHEMA "'))"
" ORDER BY 1";

/*
 * The marks of the prepared transaction that this one finishes, in
 * TopTransactionContext, in the order of their kinds.
 */
static JobqMark *finished = NULL;
static int	nfinished = 0;
static bool commits = false;

/* ----------------------------------------------------------------- making */

/* Locks the marks that were made.  Raises an error if there is no room. */
static void
lock_marks(void)
{
	int			n;
	const JobqMark *marks = jobq_mark_all(&n);

	/* one that drops the extension has locked its tables */
	if (n == 0 || !jobq_is_installed())
		return;
	for (int i = 0; i < n; i++)
	{
		LOCKTAG		tag;

		SET_LOCKTAG_OBJECT(tag, MyDatabaseId,
						   jobq_relation_oid(JOBQ_REL_QUEUE), marks[i].value,
						   marks[i].kind);
		(void) LockAcquire(&tag, AccessShareLock, false, false);
	}
}

/* ---------------------------------------------------------------- reading */

/* Copies what the query has found. */
static void
keep_marks(void)
{
	bool		isnull;

	nfinished = 0;
	finished = MemoryContextAlloc(TopTransactionContext,
								  Max(SPI_processed, 1) * sizeof(JobqMark));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		finished[i].kind = DatumGetInt16(SPI_getbinval(row, desc, 1, &isnull));
		finished[i].value = DatumGetObjectId(SPI_getbinval(row, desc, 2,
														   &isnull));
		nfinished++;
	}
}

/*
 * Reads the marks of a prepared transaction that the user may finish.  If
 * another session finishes it right now, and prepares another one of this
 * name, the sweep finds what that has done.
 */
static void
read_marks(const char *gid)
{
	Oid			types[] = {TEXTOID, OIDOID, BOOLOID, OIDOID, INT2OID};
	Datum		values[lengthof(types)];

	values[0] = CStringGetTextDatum(gid);
	values[1] = ObjectIdGetDatum(GetUserId());
	values[2] = BoolGetDatum(superuser());
	values[3] = ObjectIdGetDatum(jobq_relation_oid(JOBQ_REL_QUEUE));
	values[4] = Int16GetDatum(JOBQ_MARK_ALL);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	(void) jobq_statement_query(marks_query, lengthof(types), types, values);
	keep_marks();
	SPI_finish();
	PopActiveSnapshot();
}

/* See prepared.h. */
void
jobq_prepared_follow(const TransactionStmt *statement)
{
	static const JobqMark all = {.kind = JOBQ_MARK_ALL};

	if (statement->kind != TRANS_STMT_COMMIT_PREPARED &&
		statement->kind != TRANS_STMT_ROLLBACK_PREPARED)
		return;
	if (jobq_database_find(MyDatabaseId) == NULL)
		return;
	(void) jobq_database();		/* for tell(), which must not fail */
	commits = statement->kind == TRANS_STMT_COMMIT_PREPARED;
	if (jobq_is_installed())
	{
		read_marks(statement->gid);
		return;
	}
	/* it may create the extension, and nobody else uses it here */
	finished = MemoryContextAlloc(TopTransactionContext, sizeof(JobqMark));
	finished[0] = all;
	nfinished = 1;
}

/* ----------------------------------------------------------------- acting */

/* The value of the first mark of a kind, 0 if there is none. */
static uint32
first_value(JobqMarkKind kind)
{
	for (int i = 0; i < nfinished; i++)
	{
		if (finished[i].kind == kind)
			return finished[i].value;
	}
	return 0;
}

/* Makes all processes look at everything again. */
static void
act_on_all(JobqDatabase *database)
{
	jobq_queue_changes_publish_all(database);
	pg_atomic_fetch_add_u32(&database->generation, 1);
	jobq_queue_states_reset_lanes(MyDatabaseId);
	jobq_wake_coordinator(database, JOBQ_WAKE_RESYNC | JOBQ_WAKE_LEASES |
						  JOBQ_WAKE_CONFIG);
}

/* Jobs of the queue have become claimable, or are free again. */
static void
act_on_jobs(int32 queue, bool reset)
{
	JobqQueueState *state = jobq_queue_state_find(queue);

	if (reset && state != NULL)
	{
		jobq_lanes_reset(&state->stream);
		jobq_roster_reset(state);
	}
	jobq_queue_wake_look(state);
}

/* Jobs of the queue are running of which its gate does not know. */
static void
act_on_claims(int32 queue)
{
	JobqQueueState *state = jobq_queue_state_find(queue);

	if (state != NULL)
		jobq_gate_miss(&state->gate);
}

/* The same of a limit. */
static void
act_on_slots(int32 limit)
{
	JobqLimitState *state = jobq_limit_state_find(limit);

	if (state != NULL)
		jobq_gate_miss(&state->gate);
}

/* The number of unfinished jobs of the queue has changed. */
static void
count_again(int32 queue)
{
	JobqQueueState *state = jobq_queue_state_find(queue);

	if (state != NULL)
		jobq_queue_state_forget_count(state);
}

/*
 * Acts on a mark of a transaction that was committed, and of one that was
 * rolled back if the mark is about locks.
 */
static void
act_on(const JobqMark *mark, JobqDatabase *database, bool committed)
{
	uint32		value = mark->value;
	TimestampTz when = jobq_mark_to_time(value);

	switch ((JobqMarkKind) mark->kind)
	{
		case JOBQ_MARK_ALL:
			act_on_all(database);
			break;
		case JOBQ_MARK_CHANGED:
			jobq_queue_changes_publish(database, value,
									   first_value(JOBQ_MARK_OWNER));
			break;
		case JOBQ_MARK_OWNER:
			jobq_queue_changes_publish(database,
									   first_value(JOBQ_MARK_CHANGED), value);
			break;
		case JOBQ_MARK_MANY_CHANGED:
			jobq_queue_changes_publish_all(database);
			break;
		case JOBQ_MARK_GONE:
		case JOBQ_MARK_RENAMED:
			jobq_queue_gone_now(value, mark->kind == JOBQ_MARK_RENAMED ||
								!committed);
			break;
		case JOBQ_MARK_JOBS:
		case JOBQ_MARK_LOOK:
			act_on_jobs(value, mark->kind == JOBQ_MARK_JOBS);
			break;
		case JOBQ_MARK_LEASES:
			jobq_leases_leave_out(when);
			break;
		case JOBQ_MARK_EXPIRY:
			jobq_wake_for_expiry(when);
			break;
		case JOBQ_MARK_SCHEDULE:
			jobq_wake_for_schedule(when);
			break;
		case JOBQ_MARK_COUNT:
			count_again(value);
			break;
		case JOBQ_MARK_WAKES:
			jobq_wake_coordinator(database, value);
			break;
		case JOBQ_MARK_WAITING:
			jobq_ended_owner_act_on_mark(value);
			break;
		case JOBQ_MARK_CLAIMED:
			act_on_claims(value);
			break;
		case JOBQ_MARK_LIMIT:
			jobq_limit_look_now(value);
			break;
		case JOBQ_MARK_LIMIT_GONE:
			jobq_limit_state_forget(value);
			break;
		case JOBQ_MARK_LIMIT_CLAIMED:
			act_on_slots(value);
			break;
	}
}

/*
 * The effects of a prepared transaction are visible, or undone.  Called when
 * the command's own transaction ends, even by an error, since a cancel may
 * arrive just after the prepared transaction was finished.
 */
static void
tell(bool certain)
{
	JobqDatabase *database;

	if (nfinished == 0)
		return;
	database = jobq_database_find(MyDatabaseId);
	for (int i = 0; i < nfinished && database != NULL; i++)
	{
		if (commits || finished[i].kind == JOBQ_MARK_ALL ||
			finished[i].kind == JOBQ_MARK_JOBS)
			act_on(&finished[i], database, certain);
	}
}

static void
at_transaction_end(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			lock_marks();
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			tell(event == XACT_EVENT_COMMIT);
			break;
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	jobq_mark_forget_all();
	finished = NULL;
	nfinished = 0;
}

/* Called once, by _PG_init. */
void
jobq_prepared_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_PREPARED,
						 JOBQ_XACT_BEFORE_PREPARE | JOBQ_XACT_AT_END,
						 at_transaction_end, NULL);
}
