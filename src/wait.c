/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  Waiting for jobs from outside: CALL jobq.wait() and NOTIFY channels.
 *
 * A session in wait() has an entry in shared memory, jobq_shared->waiters[],
 * and sleeps on its latch.  It registers first and looks for a ready job
 * after that, so that a job that is committed in between is either seen or
 * wakes it.  Then it ends its transaction, and sleeps with no snapshot, lock
 * or transaction of importance.  The commit callback of whoever makes a job
 * ready wakes one waiter per job (jobq_waiters_wake()); the coordinator does
 * it for jobs that become due.
 *
 * A wake-up is a hint to look, never the job itself.  The woken session looks
 * again, and sleeps on if somebody was faster.  It must not be lost, though:
 *
 * - A waiter that leaves by error or timeout, or whose backend exits, after it
 *	 was woken passes the wake-up on to the next one.
 * - A client that is told "ready" and then dequeues nothing cannot be made to.
 *	 That is why whoever wakes a waiter while others sleep on has the
 *	 coordinator look at the queues a second later, which wakes the next
 *	 waiter if a job is still there.  So each idle client costs the job a
 *	 second, and the others do not sleep for ever.
 * - A ready job that another transaction has locked (take(), a claim that is
 *	 not committed) does not count, or wait() would return at once, again and
 *	 again, for as long as that transaction takes.  If that transaction leaves
 *	 the job ready, its end wakes a waiter (jobq_note_locked()).
 *
 * Where shared memory had no room for a queue commits cannot know of its
 * waiters.  The coordinator wakes one when it comes to the queue (due.c), and
 * each looks by itself, every second.
 *
 * JobqQueueState.waiting counts the registered waiters of a queue, the woken
 * ones included.  It only saves those who commit the search in waiters[] when
 * nobody waits.  It changes under JOBQ_LOCK_WAITERS, and is changed by the
 * waiter itself only, which does so just for entries that are still the
 * queue's: entries are freed when a queue is dropped.
 *
 * IDENTIFICATION
 *	  src/wait.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "arguments.h"
#include "claim.h"
#include "sandbox_rules.h"
#include "wait.h"
#include "xact.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "common/md5.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "tcop/pquery.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define CHANNEL_PREFIX "jobq."
#define MD5_HEX_LENGTH 32

/* How often to look if commits do not wake us, in ms. */
#define NO_ROOM_RECHECK_MS 1000

/*
 * When the coordinator looks whether those who were woken took their jobs, in
 * microseconds.  Short enough for an idle client to do no harm, long enough
 * for a busy one to be done.
 */
#define LOOK_AFTER USECS_PER_SEC

/* WaitLatch() is not asked to sleep longer than this at a time, in ms. */
#define MAX_SLEEP_MS 3600000

PG_FUNCTION_INFO_V1(jobq_channel);
PG_FUNCTION_INFO_V1(jobq_listen);
PG_FUNCTION_INFO_V1(jobq_unlisten);
PG_FUNCTION_INFO_V1(jobq_wait);

/* What a session waits for. */
typedef struct Wait
{
	int			nqueues;
	int32		queues[JOBQ_MAX_WAIT_QUEUES];
	const char *names[JOBQ_MAX_WAIT_QUEUES];
	JobqQueueState *states[JOBQ_MAX_WAIT_QUEUES];
	bool		counted[JOBQ_MAX_WAIT_QUEUES];	/* in states[]->waiting */
	bool		forever;
	bool		owes_wake;		/* was woken, and has not looked yet */
	bool		look_again;		/* must look every second: a job is held by
								 * others, or commits do not wake us */
	instr_time	start;
	double		timeout_ms;
} Wait;

/* ------------------------------------------------------------- channels */

char *
jobq_channel_name(const char *queue)
{
	const int	prefix_len = strlen(CHANNEL_PREFIX);
	int			len = strlen(queue);
	char		md5[MD5_HEX_LENGTH + 1];
	const char *error = NULL;

	if (prefix_len + len < NAMEDATALEN)
		return psprintf("%s%s", CHANNEL_PREFIX, queue);

	/* too long: as much as fits, and a checksum of the whole */
	if (!pg_md5_hash(queue, len, md5, &error))
		elog(ERROR, "could not compute MD5 hash: %s", error);
	len = pg_mbcliplen(queue, len,
					   NAMEDATALEN - 1 - prefix_len - 1 - MD5_HEX_LENGTH);
	return psprintf("%s%.*s.%s", CHANNEL_PREFIX, len, queue, md5);
}

/*
 * channel(queue): 42704 if there is no such queue, or the user has no
 * privilege on it: nobody is to learn here which queues there are.
 */
Datum
jobq_channel(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	const JobqQueue *queue;

	jobq_require_shmem();
	queue = jobq_queue_find(name);
	if (queue == NULL || !jobq_queue_allows(queue, GetUserId(), ~0))
		jobq_queue_report_missing(name, JOBQ_PRIV_CONSUME);
	PG_RETURN_TEXT_P(cstring_to_text(jobq_channel_name(name)));
}

/* listen(queue): needs the privilege to consume. */
Datum
jobq_listen(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");

	jobq_require_shmem();
	jobq_require_primary("jobq.listen()");
	(void) jobq_queue_require(name, JOBQ_PRIV_CONSUME);
	jobq_refuse_if_restricted("LISTEN");
	Async_Listen(jobq_channel_name(name));
	PG_RETURN_VOID();
}

/* unlisten(queue): works when the queue or the privilege is gone, too. */
Datum
jobq_unlisten(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");

	jobq_refuse_if_restricted("UNLISTEN");
	Async_Unlisten(jobq_channel_name(name));
	PG_RETURN_VOID();
}

/* --------------------------------------------------------- shared memory */

void
jobq_waiters_wake(Oid dboid, int32 queue, int njobs)
{
	bool		others = false;
	JobqQueueState *state;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->max_waiters && !others; i++)
	{
		JobqWaiter *waiter = &jobq_shared->waiters[i];

		if (waiter->dboid != dboid || waiter->woken)
			continue;
		for (int j = 0; j < waiter->nqueues; j++)
		{
			if (waiter->queues[j] != queue)
				continue;
			if (njobs > 0)
			{
				waiter->woken = true;
				jobq_wake_process(i);
				njobs--;
			}
			else
				others = true;
			break;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));

	/* those of a queue without room look by themselves in time */
	state = others ? jobq_find_queue_state(queue) : NULL;
	if (state != NULL)
		jobq_note_queue_due(state, jobq_now() + LOOK_AFTER);
}

static JobqWaiter *
my_waiter(void)
{
	int			procno = JOBQ_MY_PROC_NUMBER;

	if (procno < 0 || procno >= jobq_shared->max_waiters)
		elog(ERROR, "process number %d is out of range", procno);
	return &jobq_shared->waiters[procno];
}

/* Whether an entry in shared memory is still that of the queue. */
static bool
state_is_of(const JobqQueueState *state, int32 queue)
{
	return state != NULL && state->key.dboid == MyDatabaseId &&
		state->key.queue == queue;
}

static void
register_waiter(Wait *wait)
{
	JobqWaiter *waiter = my_waiter();

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	waiter->woken = false;
	waiter->nqueues = wait->nqueues;
	memcpy(waiter->queues, wait->queues, sizeof(waiter->queues));
	waiter->dboid = MyDatabaseId;
	for (int i = 0; i < wait->nqueues; i++)
	{
		wait->counted[i] = state_is_of(wait->states[i], wait->queues[i]);
		if (wait->counted[i])
			pg_atomic_fetch_add_u32(&wait->states[i]->waiting, 1);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));
}

/* Ends the registration, if there is one.  Returns whether it was woken. */
static bool
unregister_waiter(Wait *wait)
{
	JobqWaiter *waiter = my_waiter();
	bool		woken = false;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	if (OidIsValid(waiter->dboid))
	{
		woken = waiter->woken;
		waiter->dboid = InvalidOid;
		for (int i = 0; i < wait->nqueues; i++)
		{
			JobqQueueState *state = wait->states[i];

			if (wait->counted[i] && state_is_of(state, wait->queues[i]) &&
				pg_atomic_read_u32(&state->waiting) > 0)
				pg_atomic_fetch_sub_u32(&state->waiting, 1);
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));
	return woken;
}

/* Whether somebody woke us.  With `clear`, we can be woken again after it. */
static bool
was_woken(bool clear)
{
	JobqWaiter *waiter = my_waiter();
	bool		woken;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	woken = waiter->woken;
	if (clear)
		waiter->woken = false;
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));
	return woken;
}

/* Leaves; a wake-up that nothing was made of goes to somebody else. */
static void
leave(Wait *wait)
{
	if (!unregister_waiter(wait) && !wait->owes_wake)
		return;
	for (int i = 0; i < wait->nqueues; i++)
		jobq_waiters_wake(MyDatabaseId, wait->queues[i], 1);
}

/* The same for PG_ENSURE_ERROR_CLEANUP. */
static void
leave_on_error(int code, Datum arg)
{
	(void) code;
	leave((Wait *) DatumGetPointer(arg));
}

/* ------------------------------------------------------------- readiness */

/*
 * Whether one of the queues has a ready job.  Privileges may have been
 * revoked, and queues dropped or renamed, while we slept: 42501, 42704.
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
	wait->look_again = false;
	for (int i = 0; i < wait->nqueues && !result; i++)
	{
		const JobqQueue *queue = jobq_queue_by_id(wait->queues[i]);

		if (queue == NULL || strcmp(queue->name, wait->names[i]) != 0)
			jobq_queue_report_missing(wait->names[i], JOBQ_PRIV_CONSUME);
		jobq_queue_check_privilege(queue, JOBQ_PRIV_CONSUME);
		if (!wait->counted[i])
			wait->look_again = true;
		result = !queue->paused && queue->at_home &&
			jobq_queue_has_free_job(queue);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return result;
}

/* ------------------------------------------------------------------ wait */

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
				 errdetail("There are %d, at most %d are allowed.", nelements,
						   JOBQ_MAX_WAIT_QUEUES)));
	for (int i = 0; i < nelements; i++)
	{
		const JobqQueue *queue;

		wait->names[i] = TextDatumGetCString(elements[i]);
		queue = jobq_queue_require(wait->names[i], JOBQ_PRIV_CONSUME);
		jobq_queue_check_home(queue);
		wait->queues[i] = queue->id;
		wait->states[i] = queue->state;
	}
	wait->nqueues = nelements;
}

static double
milliseconds_since(instr_time then)
{
	instr_time	elapsed;

	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, then);
	return INSTR_TIME_GET_MILLISEC(elapsed);
}

/*
 * Sleeps until it is worth looking again.  False if the time is up and nobody
 * woke us.
 */
static bool
sleep_until_woken(const Wait *wait)
{
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	for (;;)
	{
		double		left = wait->forever ? MAX_SLEEP_MS :
		wait->timeout_ms - milliseconds_since(wait->start);

		if (was_woken(false))
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

		/* we may sleep for days: do not fall behind with invalidations */
		AcceptInvalidationMessages();
	}
}

/*
 * The same, as an idle session in pg_stat_activity: one that is active, or in
 * a transaction, for days is what monitors warn of.  An error on the way is
 * followed by what the session reports by itself.
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

/* Waits; the caller sees to it that we leave in every case. */
static bool
wait_until_ready(Wait *wait)
{
	register_waiter(wait);
	while (!is_ready(wait))
	{
		wait->owes_wake = false;

		/* no snapshot, lock or transaction id is kept while we sleep */
		SPI_commit();
		if (!sleep_as_idle(wait))
			return false;
		wait->owes_wake = was_woken(true);
	}
	wait->owes_wake = false;
	return true;
}

/*
 * Raises 25001 unless the CALL is a statement of its own: it ends the
 * transaction, which must not be anybody's work.  Procedures and DO that may
 * commit run it by a non-atomic SPI; statements that came before it in a
 * pipeline have left a flag.  Whatever way it was called, a transaction that
 * has an XID has done something.
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
	if (where == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("CALL jobq.wait() cannot run %s", where),
			 errdetail("It ends the transaction, since it must hold no snapshot while it waits."),
			 errhint("Send CALL jobq.wait() as a statement of its own, with autocommit on.")));
}

/*
 * wait(queues, timeout, INOUT ready): a procedure.  timeout NULL is for ever,
 * 0 just looks.
 */
Datum
jobq_wait(PG_FUNCTION_ARGS)
{
	Wait	   *wait = palloc0(sizeof(Wait));
	volatile bool ready = false;
	TupleDesc	tupdesc;
	Datum		value;
	bool		isnull = false;

	jobq_require_shmem();
	jobq_require_primary("jobq.wait()");
	require_own_statement(fcinfo);
	INSTR_TIME_SET_CURRENT(wait->start);
	jobq_require_argument(fcinfo, 0, "queues");
	wait->forever = PG_ARGISNULL(1);
	if (!wait->forever)
		wait->timeout_ms =
			jobq_duration_argument(fcinfo, 1, "timeout", true) / 1000.0;
	EnsurePortalSnapshotExists();
	read_queues(PG_GETARG_ARRAYTYPE_P(0), wait);

	SPI_connect_ext(SPI_OPT_NONATOMIC);
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
