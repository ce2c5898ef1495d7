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
 * An apply worker finishes prepared transactions without a command.  What it may
 * finish is kept in shared memory (applied.h), and each logical replication worker
 * looks, before its own transactions commit, whether some of that has ended.
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
#include "service/mark_act.h"
#include "shared/applied.h"
#include "shared/database.h"
#include "shared/mark.h"
#include "shared/xact_end.h"

#include "access/twophase.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * The marks of prepared transactions, of kind, value and XID.  Their locks are
 * those of the holders of the locks on their XIDs.  With an exclusive lock on a
 * table of jobq, as after DROP EXTENSION, one may have changed anything.  $1: the
 * table of queues; $2: the kind of such a lock.
 */
#define MARKS_QUERY(condition) \
"SELECT CASE WHEN l.locktype = 'object' THEN l.objsubid ELSE $2 END," \
" coalesce(l.objid, 0), p.transaction" \
" FROM pg_catalog.pg_prepared_xact() AS p" \
" JOIN pg_catalog.pg_locks AS x ON x.locktype = 'transactionid'" \
" AND x.transactionid = p.transaction AND x.pid IS NULL" \
" JOIN pg_catalog.pg_locks AS l ON l.virtualtransaction = x.virtualtransaction" \
" AND l.pid IS NULL AND l.database = p.dbid" \
" WHERE " condition \
" AND p.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d" \
" WHERE d.datname = pg_catalog.current_database())" \
" AND (l.locktype = 'object' AND l.classid = $1 AND l.objsubid > 0" \
" OR l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'" \
" AND l.relation IN (SELECT c.oid FROM pg_catalog.pg_class AS c" \
" JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace" \
" WHERE n.nspname = '" JOBQ_STORE_SCHEMA "'))" \
" ORDER BY p.transaction::pg_catalog.text, 1"

/* Those of the one named $3, if $4 owns it, or $5. */
static const char named_query[] =
MARKS_QUERY("p.gid = $3 AND (p.ownerid = $4 OR $5)");

/* Those of all that apply workers have prepared, by the names that they give. */
static const char applied_query[] =
MARKS_QUERY("p.gid LIKE 'pg\\_gid\\_%'");

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
	if (IsLogicalWorker())
		jobq_applied_keep(GetTopTransactionId(), marks, n);
}

/* ---------------------------------------------------------------- reading */

/* The mark that a query has found in its i-th row, and whose it is. */
static JobqMark
read_mark(uint64 i, TransactionId *xid)
{
	HeapTuple	row = SPI_tuptable->vals[i];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	JobqMark	mark;

	mark.kind = DatumGetInt16(SPI_getbinval(row, desc, 1, &isnull));
	mark.value = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
	*xid = DatumGetTransactionId(SPI_getbinval(row, desc, 3, &isnull));
	return mark;
}

/*
 * Executes a query for marks, of three parameters more or none, and connects SPI;
 * returns the number of rows.
 */
static uint64
find_marks(const char *query, Oid *types, Datum *values, int nparams)
{
	types[0] = OIDOID;
	values[0] = ObjectIdGetDatum(jobq_relation_oid(JOBQ_REL_QUEUE));
	types[1] = INT2OID;
	values[1] = Int16GetDatum(JOBQ_MARK_ALL);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	return jobq_statement_query(query, nparams, types, values);
}

static void
end_of_marks(void)
{
	SPI_finish();
	PopActiveSnapshot();
}

/*
 * Reads the marks of a prepared transaction that the user may finish.  If
 * another session finishes it right now, and prepares another one of this
 * name, the sweep finds what that has done.
 */
static void
read_marks(const char *gid)
{
	Oid			types[5] = {[2] = TEXTOID, OIDOID, BOOLOID};
	Datum		values[5];
	uint64		n;
	TransactionId xid;

	values[2] = CStringGetTextDatum(gid);
	values[3] = ObjectIdGetDatum(GetUserId());
	values[4] = BoolGetDatum(superuser());
	n = find_marks(named_query, types, values, lengthof(types));
	finished = MemoryContextAlloc(TopTransactionContext,
								  Max(n, 1) * sizeof(JobqMark));
	for (uint64 i = 0; i < n; i++)
		finished[i] = read_mark(i, &xid);
	nfinished = n;
	end_of_marks();
}

/*
 * Keeps the marks of all transactions that apply workers have prepared: the server
 * may have been started since.
 */
static void
list_applied(void)
{
	Oid			types[2];
	Datum		values[2];
	uint64		n = find_marks(applied_query, types, values, lengthof(types));
	JobqMark   *marks = palloc(Max(n, 1) * sizeof(JobqMark));
	TransactionId xid = InvalidTransactionId;
	int			first = 0;

	for (uint64 i = 0; i < n; i++)
	{
		TransactionId previous = xid;

		marks[i] = read_mark(i, &xid);
		if (i > 0 && xid != previous)
		{
			jobq_applied_keep(previous, &marks[first], i - first);
			first = i;
		}
	}
	if (n > 0)
		jobq_applied_keep(xid, &marks[first], n - first);
	end_of_marks();
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

/*
 * The effects of the prepared transaction that was finished here are visible, or
 * undone.  Called when the command's own transaction ends, even by an error, since
 * a cancel may arrive just after the prepared transaction was finished: then it is
 * uncertain whether it was.
 */
static void
tell(bool certain)
{
	if (nfinished > 0)
		jobq_marks_act(finished, nfinished,
					   !commits ? JOBQ_MARKS_ROLLED_BACK :
					   certain ? JOBQ_MARKS_COMMITTED : JOBQ_MARKS_UNCERTAIN);
}

/* See prepared.h. */
void
jobq_prepared_look(void)
{
	JobqApplied applied;

	while (jobq_applied_take(&applied))
		jobq_marks_act(applied.marks, applied.nmarks, JOBQ_MARKS_UNCERTAIN);
}

/*
 * A logical replication worker is about to commit a transaction of its own, maybe
 * that in which it has finished a prepared one.  Before its first, it may have
 * found some from before its start, or the server's: the transaction in which it
 * connects is too early, and those in which it reads its subscription follow.
 */
static void
look_at_applied(void)
{
	static bool listed = false;

	if (!listed && IsNormalProcessingMode())
	{
		if (max_prepared_xacts > 0 && jobq_is_installed())
			list_applied();
		listed = true;
	}
	jobq_prepared_look();
}

static void
at_transaction_end(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (IsLogicalWorker())
				look_at_applied();
			return;
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
						 JOBQ_XACT_BEFORE_COMMIT | JOBQ_XACT_BEFORE_PREPARE |
						 JOBQ_XACT_AT_END,
						 at_transaction_end, NULL);
}
