/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  Waiting for jobs from outside: CALL jobq.wait() and NOTIFY channels.
 *
 * A session in wait() has an entry in shared memory, jobq_shared->waiters[],
 * and sleeps on its latch.  It registers first and looks for a ready job after
 * that, so that a job that is committed in between is either seen or wakes it.
 * Then it ends its transaction, and sleeps holding no snapshot, lock or
 * transaction that matters.  The commit callback of a transaction that makes a
 * job ready wakes one waiter per job (jobq_waiters_wake()); the coordinator
 * wakes one for each job that becomes due.
 *
 * A wake-up is a hint to look, never the job itself.  The woken session looks
 * again, and goes back to sleep if another was faster.  A wake-up must not be
 * lost, though:
 *
 * - A waiter that leaves by error or timeout, or whose backend exits, after it
 *	 was woken passes the wake-up on to the next one.
 * - A client that is told "ready" and then dequeues nothing cannot be made to.
 *	 So a wake-up that leaves other waiters asleep makes the coordinator look
 *	 at the queues a second later and wake the next waiter if a job is still
 *	 there.  An idle client delays the job by a second, but the others do not
 *	 sleep forever.
 * - A ready job that another transaction has locked (take(), a claim that is
 *	 not committed) does not count: otherwise wait() would keep returning at
 *	 once until that transaction ends.  If the transaction leaves the job ready,
 *	 its end wakes a waiter (jobq_ready_note_locked()).
 *
 * If shared memory has no room for a queue, commits cannot know its waiters.
 * The coordinator wakes one when it looks at the queue (due.c), and each
 * waiter also looks every second.
 *
 * IDENTIFICATION
 *	  src/dispatch/wait.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/portals.h"
#include "compat.h"
#include "dispatch/look.h"
#include "job/uncounted.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/promise.h"
#include "shared/waiter.h"

#include <math.h>

#include "wait.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/pquery.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How often to look if commits do not wake us, in ms. */
#define NO_ROOM_RECHECK_MS 1000

/* Maximum time of one WaitLatch() call, in ms. */
#define MAX_SLEEP_MS 3600000

PG_FUNCTION_INFO_V1(jobq_wait);

/* What a session waits for. */
typedef struct Wait
{
	JobqWaiting waiting;
	FunctionCallInfo fcinfo;	/* of the call */
	const char *names[JOBQ_MAX_WAIT_QUEUES];
	bool		forever;
	bool		owes_wake;		/* was woken, and has not looked yet */
	bool		look_again;		/* must look every second: a job is held by
								 * others, or commits do not wake us */
	int64		start;			/* by jobq_stopwatch() */
	double		timeout_ms;
} Wait;

/* Unregisters the session; passes an unused wake-up on to another waiter. */
static void
leave(Wait *wait)
{
	if (!jobq_waiter_unregister(&wait->waiting) && !wait->owes_wake)
		return;
	for (int i = 0; i < wait->waiting.nqueues; i++)
		jobq_waiters_wake(MyDatabaseId, wait->waiting.queues[i], 1);
}

/* The same for PG_ENSURE_ERROR_CLEANUP. */
static void
leave_on_error(int code, Datum arg)
{
	leave((Wait *) DatumGetPointer(arg));
}

/*
 * Whether one of the queues has a ready job.  Privileges, and the right to use
 * jobq, may have been revoked, and queues dropped or renamed, while we slept:
 * 42501, 42704.
 */
static bool
is_ready(Wait *wait)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq look",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	bool		result = false;

	EnsurePortalSnapshotExists();
	jobq_recheck_function(wait->fcinfo, false);
	wait->look_again = false;
	for (int i = 0; i < wait->waiting.nqueues && !result; i++)
	{
		const JobqQueue *queue = jobq_queue_by_id(wait->waiting.queues[i]);

		if (queue == NULL || strcmp(queue->name, wait->names[i]) != 0)
			jobq_queue_report_missing(wait->names[i], JOBQ_PRIV_CONSUME);
		jobq_queue_check_privilege(queue, JOBQ_PRIV_CONSUME);
		if (!wait->waiting.counted[i] || jobq_queue_needs_notes(queue))
			wait->look_again = true;
		result = !queue->paused && queue->at_home &&
			!jobq_queue_needs_notes(queue) && jobq_look_finds_free_job(queue);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return result;
}

/* Reads the queues to wait for: 22023, 42704, 42501, 55000. */
static void
read_queues(ArrayType *array, Wait *wait)
{
	int			nelements;
	Datum	   *elements = jobq_array_elements("queues", array, TEXTOID, NULL,
											   &nelements);

	if (nelements == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queues must not be empty")));
	if (nelements > JOBQ_MAX_WAIT_QUEUES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many queues to wait for"),
				 errdetail("There are %d; at most %d are allowed.", nelements,
						   JOBQ_MAX_WAIT_QUEUES)));
	for (int i = 0; i < nelements; i++)
	{
		const JobqQueue *queue;

		wait->names[i] = TextDatumGetCString(elements[i]);
		queue = jobq_queue_require(wait->names[i], JOBQ_PRIV_CONSUME);
		jobq_queue_check_home(queue);
		wait->waiting.queues[i] = queue->id;
		wait->waiting.states[i] = queue->state;
	}
	wait->waiting.nqueues = nelements;
}

/* `then` is a time of jobq_stopwatch(). */
static double
milliseconds_since(int64 then)
{
	return (jobq_stopwatch() - then) / 1000.0;
}

/*
 * Reads notifications on channels that the session listens to and sends them to its client,
 * as an idle session does.  Otherwise they would stay in the server's queue, which is finite.
 * They can be read only outside a transaction: ends this one and begins another.
 */
static void
read_notifications(void)
{
	MemoryContext oldcontext;

	/* SPI expects to end transactions by itself */
	SPI_finish();
	oldcontext = CurrentMemoryContext;
	CommitTransactionCommand();
	ProcessNotifyInterrupt(true);
	StartTransactionCommand();
	pgstat_report_xact_timestamp(0);
	MemoryContextSwitchTo(oldcontext);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
}

/*
 * Sleeps until it is worth looking again.  Returns false on timeout.  The transaction
 * must have done nothing.
 */
static bool
sleep_until_woken(const Wait *wait)
{
	int64		start = jobq_stopwatch();

	for (;;)
	{
		double		left = wait->forever ? MAX_SLEEP_MS :
		wait->timeout_ms - milliseconds_since(wait->start);

		if (jobq_waiter_was_woken(false))
			return true;
		if (left <= 0)
			return false;
		if (wait->look_again)
		{
			left = Min(left, NO_ROOM_RECHECK_MS - milliseconds_since(start));
			if (left <= 0)
				return true;
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) ceil(Min(left, MAX_SLEEP_MS)),
						 JOBQ_WAIT_EVENT_WAIT);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (notifyInterruptPending)
			read_notifications();

		/* we may sleep for days: do not fall behind with invalidations */
		AcceptInvalidationMessages();
	}
}

/*
 * The same, reported as idle in pg_stat_activity, since monitoring warns about
 * sessions that are active or in a transaction for days.  After an error, the
 * session reports its state by itself.
 */
static bool
sleep_as_idle(const Wait *wait)
{
	uint64		query_id = pgstat_get_my_query_id();
	bool		result;

	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_xact_timestamp(0);
	result = sleep_until_woken(wait);
	pgstat_report_activity(STATE_RUNNING, NULL);
	pgstat_report_query_id(query_id, true);
	pgstat_report_xact_timestamp(GetCurrentTimestamp());
	return result;
}

/*
 * Waits.  The caller ensures that the session is unregistered in every case.
 */
static bool
wait_until_ready(Wait *wait)
{
	jobq_waiter_register(&wait->waiting);
	while (!is_ready(wait))
	{
		wait->owes_wake = false;

		/* no snapshot, lock or transaction id is kept while we sleep */
		SPI_commit();
		if (!sleep_as_idle(wait))
			return false;
		wait->owes_wake = jobq_waiter_was_woken(true);
	}
	wait->owes_wake = false;
	return true;
}

/*
 * Raises 25001 unless the CALL is a statement of its own: it ends the
 * transaction, which must not contain anybody's work.  Procedures and DO
 * blocks that may commit run it through a non-atomic SPI connection; earlier
 * statements of a pipeline leave a flag.  In any case, a transaction that has
 * an XID has done something, and one with a new cursor WITH HOLD will: functions
 * in the arguments of the CALL run in this transaction, too.
 */
static void
require_own_statement(FunctionCallInfo fcinfo)
{
	const char *where = NULL;

	if (IsTransactionBlock() || IsSubTransaction())
		where = "inside a transaction block";
	else if (MyXactFlags & XACT_FLAGS_PIPELINING)
		where = "within a pipeline, behind other statements";
	else if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
			 castNode(CallContext, fcinfo->context)->atomic ||
			 SPI_inside_nonatomic_context())
		where = "from a function, a procedure or DO";
	else if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		where = "in a transaction that has changed something";
	else if (jobq_portals_any_to_hold())
		where = "in a transaction that has opened a cursor WITH HOLD";
	if (where == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("CALL jobq.wait() cannot run %s", where),
			 errdetail("It ends the transaction, since it must hold no snapshot while it waits."),
			 errhint("Send CALL jobq.wait() as a statement of its own, with autocommit on.")));
}

/* Whether evaluating an argument of the CALL can have run any code. */
static bool
may_run_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Const:
		case T_Param:
			return false;
		case T_List:
		case T_NamedArgExpr:
		case T_ArrayExpr:
		case T_RelabelType:
			return expression_tree_walker(node, may_run_code, context);
		default:
			return true;
	}
}

/*
 * Undoes what functions in the arguments have done in this transaction, which has no
 * XID: statements of foreign servers, NOTIFY, LISTEN.  wait() may still fail, and
 * would have committed that.
 */
static void
undo_arguments(FunctionCallInfo fcinfo)
{
	Node	   *call = fcinfo->flinfo->fn_expr;

	if (call == NULL || !IsA(call, FuncExpr) ||
		may_run_code((Node *) castNode(FuncExpr, call)->args, NULL))
		SPI_rollback();
}

/*
 * wait(queues, timeout, INOUT ready): a procedure.  A NULL timeout waits
 * forever, 0 does not wait.
 */
Datum
jobq_wait(PG_FUNCTION_ARGS)
{
	Wait	   *wait = palloc0(sizeof(Wait));
	volatile bool ready = false;
	TupleDesc	tupdesc;
	Datum		value;
	bool		isnull = false;

	wait->fcinfo = fcinfo;
	jobq_require_shmem();
	jobq_require_primary("jobq.wait()");
	require_own_statement(fcinfo);
	wait->start = jobq_stopwatch();
	jobq_require_argument(fcinfo, 0, "queues");
	wait->forever = PG_ARGISNULL(1);
	if (!wait->forever)
		wait->timeout_ms =
			jobq_duration_argument(fcinfo, 1, "timeout", true) / 1000.0;
	EnsurePortalSnapshotExists();
	read_queues(PG_GETARG_ARRAYTYPE_P(0), wait);

	jobq_promise_break();
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	undo_arguments(fcinfo);
	PG_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(wait));
	{
		ready = wait_until_ready(wait);
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_on_error, PointerGetDatum(wait));
	leave(wait);
	SPI_finish();

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	value = BoolGetDatum(ready);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  &value, &isnull)));
}
