/*-------------------------------------------------------------------------
 *
 * health_queue.c
 *	  Queues whose jobs wait, and why, for the view jobq.health.
 *
 * How long a queue's jobs have been waiting is read from the low end of each
 * of its priorities in the index job_dispatch.  Jobs held by a lease, or
 * locked by a transaction that runs them, are also found there; they do not
 * wait, and show that the queue is being worked.  At most MAX_ROWS rows are
 * read for a queue.
 *
 * For an administrator all queues are checked.  So work common to many of them
 * is done once: the index scan is opened once, and a handler is looked up once
 * for each owner.  A queue without findings is not read.
 *
 * IDENTIFICATION
 *	  src/health/health_queue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_queue.h"

#include "base/extension.h"
#include "base/subtransaction.h"
#include "base/table.h"
#include "common/jobstate.h"
#include "compat.h"
#include "guc.h"
#include "health/health_late.h"
#include "queue/handler.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "shared/slot.h"

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
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define MAX_ROWS 1000

/* The scan for jobs; open while all queues are checked. */
typedef struct JobScan
{
	Relation	rel;
	Relation	index;
	Snapshot	snapshot;
	TupleTableSlot *slot;
	IndexScanDesc scan;
} JobScan;

/* A handler that was looked up as an owner. */
typedef struct HandlerKey
{
	uint64		handler;		/* jobq_handler_hash() */
	Oid			owner;
	int32		unused;			/* always 0: keys are compared as memory */
} HandlerKey;

typedef struct HandlerEntry
{
	HandlerKey	key;
	char	   *problem;		/* NULL: none */
} HandlerEntry;

/* How many findings there are of a kind. */
typedef struct Kind
{
	JobqSeverity severity;
	const char *topic;
	int			count;
} Kind;

/* A look at all queues. */
typedef struct Look
{
	JobqHealth *health;
	List	   *kinds;			/* of Kind */
	JobScan		jobs;
	HTAB	   *handlers;		/* of HandlerEntry */
	MemoryContext context;		/* as long as the look */
} Look;

/* State of the check of a queue. */
typedef struct QueueCheck
{
	Look	   *look;
	JobqHealth *health;
	const JobqQueueBrief *brief;
	const JobqQueue *queue;		/* NULL: not read yet */
	TimestampTz oldest;			/* run_at of the ready job that has waited
								 * longest, or JOBQ_NEVER */
	bool		is_worked;		/* a job of it is locked or leased */
	JobqHeldJob held;			/* a job of executors that others have locked */
} QueueCheck;

static void
open_scan(JobScan *jobs)
{
	jobs->rel = table_open(jobq_relation_oid(JOBQ_REL_JOB), AccessShareLock);
	jobs->index = index_open(jobq_relation_oid(JOBQ_IDX_JOB_DISPATCH),
							 AccessShareLock);
	jobs->snapshot = RegisterSnapshot(GetLatestSnapshot());
	jobs->slot = table_slot_create(jobs->rel, NULL);
	jobs->scan = jobq_index_beginscan(jobs->rel, jobs->index, jobs->snapshot,
									  2);
}

static void
close_scan(JobScan *jobs)
{
	index_endscan(jobs->scan);
	ExecDropSingleTupleTableSlot(jobs->slot);
	UnregisterSnapshot(jobs->snapshot);
	index_close(jobs->index, AccessShareLock);
	table_close(jobs->rel, AccessShareLock);
}

/*
 * Notes the first job for executors that has been locked for some time by a
 * session that is not one of them.
 */
static void
note_held(QueueCheck *check, TupleTableSlot *slot, TimestampTz run_at)
{
	bool		isnull;
	int			pid;

	if (check->held.job_id != 0 || !check->brief->has_executors ||
		run_at > check->health->now - JOBQ_HEALTH_LATE_AFTER)
		return;
	pid = jobq_row_holder(slot);
	if (pid == 0 || jobq_worker_is_process(pid))
		return;
	check->held.job_id = DatumGetInt64(slot_getattr(slot, Anum_job_id,
													&isnull));
	check->held.run_at = run_at;
	check->held.pid = pid;
}

/* Whether the slot's row is a waiting job; notes if it is being worked. */
static bool
is_waiting(QueueCheck *check, TupleTableSlot *slot, TimestampTz run_at)
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
	note_held(check, slot, run_at);
	return false;
}

/* Moves the scan to the first job of priority >= `priority`. */
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

/*
 * Sets check->oldest, is_worked if a job is being worked, and held.  The scan
 * is used in the memory context in which it was opened, since it may allocate
 * data that it keeps.
 */
static void
find_oldest(QueueCheck *check)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(check->look->context);
	IndexScanDesc scan = check->look->jobs.scan;
	TupleTableSlot *slot = check->look->jobs.slot;
	int			nrows = 0;

	seek(scan, check->brief->id, PG_INT16_MIN);
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
			if (!is_waiting(check, slot, run_at))
				continue;
			check->oldest = Min(check->oldest, run_at);
		}
		/* what follows at this priority came later */
		if (priority == PG_INT16_MAX)
			break;
		seek(scan, check->brief->id, priority + 1);
	}
	ExecClearTuple(slot);
	MemoryContextSwitchTo(oldcontext);
}

/* Counts findings of a kind; returns how many there are now. */
static int
count_finding(Look *look, JobqSeverity severity, const char *topic)
{
	MemoryContext oldcontext;
	Kind	   *kind = NULL;
	ListCell   *lc;

	foreach(lc, look->kinds)
	{
		kind = lfirst(lc);
		if (kind->severity == severity && strcmp(kind->topic, topic) == 0)
			return ++kind->count;
	}
	oldcontext = MemoryContextSwitchTo(look->context);
	kind = palloc(sizeof(Kind));
	kind->severity = severity;
	kind->topic = topic;
	kind->count = 1;
	look->kinds = lappend(look->kinds, kind);
	MemoryContextSwitchTo(oldcontext);
	return 1;
}

/* `topic` is a constant. */
static void
add(const QueueCheck *check, JobqSeverity severity, const char *topic,
	const char *message, const char *hint)
{
	if (count_finding(check->look, severity, topic) <= JOBQ_HEALTH_MAX_OBJECTS)
		jobq_health_add(check->health,
						.severity = severity,
						.topic = topic,
						.object = check->queue->name,
						.message = message,
						.hint = hint,
						.since = check->oldest);
}

/* Adds a row for the queues of each kind that are not named. */
static void
report_rest(const Look *look)
{
	ListCell   *lc;

	foreach(lc, look->kinds)
	{
		const Kind *kind = lfirst(lc);

		if (kind->count > JOBQ_HEALTH_MAX_OBJECTS)
			jobq_health_add(look->health,
							.severity = kind->severity,
							.topic = kind->topic,
							.message = psprintf("there are %d more such queues",
												kind->count - JOBQ_HEALTH_MAX_OBJECTS),
							.hint = "See jobq.queues.");
	}
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

/* What is wrong with a queue's handler, or NULL; in the current context. */
static char *
find_handler_problem(const JobqQueue *queue)
{
	ErrorData  *error =
	jobq_subtransaction(look_up_handler, unconstify(JobqQueue *, queue));

	if (error == NULL)
		return NULL;
	return psprintf("the queue's handler cannot be called: %s%s%s",
					error->message, error->detail != NULL ? "; " : "",
					error->detail != NULL ? error->detail : "");
}

static HandlerEntry *
find_handler(const QueueCheck *check, HASHACTION action)
{
	HandlerKey	key = {0};

	key.handler = check->brief->handler;
	key.owner = check->brief->owner;
	return hash_search(check->look->handlers, &key, action, NULL);
}

/* The same; looks up each handler once for each owner. */
static const char *
handler_problem(const QueueCheck *check)
{
	HandlerEntry *entry = find_handler(check, HASH_FIND);
	char	   *problem;

	if (entry != NULL)
		return entry->problem;
	problem = find_handler_problem(check->queue);
	find_handler(check, HASH_ENTER)->problem = problem == NULL ? NULL :
		MemoryContextStrdup(check->look->context, problem);
	return problem;
}

/*
 * Reports that the owner of a queue cannot run its jobs.  The problem of a
 * role is reported once for each severity, with its first queue.
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

/* Reports a queue without an owner, even one that came with a copy. */
static void
report_no_owner(const QueueCheck *check)
{
	const JobqQueue *queue = check->queue;
	char	   *name = quote_literal_cstr(queue->name);

	add(check, check->oldest == JOBQ_NEVER ? JOBQ_WARNING : JOBQ_CRITICAL,
		"owner",
		"the queue has no owner: that role was dropped, or was missing when a dump was restored",
		queue->is_run ?
		psprintf("Use jobq.drop_queue(%s, force => true); its commands can run only as that role.",
				 name) :
		psprintf("As a superuser, use jobq.alter_queue(%s, owner => ...), and jobq.grant_queue() if the role was missing.",
				 name));
}

/* Whether the owner of a queue with executors can run its jobs. */
static bool
check_owner(const QueueCheck *check)
{
	const JobqQueue *queue = check->queue;
	JobqSeverity severity =
	check->oldest == JOBQ_NEVER ? JOBQ_WARNING : JOBQ_CRITICAL;
	const char *problem = jobq_queue_owner_problem(queue->owner);

	if (problem != NULL)
	{
		report_owner(check, severity, problem);
		return false;
	}
	if (queue->handler == NULL)
		return true;
	problem = handler_problem(check);
	if (problem == NULL)
		return true;
	add(check, severity, "handler", problem,
		"Fix the function, or give the queue another handler with jobq.alter_queue().");
	return false;
}

/* Reports a queue with executors whose jobs have been waiting for long. */
static void
report_slow_executors(const QueueCheck *check)
{
	JobqWorkerCounts counts;

	jobq_slots_count(MyDatabaseId, check->queue->owner, &counts);
	if (jobq_max_workers == 0)
		add(check, JOBQ_CRITICAL, "not worked",
			"ready jobs are waiting, and jobq.max_workers is 0",
			"Increase jobq.max_workers and reload the configuration.");
	else if (jobq_max_workers_per_role > 0 &&
			 counts.of_role >= jobq_max_workers_per_role)
		add(check, JOBQ_WARNING, "worker slots",
			psprintf("ready jobs are waiting, but the queue's owner already has its maximum of %d workers on this server",
					 counts.of_role),
			"To run them sooner, increase jobq.max_workers_per_role.");
	else if (counts.starting + counts.idle + counts.busy > 0)
		add(check, JOBQ_INFO, "backlog",
			"jobs are waiting although the queue's owner has workers",
			counts.total >= jobq_max_workers ?
			"To run them sooner, increase jobq.max_workers and, if necessary, max_worker_processes." :
			"More workers are allowed. If the server log says that no background worker slot is free, increase max_worker_processes.");
	else
		add(check, JOBQ_WARNING, "not worked",
			"ready jobs are waiting, but the queue's owner has no worker",
			"See the findings with topic \"worker slots\" and the server log.");
}

/*
 * Reports a queue for external workers whose jobs have been waiting for long.
 */
static void
report_slow_consumers(const QueueCheck *check)
{
	if (check->is_worked)
		add(check, JOBQ_INFO, "backlog",
			"jobs are waiting although the queue is being worked",
			"To run them sooner, start more workers.");
	else
		add(check, JOBQ_WARNING, "not worked",
			"ready jobs are waiting, but no worker holds a job of the queue",
			"Start a worker that takes jobs from the queue, or give the queue a handler.");
}

/* Whether nothing is known to keep the owner from running jobs. */
static bool
is_runnable(const QueueCheck *check)
{
	HandlerEntry *entry;

	if (jobq_queue_owner_problem(check->brief->owner) != NULL)
		return false;
	if (check->brief->handler == 0)
		return true;
	entry = find_handler(check, HASH_FIND);
	return entry != NULL && entry->problem == NULL;
}

static bool
has_no_owner(const QueueCheck *check)
{
	return !SearchSysCacheExists1(AUTHOID,
								  ObjectIdGetDatum(check->brief->owner));
}

/* Whether there may be a finding about a queue. */
static bool
is_remarkable(const QueueCheck *check)
{
	const JobqQueueBrief *brief = check->brief;

	if (has_no_owner(check))
		return true;
	if (!brief->at_home)
		return false;
	if (brief->has_executors && !is_runnable(check))
		return true;
	if (check->held.job_id != 0)
		return true;
	return check->oldest != JOBQ_NEVER &&
		(brief->paused ||
		 check->oldest <= check->health->now - JOBQ_HEALTH_JOB_AGE);
}

/* Reports the findings about a queue, which has been read. */
static void
report_queue(const QueueCheck *check)
{
	JobqHealth *health = check->health;
	const JobqQueue *queue = check->queue;

	if (has_no_owner(check))
	{
		report_no_owner(check);
		return;
	}
	if (jobq_queue_has_executors(queue) && !check_owner(check))
		return;
	if (check->held.job_id != 0 && health->runs_jobs && !queue->paused)
		jobq_health_report_held_job(health, queue, &check->held);
	if (check->oldest == JOBQ_NEVER)
		return;
	if (queue->paused)
	{
		add(check, JOBQ_WARNING, "paused",
			"the queue is paused, and jobs are waiting", "Use jobq.resume().");
		return;
	}
	if (check->oldest > health->now - JOBQ_HEALTH_JOB_AGE)
		return;
	if (!jobq_queue_has_executors(queue))
		report_slow_consumers(check);
	else if (health->runs_jobs)
		report_slow_executors(check);
}

/* `queue` is NULL if it has not been read. */
static void
check_queue(Look *look, const JobqQueueBrief *brief, const JobqQueue *queue)
{
	JobqHealth *health = look->health;
	QueueCheck	check = {
		.look = look,.health = health,.brief = brief,.queue = queue,
		.oldest = JOBQ_NEVER
	};

	if (brief->at_home)
		find_oldest(&check);
	else
		health->foreign_queues++;
	if (!is_remarkable(&check))
		return;
	if (check.queue == NULL)
		check.queue = jobq_queue_by_id(brief->id);
	if (check.queue != NULL)
		report_queue(&check);
}

static void
begin_look(Look *look, JobqHealth *health)
{
	HASHCTL		info = {0};

	look->health = health;
	look->kinds = NIL;
	look->context = CurrentMemoryContext;
	info.keysize = sizeof(HandlerKey);
	info.entrysize = sizeof(HandlerEntry);
	info.hcxt = look->context;
	look->handlers = hash_create("jobq handlers", 64, &info,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	open_scan(&look->jobs);
}

static void
end_look(Look *look)
{
	report_rest(look);
	close_scan(&look->jobs);
	hash_destroy(look->handlers);
}

/* For readers that may read all queues. */
static void
check_all_queues(Look *look)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(CurrentMemoryContext);
		if (briefs[i].state == NULL)
			look->health->queues_without_room++;
		check_queue(look, &briefs[i], NULL);
	}
}

/* For other readers: the queues on which they have privileges. */
static void
check_own_queues(Look *look)
{
	JobqHealth *health = look->health;
	ListCell   *lc;

	foreach(lc, health->queues)
	{
		const JobqQueue *queue;
		JobqQueueBrief brief = {0};

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(CurrentMemoryContext);
		queue = jobq_queue_by_id(lfirst_int(lc));
		if (queue == NULL)
			continue;
		if (queue->state == NULL)
			health->queues_without_room++;
		if (!jobq_queue_allows(queue, health->reader,
							   JOBQ_PRIV_READ | JOBQ_PRIV_CONSUME |
							   JOBQ_PRIV_MANAGE))
			continue;
		brief.id = queue->id;
		brief.owner = queue->owner;
		brief.has_executors = jobq_queue_has_executors(queue);
		brief.at_home = queue->at_home;
		brief.paused = queue->paused;
		brief.handler = queue->handler == NULL ? 0 :
			jobq_handler_hash(queue->handler, strlen(queue->handler));
		check_queue(look, &brief, queue);
	}
}

void
jobq_health_check_queues(JobqHealth *health)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq health",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext;
	Look		look;

	begin_look(&look, health);
	oldcontext = MemoryContextSwitchTo(context);
	if (health->reads_all)
		check_all_queues(&look);
	else
		check_own_queues(&look);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	end_look(&look);
}
