/*-------------------------------------------------------------------------
 *
 * health_queue.c
 *	  Queues whose jobs wait, and why, for the view jobq.health.
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

#include "base/rights.h"
#include "compat.h"
#include "guc.h"
#include "health/health_group.h"
#include "health/health_handler.h"
#include "health/health_late.h"
#include "health/health_limit.h"
#include "health/health_report.h"
#include "health/health_wait.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_room.h"
#include "queue/queue_row.h"
#include "shared/slot.h"
#include "shared/throttle.h"

#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

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
	JobqWaitScan jobs;
	JobqHandlerChecks handlers;
	MemoryContext context;		/* as long as the look */
	const JobqQueueBrief *all;	/* NULL: the reader may not read all queues */
	int			nall;
} Look;

/* State of the check of a queue. */
typedef struct QueueCheck
{
	Look	   *look;
	JobqHealth *health;
	const JobqQueueBrief *brief;
	const JobqQueue *queue;		/* NULL: not read yet */
	JobqQueueWait wait;
} QueueCheck;

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

/* Adds one finding, unless there are too many; its topic is a constant. */
static void
add_finding(const QueueCheck *check, const JobqFinding *finding)
{
	if (count_finding(check->look, finding->severity, finding->topic) <=
		JOBQ_HEALTH_MAX_OBJECTS)
		jobq_health_add_finding(check->health, finding);
}

/* The same, of the queue and the jobs that wait for a worker. */
static void
add(const QueueCheck *check, JobqSeverity severity, const char *topic,
	const char *message, const char *hint)
{
	JobqFinding finding = {
		.severity = severity,.topic = topic,.object = check->queue->name,
		.message = message,.hint = hint,.since = check->wait.oldest
	};

	add_finding(check, &finding);
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

/* What to do about a queue without an owner: its limit needs one first. */
static const char *
owner_hint(const JobqQueue *queue)
{
	char	   *name = quote_literal_cstr(queue->name);
	const char *limit = jobq_health_ownerless_limit(queue);

	if (queue->is_run)
		return psprintf("Use jobq.drop_queue(%s, force => true); its commands can run only as that role.",
						name);
	if (limit != NULL)
		return psprintf("As a superuser, use jobq.alter_limit(%s, owner => ...), then jobq.alter_queue(%s, owner => ...), and jobq.grant_queue() if the role was missing.",
						quote_literal_cstr(limit), name);
	return psprintf("As a superuser, use jobq.alter_queue(%s, owner => ...), and jobq.grant_queue() if the role was missing.",
					name);
}

/* Reports a queue without an owner, even one that came with a copy. */
static void
report_no_owner(const QueueCheck *check)
{

	add(check, check->wait.oldest == JOBQ_NEVER ? JOBQ_WARNING : JOBQ_CRITICAL,
		"owner",
		"the queue has no owner: that role was dropped, or was missing when a dump was restored",
		owner_hint(check->queue));
}

/*
 * What to do about a handler that cannot be called.  One that takes jobq.job needs
 * its owner to have the use of jobq.
 */
static const char *
handler_hint(const JobqQueue *queue)
{
	char	   *owner = GetUserNameFromId(queue->owner, true);

	if (owner != NULL && strstr(queue->handler, "(jobq.job") != NULL &&
		!jobq_may_call("enqueue", queue->owner))
		return psprintf("Use jobq.grant_usage(%s), or give the queue a handler that takes jsonb.",
						quote_literal_cstr(quote_identifier(owner)));
	return "Fix the function, or give the queue another handler with jobq.alter_queue().";
}

/* Whether the owner of a queue with executors can run its jobs. */
static bool
check_owner(const QueueCheck *check)
{
	const JobqQueue *queue = check->queue;
	JobqSeverity severity =
	check->wait.oldest == JOBQ_NEVER ? JOBQ_WARNING : JOBQ_CRITICAL;
	const char *problem = jobq_queue_owner_problem(queue->owner);

	if (problem != NULL)
	{
		report_owner(check, severity, problem);
		return false;
	}
	if (queue->handler == NULL)
		return true;
	problem = jobq_health_handler_problem(&check->look->handlers, check->brief,
										  queue);
	if (problem == NULL)
		return true;
	add(check, severity, "handler", problem, handler_hint(queue));
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
	if (check->wait.is_worked)
		add(check, JOBQ_INFO, "backlog",
			"jobs are waiting although the queue is being worked",
			"To run them sooner, start more workers.");
	else
		add(check, JOBQ_WARNING, "not worked",
			"ready jobs are waiting, but no worker holds a job of the queue",
			"Start a worker that takes jobs from the queue, or give the queue a handler.");
}

/*
 * Reports a queue that is shut at this moment; false if it is not.  What does not
 * end by itself comes before what does.
 */
static bool
report_shut(const QueueCheck *check)
{
	const JobqQueue *queue = check->queue;
	JobqQueueState *state = queue->state;
	TimestampTz until;
	JobqFinding full;
	JobqFinding rate;
	bool		is_full = jobq_health_find_full(queue, &full);

	if (is_full && full.severity != JOBQ_INFO)
	{
		add(check, full.severity, full.topic, full.message, full.hint);
		return true;
	}
	if (state != NULL && jobq_throttle_is_set(state) &&
		jobq_throttle_holds(state, &until))
	{
		add(check, JOBQ_INFO, "throttled",
			psprintf("jobs are waiting, since the queue is throttled until %s",
					 timestamptz_to_str(until)),
			psprintf("Use jobq.throttle(%s, '0') to end that.",
					 quote_literal_cstr(queue->name)));
		return true;
	}
	if (jobq_health_find_rate(queue, &rate))
		add(check, rate.severity, rate.topic, rate.message, rate.hint);
	else if (is_full)
		add(check, full.severity, full.topic, full.message, full.hint);
	else
		return false;
	return true;
}

/* Whether nothing is known to keep the owner from running jobs. */
static bool
is_runnable(const QueueCheck *check)
{
	if (jobq_queue_owner_problem(check->brief->owner) != NULL)
		return false;
	return check->brief->handler == 0 ||
		jobq_health_handler_is_good(&check->look->handlers, check->brief);
}

static bool
has_no_owner(const QueueCheck *check)
{
	return !SearchSysCacheExists1(AUTHOID,
								  ObjectIdGetDatum(check->brief->owner));
}

/* Whether it is time to tell of a job that has waited since then; JOBQ_NEVER: none. */
static bool
is_long_ago(const QueueCheck *check, TimestampTz since)
{
	return since != JOBQ_NEVER &&
		since <= check->health->now - JOBQ_HEALTH_JOB_AGE;
}

/* When the first of the jobs that wait, for a worker or not, became ready. */
static TimestampTz
waits_since(const QueueCheck *check)
{
	return Min(check->wait.oldest, check->wait.group.since);
}

/*
 * Whether nobody is told of the queue's dead jobs.  The on_dead queue is not read if its
 * owner is the queue's own, where that is known.
 */
static bool
lacks_reports(const QueueCheck *check)
{
	const JobqQueueBrief *brief = check->brief;
	const JobqQueueBrief *target;

	if (brief->on_dead == JOBQ_NO_QUEUE)
		return false;
	target = jobq_queue_brief_in(check->look->all, check->look->nall,
								 brief->on_dead);
	return (target == NULL || target->owner != brief->owner) &&
		jobq_health_lacks_reports(brief);
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
	if (check->wait.held.job_id != 0 || lacks_reports(check))
		return true;
	return brief->paused ? waits_since(check) != JOBQ_NEVER :
		is_long_ago(check, waits_since(check));
}

/* Reports why the jobs that wait for a worker do so. */
static void
report_wait(const QueueCheck *check)
{
	if (report_shut(check))
		return;
	if (!jobq_queue_has_executors(check->queue))
		report_slow_consumers(check);
	else if (check->health->runs_jobs)
		report_slow_executors(check);
}

/* Reports a group whose jobs wait for something else. */
static void
report_group(const QueueCheck *check)
{
	JobqFinding finding;

	jobq_health_find_held(check->queue, &check->wait.group, &finding);
	add_finding(check, &finding);
}

/* Reports that nobody is told of the queue's dead jobs. */
static void
report_lacking(const QueueCheck *check)
{
	JobqFinding finding = {0};

	if (jobq_health_find_lacking(check->health, check->queue, &finding))
		add_finding(check, &finding);
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
	if (check->brief->at_home)
		report_lacking(check);
	if (jobq_queue_has_executors(queue) && !check_owner(check))
		return;
	if (check->wait.held.job_id != 0 && health->runs_jobs && !queue->paused)
		jobq_health_report_held_job(health, queue, &check->wait.held);
	if (waits_since(check) == JOBQ_NEVER)
		return;
	if (queue->paused)
	{
		add(check, JOBQ_WARNING, "paused",
			"the queue is paused, and jobs are waiting", "Use jobq.resume().");
		return;
	}
	if (is_long_ago(check, check->wait.oldest))
		report_wait(check);
	if (is_long_ago(check, check->wait.group.since))
		report_group(check);
}

/* `queue` is NULL if it has not been read. */
static void
check_queue(Look *look, const JobqQueueBrief *brief, const JobqQueue *queue)
{
	JobqHealth *health = look->health;
	QueueCheck	check = {
		.look = look,.health = health,.brief = brief,.queue = queue,
		.wait = JOBQ_NOTHING_WAITS
	};

	if (brief->at_home)
		jobq_health_find_wait(&look->jobs, brief, health->now, &check.wait);
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
	look->health = health;
	look->kinds = NIL;
	look->all = NULL;
	look->nall = 0;
	look->context = CurrentMemoryContext;
	jobq_health_handlers_begin(&look->handlers);
	jobq_health_waits_begin(&look->jobs);
}

static void
end_look(Look *look)
{
	report_rest(look);
	jobq_health_waits_end(&look->jobs);
	jobq_health_handlers_end(&look->handlers);
}

/* Counts a queue for health_memory.c. */
static void
count_without_room(JobqHealth *health, bool without_room, bool is_limited)
{
	if (!without_room)
		return;
	health->queues_without_room++;
	if (is_limited)
		health->limited_without_room++;
}

/* For readers that may read all queues. */
static void
check_all_queues(Look *look)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	look->all = briefs;
	look->nall = n;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(CurrentMemoryContext);
		count_without_room(look->health, briefs[i].state == NULL,
						   jobq_queue_lacks_room(&briefs[i]));
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
		count_without_room(health, queue->state == NULL,
						   jobq_queue_lacks_room(queue));
		if (!jobq_queue_allows(queue, health->reader,
							   JOBQ_PRIV_READ | JOBQ_PRIV_CONSUME |
							   JOBQ_PRIV_MANAGE))
			continue;
		brief.id = queue->id;
		brief.owner = queue->owner;
		brief.has_executors = jobq_queue_has_executors(queue);
		brief.at_home = queue->at_home;
		brief.paused = queue->paused;
		brief.has_group_options = queue->has_group_options;
		brief.max_running_per_group = queue->max_running_per_group;
		brief.limit_max_running_per_group = queue->limit_max_running_per_group;
		brief.group_on_failure = queue->group_on_failure;
		brief.state = queue->state;
		brief.on_dead = queue->on_dead;
		brief.batch_size = queue->batch_size;
		brief.batch_wait = queue->batch_wait;
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
