/*-------------------------------------------------------------------------
 *
 * xact.c
 *	  What jobq does when the current transaction commits.
 *
 * The commit callback runs after the transaction has become visible
 * (ProcArrayEndTransaction), so whoever it wakes finds the rows; that is why
 * no NOTIFY, with its lock that serializes commits, is needed here.  An error
 * there would be a PANIC: actions are allocated when they are noted, and
 * carrying them out only touches shared memory and latches.
 *
 * Each action remembers the nesting level of the subtransaction that noted it.
 * A subtransaction that rolls back takes its actions along; one that commits
 * leaves them to its parent.
 *
 * IDENTIFICATION
 *	  src/xact.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "xact.h"

#include "lease.h"
#include "queue_cache.h"
#include "wait.h"
#include "worker_slot.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef enum ActionKind
{
	ACTION_READY,
	ACTION_READY_IF_ABORTED,
	ACTION_LEASE,
	ACTION_LEASE_END,
	ACTION_INTERRUPT,
	ACTION_SCHEDULE,
	ACTION_SCHEDULED_JOB_END,
	ACTION_WAKE					/* coordinator, for .reasons */
} ActionKind;

typedef struct Action
{
	ActionKind	kind;
	int			level;			/* of the transaction, from 1 */
	union
	{
		struct
		{
			JobqQueueState *state;
			int32		queue;
			Oid			owner;	/* of a queue with executors */
			bool		notify;
			bool		at_rest;	/* paused, or not at home */
			uint32		generation; /* of what is said here of the queue */
			int			njobs;
			TimestampTz run_at; /* of the earliest */
		}			ready;
		struct
		{
			int64		job_id;
			int64		lease;
			TimestampTz until;
			int			proc;
		}			lease;
		TimestampTz next_run;	/* of a schedule */
		uint32		reasons;
	}			u;
} Action;

/* In TopTransactionContext; NULL when nothing is noted. */
static Action *actions = NULL;
static int	nactions = 0;
static int	max_actions = 0;

/* Highest nesting level at which the configuration was changed, 0: not. */
static int	config_level = 0;

/* Memory for one more action of the current subtransaction. */
static Action *
add_action(ActionKind kind)
{
	Action	   *action;

	if (actions == NULL)
	{
		max_actions = 16;
		actions = MemoryContextAlloc(TopTransactionContext,
									 max_actions * sizeof(Action));
		nactions = 0;
	}
	else if (nactions == max_actions)
	{
		actions = repalloc_huge(actions, 2 * max_actions * sizeof(Action));
		max_actions *= 2;
	}
	action = &actions[nactions];
	memset(action, 0, sizeof(Action));
	action->kind = kind;
	action->level = GetCurrentTransactionNestLevel();
	nactions++;
	return action;
}

static void
add_ready_action(ActionKind kind, const JobqQueue *queue, TimestampTz run_at)
{
	Action	   *action = add_action(kind);

	action->u.ready.state = queue->state;
	action->u.ready.queue = queue->id;
	action->u.ready.owner = jobq_queue_has_executors(queue) ?
		queue->owner : InvalidOid;
	action->u.ready.notify = queue->notify;
	action->u.ready.at_rest = queue->paused || !queue->at_home;
	action->u.ready.generation = queue->generation;
	action->u.ready.njobs = 1;
	action->u.ready.run_at = run_at;
}

void
jobq_at_commit_ready(const JobqQueue *queue, TimestampTz run_at)
{
	int			level = GetCurrentTransactionNestLevel();
	Action	   *action;

	/* most transactions add to the queue they added to just before */
	if (nactions > 0 && run_at <= jobq_now())
	{
		action = &actions[nactions - 1];
		if (action->kind == ACTION_READY && action->level == level &&
			action->u.ready.queue == queue->id &&
			action->u.ready.generation == queue->generation &&
			action->u.ready.run_at <= run_at)
		{
			action->u.ready.njobs++;
			return;
		}
	}
	add_ready_action(ACTION_READY, queue, run_at);
}

void
jobq_at_abort_ready(const JobqQueue *queue)
{
	Action	   *last = nactions > 0 ? &actions[nactions - 1] : NULL;

	if (last != NULL && last->kind == ACTION_READY_IF_ABORTED &&
		last->level == GetCurrentTransactionNestLevel() &&
		last->u.ready.queue == queue->id &&
		last->u.ready.generation == queue->generation)
		last->u.ready.njobs++;
	else
		add_ready_action(ACTION_READY_IF_ABORTED, queue, DT_NOBEGIN);
}

void
jobq_at_commit_due(TimestampTz when)
{
	Action	   *action = add_action(ACTION_READY);

	/* a queue without state: only the time matters */
	action->u.ready.njobs = 0;
	action->u.ready.run_at = when;
}

void
jobq_at_commit_schedule(TimestampTz next_run)
{
	add_action(ACTION_SCHEDULE)->u.next_run = next_run;
}

void
jobq_at_commit_scheduled_job_end(void)
{
	const Action *last = nactions > 0 ? &actions[nactions - 1] : NULL;

	if (last == NULL || last->kind != ACTION_SCHEDULED_JOB_END ||
		last->level != GetCurrentTransactionNestLevel())
		(void) add_action(ACTION_SCHEDULED_JOB_END);
}

void
jobq_at_commit_wake(uint32 reasons)
{
	add_action(ACTION_WAKE)->u.reasons = reasons;
}

void
jobq_at_commit_config_changed(void)
{
	jobq_at_commit_wake(JOBQ_WAKE_CONFIG);
	config_level = Max(config_level, GetCurrentTransactionNestLevel());
	jobq_queue_cache_invalidate();
}

void
jobq_at_commit_lease(int64 job_id, int64 lease, TimestampTz until, int proc)
{
	Action	   *action = add_action(ACTION_LEASE);

	action->u.lease.job_id = job_id;
	action->u.lease.lease = lease;
	action->u.lease.until = until;
	action->u.lease.proc = proc;
}

void
jobq_at_commit_lease_end(int64 job_id, int64 lease)
{
	Action	   *action = add_action(ACTION_LEASE_END);

	action->u.lease.job_id = job_id;
	action->u.lease.lease = lease;
}

void
jobq_at_commit_interrupt(int64 job_id)
{
	add_action(ACTION_INTERRUPT)->u.lease.job_id = job_id;
}

/* Lowers a time in shared memory; whether that changed anything. */
static bool
lower_time(pg_atomic_uint64 *time, TimestampTz when)
{
	uint64		known = pg_atomic_read_u64(time);

	while (when < (TimestampTz) known)
	{
		if (pg_atomic_compare_exchange_u64(time, &known, (uint64) when))
			return true;
	}
	return false;
}

/*
 * Lowers the time of which the coordinator knows that it must do something,
 * and wakes it if that changed anything.
 */
void
jobq_note_due(JobqDatabase *database, TimestampTz when)
{
	if (lower_time(&database->next_due, when))
		jobq_wake_coordinator(database, JOBQ_WAKE_TIME);
}

/* The coordinator must look at schedules that are due from then on. */
static void
note_schedule(JobqDatabase *database, TimestampTz next_run)
{
	(void) lower_time(&database->schedules_low, next_run);
	jobq_note_due(database, next_run);
}

/* See schedule_fire.c for why this is enough. */
static void
note_scheduled_job_end(JobqDatabase *database)
{
	pg_memory_barrier();
	if (pg_atomic_read_u32(&database->schedules_wait) != 0)
		jobq_wake_coordinator(database, JOBQ_WAKE_SCHEDULES);
}

void
jobq_wake_for_queue(JobqQueueState *state, int32 queue, Oid owner,
					bool notify, int njobs)
{
	JobqDatabase *database = jobq_database();

	if (OidIsValid(owner))
	{
		while (njobs > 0 && jobq_worker_wake(MyDatabaseId, owner))
			njobs--;
		if (njobs <= 0)
			return;
		if (state == NULL)
			jobq_wake_coordinator(database, JOBQ_WAKE_RESYNC);
		else if (pg_atomic_exchange_u32(&state->work, 1) == 0)
			jobq_wake_coordinator(database, JOBQ_WAKE_WORK);
		return;
	}

	if (state == NULL)
	{
		jobq_wake_coordinator(database, JOBQ_WAKE_RESYNC);
		return;
	}
	if (pg_atomic_read_u32(&state->waiting) > 0)
		jobq_waiters_wake(MyDatabaseId, queue, njobs);
	if (notify && pg_atomic_exchange_u32(&state->notify, 1) == 0)
		jobq_wake_coordinator(database, JOBQ_WAKE_WORK);
}

/*
 * Tells of ready jobs.  If queues have been changed since the action was
 * noted (resumed, given a handler), what it says of its queue may be wrong,
 * and whoever changed it may have had the coordinator look before these jobs
 * were visible: it is to look again.
 */
static void
wake_for_action(const Action *action, TimestampTz now)
{
	JobqDatabase *database = jobq_database();

	if (action->u.ready.generation !=
		pg_atomic_read_u32(&database->generation))
		jobq_wake_coordinator(database, JOBQ_WAKE_RESYNC);
	if (action->u.ready.at_rest)
		return;
	if (action->u.ready.run_at > now)
		jobq_note_due(database, action->u.ready.run_at);
	else
		jobq_wake_for_queue(action->u.ready.state, action->u.ready.queue,
							action->u.ready.owner, action->u.ready.notify,
							action->u.ready.njobs);
}

/* Carries out what was noted for the case that the transaction commits. */
static void
carry_out(const Action *action, TimestampTz now)
{
	switch (action->kind)
	{
		case ACTION_READY_IF_ABORTED:
			break;
		case ACTION_READY:
			if (action->u.ready.njobs > 0)
				wake_for_action(action, now);
			else
				jobq_note_due(jobq_database(), action->u.ready.run_at);
			break;
		case ACTION_LEASE:
			jobq_lease_register(action->u.lease.job_id, action->u.lease.lease,
								action->u.lease.until, action->u.lease.proc);
			break;
		case ACTION_LEASE_END:
			jobq_lease_forget(action->u.lease.job_id, action->u.lease.lease);
			break;
		case ACTION_INTERRUPT:
			(void) jobq_worker_interrupt(action->u.lease.job_id);
			break;
		case ACTION_SCHEDULE:
			note_schedule(jobq_database(), action->u.next_run);
			break;
		case ACTION_SCHEDULED_JOB_END:
			note_scheduled_job_end(jobq_database());
			break;
		case ACTION_WAKE:
			jobq_wake_coordinator(jobq_database(), action->u.reasons);
			break;
	}
}

/*
 * A (sub)transaction at this level is rolled back: forgets what was noted
 * there, and tells of the jobs that are free again.
 */
static void
forget_actions(int level)
{
	while (nactions > 0 && actions[nactions - 1].level >= level)
	{
		nactions--;
		if (actions[nactions].kind == ACTION_LEASE &&
			actions[nactions].u.lease.until == JOBQ_NEVER)
			jobq_lease_forget(actions[nactions].u.lease.job_id,
							  actions[nactions].u.lease.lease);
		if (actions[nactions].kind == ACTION_READY_IF_ABORTED)
			wake_for_action(&actions[nactions], jobq_now());
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	(void) arg;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (config_level > 0)
				pg_atomic_fetch_add_u32(&jobq_database()->generation, 1);
			if (nactions > 0)
			{
				TimestampTz now = jobq_now();

				for (int i = 0; i < nactions; i++)
					carry_out(&actions[i], now);
			}
			break;
		case XACT_EVENT_ABORT:
			if (config_level > 0)
				jobq_queue_cache_invalidate();
			forget_actions(1);
			break;
		case XACT_EVENT_PREPARE:
			/* what it changed is not visible yet, to this session either */
			if (config_level > 0)
				jobq_queue_cache_invalidate();
			break;
		default:
			return;
	}
	actions = NULL;
	nactions = 0;
	config_level = 0;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	(void) mine;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		forget_actions(level);
		if (config_level >= level)
			jobq_queue_cache_invalidate();
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int i = nactions - 1; i >= 0 && actions[i].level >= level; i--)
			actions[i].level = level - 1;
		if (config_level >= level)
			config_level = level - 1;
	}
}

/* Registers the callbacks; once per backend, from _PG_init. */
void
jobq_xact_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

void
jobq_at_commit_ready_many(const JobqQueue *queue, TimestampTz run_at,
						  int njobs)
{
	jobq_at_commit_ready(queue, run_at);
	/* a new action, or one that this has been added to */
	actions[nactions - 1].u.ready.njobs += njobs - 1;
}
