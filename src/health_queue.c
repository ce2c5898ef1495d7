/*-------------------------------------------------------------------------
 *
 * health_queue.c
 *	  Queues whose jobs wait, and why, for the view jobq.health.
 *
 * How long a queue's jobs have been waiting is read from the low end of each of
 * its priorities in the index job_dispatch.  Jobs that are held by a lease, or
 * locked by a transaction that works them, stand there as well; they do not
 * wait, and tell that somebody works the queue.  No more than MAX_ROWS rows are
 * looked at for a queue.
 *
 * IDENTIFICATION
 *	  src/health_queue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health.h"

#include "catalog.h"
#include "common/jobstate.h"
#include "guc.h"
#include "handler.h"
#include "queue.h"
#include "subtransaction.h"
#include "table.h"
#include "worker_slot.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define MAX_ROWS 1000

/* What is known of a queue. */
typedef struct QueueCheck
{
	JobqHealth *health;
	const JobqQueue *queue;
	TimestampTz oldest;			/* run_at of the ready job that waits for
								 * longest, JOBQ_NEVER: none does */
	bool		is_worked;		/* by somebody, as it seems */
} QueueCheck;

/* Whether the slot's row is a job that waits; notes if somebody works it. */
static bool
is_waiting(QueueCheck *check, TupleTableSlot *slot)
{
	bool		isnull;
	JobqState	state = (JobqState)
	DatumGetInt16(slot_getattr(slot, Anum_job_state, &isnull));
	TimestampTz lease_until =
	DatumGetTimestampTz(slot_getattr(slot, Anum_job_lease_until, &isnull));

	if (state == JOBQ_STATE_RUNNING && lease_until > check->health->now)
	{
		check->is_worked = true;
		return false;
	}
	if (state != JOBQ_STATE_PENDING && state != JOBQ_STATE_RUNNING)
		return false;
	if (!jobq_row_is_held(slot))
		return true;
	check->is_worked = true;
	return false;
}

/* Has the scan go on at the first job of priority >= `priority`. */
static void
seek(IndexScanDesc scan, int32 queue, int priority)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT2GE,
				Int16GetDatum((int16) priority));
	index_rescan(scan, keys, 2, NULL, 0);
}

/* Sets check->oldest, and is_worked if a job is being worked. */
static void
find_oldest(QueueCheck *check)
{
	Relation	rel = table_open(jobq_relation_oid(JOBQ_REL_JOB),
								 AccessShareLock);
	Relation	index = index_open(jobq_relation_oid(JOBQ_IDX_JOB_DISPATCH),
								   AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	IndexScanDesc scan = jobq_index_beginscan(rel, index, snapshot, 2);
	int			nrows = 0;

	seek(scan, check->queue->id, PG_INT16_MIN);
	while (nrows++ < MAX_ROWS &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		TimestampTz run_at =
		DatumGetTimestampTz(slot_getattr(slot, Anum_job_run_at, &isnull));
		int16		priority =
		DatumGetInt16(slot_getattr(slot, Anum_job_priority, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (run_at <= check->health->now)
		{
			if (!is_waiting(check, slot))
				continue;
			check->oldest = Min(check->oldest, run_at);
		}
		/* what follows at this priority came later */
		if (priority == PG_INT16_MAX)
			break;
		seek(scan, check->queue->id, priority + 1);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
}

static void
add(const QueueCheck *check, JobqSeverity severity, const char *topic,
	const char *message, const char *hint)
{
	jobq_health_add(check->health, severity, topic, check->queue->name,
					message, hint, check->oldest);
}

/*
 * Looks a queue's handler up as its owner, as executors do.  For
 * jobq_subtransaction().
 */
static void
look_up_handler(void *arg)
{
	const JobqQueue *queue = arg;
	JobqHandler handler;
	Oid			userid;
	int			sec_context;
	Oid			function;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(queue->owner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	function = jobq_function_lookup(queue->handler);
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s does not exist", queue->handler)));
	if (!jobq_may_execute(function, queue->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s",
						queue->handler)));
	jobq_handler_describe(function, &handler);
	SetUserIdAndSecContext(userid, sec_context);
}

/*
 * The owner of a queue cannot run its jobs.  What is wrong with a role is told
 * once for each severity, with the queue that comes first, however many it has.
 */
static void
report_owner(const QueueCheck *check, JobqSeverity severity,
			 const char *problem)
{
	Oid			owner = check->queue->owner;
	char	   *name = GetUserNameFromId(owner, true);
	const char *hint;

	List	  **told = &check->health->bad_owners[severity];
	MemoryContext oldcontext;

	if (name == NULL || list_member_oid(*told, owner))
		return;
	oldcontext = MemoryContextSwitchTo(check->health->context);
	*told = lappend_oid(*told, owner);
	MemoryContextSwitchTo(oldcontext);
	if (!jobq_may_connect(MyDatabaseId, owner))
		hint = psprintf("Use GRANT CONNECT ON DATABASE %s TO %s.",
						quote_identifier(get_database_name(MyDatabaseId)),
						quote_identifier(name));
	else
		hint = psprintf("Use ALTER ROLE %s LOGIN, or give its queues another owner with jobq.alter_queue().",
						quote_identifier(name));
	add(check, severity, "owner",
		psprintf("the queue's owner, \"%s\", cannot run the jobs of any of its queues: %s",
				 name, problem), hint);
}

/*
 * A queue that belongs to nobody, at home or not; false if it has an owner.
 * `nqueues` counts them.
 */
static bool
report_no_owner(QueueCheck *check, int *nqueues)
{
	const JobqQueue *queue = check->queue;
	char	   *name = quote_literal_cstr(queue->name);

	if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(queue->owner)))
		return false;
	if ((*nqueues)++ >= JOBQ_HEALTH_MAX_OBJECTS)
		return true;
	if (queue->at_home)
		find_oldest(check);
	add(check, check->oldest == JOBQ_NEVER ? JOBQ_WARNING : JOBQ_CRITICAL,
		"owner",
		"the queue has no owner: that role was dropped, or was missing where a dump was restored",
		queue->is_run ?
		psprintf("Use jobq.drop_queue(%s, force => true): its commands were to run as that role.",
				 name) :
		psprintf("As a superuser, use jobq.alter_queue(%s, owner => ...), and jobq.grant_queue() if it was missing.",
				 name));
	return true;
}

/* Whether the owner of a queue with executors can run its jobs. */
static bool
check_owner(const QueueCheck *check)
{
	const JobqQueue *queue = check->queue;
	JobqSeverity severity =
	check->oldest == JOBQ_NEVER ? JOBQ_WARNING : JOBQ_CRITICAL;
	const char *problem = jobq_queue_owner_problem(queue->owner);
	ErrorData  *error;

	if (problem != NULL)
	{
		report_owner(check, severity, problem);
		return false;
	}
	if (queue->handler == NULL)
		return true;
	error = jobq_subtransaction(look_up_handler, unconstify(JobqQueue *, queue));
	if (error == NULL)
		return true;
	add(check, severity, "handler",
		psprintf("the queue's handler cannot be called: %s%s%s",
				 error->message, error->detail != NULL ? "; " : "",
				 error->detail != NULL ? error->detail : ""),
		"Make it good, or give the queue another handler with jobq.alter_queue().");
	return false;
}

/* A queue with executors whose jobs have been waiting for long. */
static void
report_slow_executors(const QueueCheck *check)
{
	JobqWorkerCounts counts;

	jobq_worker_count(MyDatabaseId, check->queue->owner, &counts);
	if (jobq_max_workers == 0)
		add(check, JOBQ_CRITICAL, "not worked",
			"ready jobs wait, and jobq.max_workers is 0",
			"Increase jobq.max_workers and reload the configuration.");
	else if (jobq_max_workers_per_role > 0 &&
			 counts.of_role >= jobq_max_workers_per_role)
		add(check, JOBQ_WARNING, "worker slots",
			psprintf("ready jobs wait, and the queue's owner has the %d workers of the server that it may have, in all databases",
					 counts.of_role),
			"If they are to run sooner, increase jobq.max_workers_per_role.");
	else if (counts.starting + counts.idle + counts.busy > 0)
		add(check, JOBQ_INFO, "backlog",
			"jobs wait though workers of the queue's owner are there",
			"If they are to run sooner, increase jobq.max_workers.");
	else
		add(check, JOBQ_WARNING, "not worked",
			"ready jobs wait, and there is no worker of the queue's owner",
			"See the topic \"worker slots\" here, and the server log.");
}

/* A queue for external workers whose jobs have been waiting for long. */
static void
report_slow_consumers(const QueueCheck *check)
{
	if (check->is_worked)
		add(check, JOBQ_INFO, "backlog",
			"jobs wait though the queue is being worked",
			"If they are to run sooner, start more workers.");
	else
		add(check, JOBQ_WARNING, "not worked",
			"ready jobs wait, and nobody holds a job of the queue",
			"Start a worker that takes jobs of the queue, or give it a handler.");
}

/* `nownerless` counts queues without an owner. */
static void
check_queue(JobqHealth *health, const JobqQueue *queue, int *nownerless)
{
	QueueCheck	check = {
		.health = health,.queue = queue,.oldest = JOBQ_NEVER
	};

	if (!queue->at_home)
		health->foreign_queues++;
	if (report_no_owner(&check, nownerless) || !queue->at_home)
		return;
	find_oldest(&check);
	if (jobq_queue_has_executors(queue) && !check_owner(&check))
		return;
	if (check.oldest == JOBQ_NEVER)
		return;
	if (queue->paused)
	{
		add(&check, JOBQ_WARNING, "paused",
			"the queue is paused, and jobs wait", "Use jobq.resume().");
		return;
	}
	if (check.oldest > health->now - JOBQ_HEALTH_JOB_AGE)
		return;
	if (!jobq_queue_has_executors(queue))
		report_slow_consumers(&check);
	else if (health->runs_jobs)
		report_slow_executors(&check);
}

void
jobq_health_check_queues(JobqHealth *health)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq health",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	ListCell   *lc;
	int			nownerless = 0;

	foreach(lc, health->queues)
	{
		const JobqQueue *queue;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		queue = jobq_queue_by_id(lfirst_int(lc));
		if (queue == NULL ||
			!jobq_queue_allows(queue, health->reader,
							   JOBQ_PRIV_READ | JOBQ_PRIV_CONSUME |
							   JOBQ_PRIV_MANAGE))
			continue;
		check_queue(health, queue, &nownerless);
	}
	MemoryContextSwitchTo(oldcontext);
	if (nownerless > JOBQ_HEALTH_MAX_OBJECTS)
		jobq_health_add(health, JOBQ_WARNING, "owner", NULL,
						psprintf("there are %d more queues without an owner",
								 nownerless - JOBQ_HEALTH_MAX_OBJECTS),
						"See jobq.queues, WHERE owner NOT IN (SELECT oid FROM pg_roles).", JOBQ_NEVER);
	MemoryContextDelete(context);
}
