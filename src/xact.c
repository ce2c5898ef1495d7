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
#include "queue_row.h"
#include "wait.h"
#include "worker_slot.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* From so many actions on those that follow on each other are put together. */
#define MANY_ACTIONS 64

typedef enum ActionKind
{
	ACTION_READY,
	ACTION_LOCKED,
	ACTION_LOOK,
	ACTION_LOOK_AGAIN,			/* of .ready only the queue is set */
	ACTION_DUE,
	ACTION_RESET_LANES,
	ACTION_LEASE,
	ACTION_LEASE_END,
	ACTION_INTERRUPT,
	ACTION_SCHEDULE,
	ACTION_SCHEDULED_JOB_END,
	ACTION_WAKE,				/* coordinator, for .reasons */
	ACTION_QUEUES_MADE			/* nothing, but in case of a rollback */
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
			uint64		position;	/* in the log of changes: what is said
									 * here of the queue was so then */
			int			njobs;
			int			settled;	/* level at which the locked jobs were
									 * changed, 0: not */
			JobqPlace	place;	/* of the first */
		}			ready;
		struct
		{
			int64		job_id;
			int64		lease;
			TimestampTz until;
			int			proc;
		}			lease;
		struct
		{
			int32		first;	/* ids: from this one to that one */
			int32		last;
		}			made;
		TimestampTz when;
		uint32		reasons;
	}			u;
} Action;

/* In TopTransactionContext; NULL when nothing is noted. */
static Action *actions = NULL;
static int	nactions = 0;
static int	max_actions = 0;

/* Highest nesting level at which a queue or the service was changed, 0: not. */
static int	config_level = 0;

/* More than queues has changed. */
static bool all_changed = false;

/* Actions of kind ACTION_READY, and of ACTION_LOCKED that are not settled. */
static int	nready = 0;
static int	nunsettled = 0;

/* The deepest level at which one was settled that was locked further out. */
static int	deepest_settled = 0;

void
jobq_note_reserve(void)
{
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
}

/* One more action of the current subtransaction; memory is reserved. */
static Action *
add_reserved_action(ActionKind kind)
{
	Action	   *action = &actions[nactions++];

	Assert(nactions <= max_actions);
	memset(action, 0, sizeof(Action));
	action->kind = kind;
	action->level = GetCurrentTransactionNestLevel();
	return action;
}

static Action *
add_action(ActionKind kind)
{
	jobq_note_reserve();
	return add_reserved_action(kind);
}

static void
describe_queue(Action *action, const JobqQueue *queue)
{
	action->u.ready.state = queue->state;
	action->u.ready.queue = queue->id;
	action->u.ready.owner = jobq_queue_has_executors(queue) ?
		queue->owner : InvalidOid;
	action->u.ready.notify = queue->notify;
	action->u.ready.at_rest = queue->paused || !queue->at_home;
	action->u.ready.position = jobq_queue_cache_position(queue);
	action->u.ready.njobs = 1;
}

/* Whether both are about the same queue, and say the same of it. */
static bool
same_queue(const Action *a, const Action *b)
{
	return a->u.ready.queue == b->u.ready.queue &&
		a->u.ready.state == b->u.ready.state &&
		a->u.ready.owner == b->u.ready.owner &&
		a->u.ready.notify == b->u.ready.notify &&
		a->u.ready.at_rest == b->u.ready.at_rest;
}

/* Makes of two actions about jobs of one priority one: the first stays. */
static void
put_together(Action *action, const Action *other)
{
	action->u.ready.njobs += other->u.ready.njobs;
	action->u.ready.position = Min(action->u.ready.position,
								   other->u.ready.position);
	if (jobq_key_compare(&other->u.ready.place.key,
						 &action->u.ready.place.key) < 0)
		action->u.ready.place.key = other->u.ready.place.key;
	ItemPointerSetInvalid(&action->u.ready.place.tid);
}

/*
 * Jobs that were settled further in than they were locked may have to be told
 * apart again.
 */
static bool
can_be_put_together(const Action *action, const Action *other)
{
	return action->kind == other->kind && action->level == other->level &&
		same_queue(action, other) &&
		action->u.ready.place.priority == other->u.ready.place.priority &&
		action->u.ready.settled == other->u.ready.settled &&
		action->u.ready.settled <= action->level;
}

void
jobq_at_commit_ready_many(const JobqQueue *queue, const JobqPlace *first,
						  int njobs)
{
	Action	   *action = add_action(ACTION_READY);

	describe_queue(action, queue);
	action->u.ready.place = *first;
	action->u.ready.njobs = njobs;
	if (njobs > 1)
		ItemPointerSetInvalid(&action->u.ready.place.tid);
	if (nactions > MANY_ACTIONS && can_be_put_together(action - 1, action))
	{
		put_together(action - 1, action);
		nactions--;
	}
	else
		nready++;
}

void
jobq_at_commit_ready(const JobqQueue *queue, const JobqPlace *place)
{
	jobq_at_commit_ready_many(queue, place, 1);
}

void
jobq_note_locked(const JobqQueue *queue, const JobqPlace *place)
{
	Action	   *action = add_reserved_action(ACTION_LOCKED);

	describe_queue(action, queue);
	action->u.ready.place = *place;
	nunsettled++;
}

/* The action about a locked job that has not been settled, NULL: none. */
static Action *
find_unsettled(int64 job_id)
{
	for (int i = nactions - 1; i >= 0 && nunsettled > 0; i--)
	{
		if (actions[i].kind == ACTION_LOCKED &&
			actions[i].u.ready.settled == 0 &&
			actions[i].u.ready.place.key.id == job_id)
			return &actions[i];
	}
	return NULL;
}

/*
 * For a row that this transaction may have locked before.  False if there is a
 * note of that.
 */
bool
jobq_note_locked_again(const JobqQueue *queue, const JobqPlace *place)
{
	if (find_unsettled(place->key.id) != NULL)
		return false;
	jobq_note_locked(queue, place);
	return true;
}

/* Takes back the latest note: the job was not locked. */
void
jobq_note_withdraw(void)
{
	Assert(nactions > 0 && actions[nactions - 1].kind == ACTION_LOCKED &&
		   actions[nactions - 1].u.ready.settled == 0);
	nactions--;
	nunsettled--;
}

void
jobq_note_settled(int64 job_id)
{
	Action	   *action = find_unsettled(job_id);

	if (action == NULL)
		return;
	action->u.ready.settled = GetCurrentTransactionNestLevel();
	if (action->u.ready.settled > action->level)
		deepest_settled = Max(deepest_settled, action->u.ready.settled);
	nunsettled--;
	if (action > actions && action == &actions[nactions - 1] &&
		can_be_put_together(action - 1, action))
	{
		put_together(action - 1, action);
		nactions--;
	}
}

bool
jobq_has_own_jobs(const JobqQueue *queue)
{
	for (int i = 0; i < nactions && nready > 0; i++)
	{
		if (actions[i].kind == ACTION_READY &&
			actions[i].u.ready.queue == queue->id)
			return true;
	}
	return false;
}

bool
jobq_next_own_job(const JobqQueue *queue, int after, JobqPlace *place)
{
	bool		found = false;

	for (int i = 0; i < nactions && nready > 0; i++)
	{
		const JobqPlace *own = &actions[i].u.ready.place;

		if (actions[i].kind != ACTION_READY ||
			actions[i].u.ready.queue != queue->id || own->priority <= after ||
			(found && own->priority > place->priority))
			continue;
		if (!found || own->priority < place->priority ||
			jobq_key_compare(&own->key, &place->key) < 0)
			*place = *own;
		found = true;
	}
	return found;
}

void
jobq_at_commit_look(const JobqQueue *queue)
{
	describe_queue(add_action(ACTION_LOOK), queue);
}

void
jobq_at_commit_due(TimestampTz when)
{
	add_action(ACTION_DUE)->u.when = when;
}

void
jobq_at_commit_look_again(int32 queue)
{
	add_action(ACTION_LOOK_AGAIN)->u.ready.queue = queue;
}

void
jobq_at_commit_reset_lanes(void)
{
	(void) add_action(ACTION_RESET_LANES);
}

void
jobq_at_rollback_forget_queue(int32 queue)
{
	int			level = GetCurrentTransactionNestLevel();
	Action	   *action;

	/* of many that are made together the ids follow on each other */
	for (int i = nactions - 1; i >= 0 && i >= nactions - 4; i--)
	{
		action = &actions[i];
		if (action->kind == ACTION_QUEUES_MADE && action->level == level &&
			action->u.made.last == queue - 1)
		{
			action->u.made.last = queue;
			return;
		}
	}
	action = add_action(ACTION_QUEUES_MADE);
	action->u.made.first = queue;
	action->u.made.last = queue;
}

/* The queues were made in vain; nobody else has ever seen them. */
static void
forget_queues(const Action *action)
{
	for (int64 id = action->u.made.first; id <= action->u.made.last; id++)
		jobq_forget_queue_state((int32) id);
}

void
jobq_at_commit_schedule(TimestampTz next_run)
{
	add_action(ACTION_SCHEDULE)->u.when = next_run;
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
	int			level = GetCurrentTransactionNestLevel();

	/* the same again, as of one who changes many queues */
	for (int i = nactions - 1; i >= 0 && i >= nactions - 4; i--)
	{
		if (actions[i].kind == ACTION_WAKE && actions[i].level == level &&
			(reasons & ~actions[i].u.reasons) == 0)
			return;
	}
	add_action(ACTION_WAKE)->u.reasons = reasons;
}

/* The current subtransaction has changed what others keep in memory. */
static void
note_config_changed(void)
{
	config_level = Max(config_level, GetCurrentTransactionNestLevel());
}

void
jobq_at_commit_queue_changed(int32 queue, Oid owner)
{
	note_config_changed();
	jobq_queue_change_note(queue, owner);
}

void
jobq_at_commit_service_changed(void)
{
	jobq_at_commit_wake(JOBQ_WAKE_CONFIG);
	note_config_changed();
	jobq_queue_change_note(JOBQ_NO_QUEUE, InvalidOid);
}

void
jobq_at_commit_all_changed(void)
{
	jobq_at_commit_wake(JOBQ_WAKE_CONFIG);
	note_config_changed();
	jobq_queue_change_note_all();
	all_changed = true;
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
bool
jobq_lower_time(pg_atomic_uint64 *time, TimestampTz when)
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
	if (jobq_lower_time(&database->next_due, when))
		jobq_wake_coordinator(database, JOBQ_WAKE_TIME);
}

void
jobq_note_queue_due(JobqQueueState *state, TimestampTz when)
{
	if (state != NULL)
		(void) jobq_lower_time(&state->next_look, when);
	else
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NO_ROOM);
	jobq_note_due(jobq_database(), when);
}

void
jobq_note_queue_changed(JobqQueueState *state)
{
	if (state == NULL)
	{
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NO_ROOM);
		return;
	}
	jobq_note_queue_due(state, jobq_now());
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_WORK);
}

/* The coordinator must look at schedules that are due from then on. */
static void
note_schedule(JobqDatabase *database, TimestampTz next_run)
{
	(void) jobq_lower_time(&database->schedules_low, next_run);
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
		while (njobs > 0 && jobq_worker_wake(MyDatabaseId, owner, queue))
			njobs--;
		if (njobs <= 0)
			return;
		if (state == NULL)
			jobq_wake_coordinator(database, JOBQ_WAKE_NO_ROOM);
		else if (pg_atomic_exchange_u32(&state->work, 1) == 0)
			jobq_wake_coordinator(database, JOBQ_WAKE_WORK);
		return;
	}

	if (state == NULL)
	{
		jobq_wake_coordinator(database, JOBQ_WAKE_NO_ROOM);
		return;
	}
	if (pg_atomic_read_u32(&state->waiting) > 0)
		jobq_waiters_wake(MyDatabaseId, queue, njobs);
	if (notify && pg_atomic_exchange_u32(&state->notify, 1) == 0)
		jobq_wake_coordinator(database, JOBQ_WAKE_NOTIFY);
}

/*
 * The entry of an action's queue, which may have been made since the action
 * was noted.
 */
static JobqQueueState *
state_of(const Action *action)
{
	return action->u.ready.state != NULL ? action->u.ready.state :
		jobq_find_queue_state(action->u.ready.queue);
}

/* A queue whose workers are to be woken, for so many jobs. */
typedef struct Wake
{
	const Action *action;		/* NULL: none */
	int			njobs;
} Wake;

/*
 * If the queue has been changed since the action was noted (resumed, given a
 * handler), what is said of it may be wrong, and whoever changed it may have
 * had the coordinator look before these jobs were visible: it is to look again.
 */
static void
look_if_changed(const Action *action)
{
	if (jobq_queue_changed_since(action->u.ready.queue,
								 action->u.ready.position))
		jobq_note_queue_changed(state_of(action));
}

static void
wake(Wake *wake)
{
	const Action *action = wake->action;

	wake->action = NULL;
	if (action == NULL)
		return;
	look_if_changed(action);
	if (!action->u.ready.at_rest)
		jobq_wake_for_queue(action->u.ready.state, action->u.ready.queue,
							action->u.ready.owner, action->u.ready.notify,
							wake->njobs);
}

/* Workers are to be woken for an action, together with the one before. */
static void
wake_for(Wake *pending, const Action *action, TimestampTz now)
{
	if (action->kind != ACTION_LOOK && action->u.ready.place.key.run_at > now)
	{
		if (!action->u.ready.at_rest)
			jobq_note_queue_due(state_of(action),
								action->u.ready.place.key.run_at);
		look_if_changed(action);
		return;
	}
	if (pending->action == NULL || !same_queue(pending->action, action))
	{
		wake(pending);
		pending->action = action;
		pending->njobs = 0;
	}
	pending->njobs += action->u.ready.njobs;
}

/*
 * Jobs are claimable, and their row version is visible to whoever takes a
 * snapshot from now on.
 */
static void
lower(const Action *action)
{
	JobqQueueState *state = state_of(action);

	if (state != NULL)
		jobq_lane_lower(state, &action->u.ready.place);
}

/*
 * Carries out what was noted for the case that the transaction commits.
 * Lanes first: whoever is woken is to find the jobs.
 */
static void
carry_out_lanes(void)
{
	for (int i = 0; i < nactions; i++)
	{
		const Action *action = &actions[i];

		if (action->kind == ACTION_READY ||
			(action->kind == ACTION_LOCKED && action->u.ready.settled == 0))
			lower(action);
		else if (action->kind == ACTION_RESET_LANES)
			jobq_lanes_reset_database(MyDatabaseId);
	}
}

static void
carry_out(const Action *action, Wake *pending, TimestampTz now)
{
	switch (action->kind)
	{
		case ACTION_LOCKED:
			if (action->u.ready.settled == 0)
				wake_for(pending, action, now);
			break;
		case ACTION_READY:
		case ACTION_LOOK:
			wake_for(pending, action, now);
			break;
		case ACTION_LOOK_AGAIN:
			jobq_note_queue_changed(state_of(action));
			break;
		case ACTION_DUE:
			(void) jobq_lower_time(&jobq_database()->expires_low, action->u.when);
			jobq_note_due(jobq_database(), action->u.when);
			break;
		case ACTION_RESET_LANES:
		case ACTION_QUEUES_MADE:
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
			note_schedule(jobq_database(), action->u.when);
			break;
		case ACTION_SCHEDULED_JOB_END:
			note_scheduled_job_end(jobq_database());
			break;
		case ACTION_WAKE:
			jobq_wake_coordinator(jobq_database(), action->u.reasons);
			break;
	}
}

static void
carry_out_all(void)
{
	TimestampTz now = jobq_now();
	Wake		pending = {NULL, 0};

	carry_out_lanes();
	for (int i = 0; i < nactions; i++)
		carry_out(&actions[i], &pending, now);
	wake(&pending);
}

/*
 * A (sub)transaction at this level is rolled back: forgets what was noted
 * there, and tells of the jobs that are free again.  What it did to jobs that
 * were locked further out is undone.
 */
static void
forget_actions(int level)
{
	TimestampTz now = nactions > 0 ? jobq_now() : 0;
	Wake		pending = {NULL, 0};

	jobq_lane_refill_abandon();
	while (nactions > 0 && actions[nactions - 1].level >= level)
	{
		const Action *action = &actions[--nactions];

		if (action->kind == ACTION_LEASE &&
			action->u.lease.until == JOBQ_NEVER)
			jobq_lease_forget(action->u.lease.job_id, action->u.lease.lease);
		if (action->kind == ACTION_READY)
			nready--;
		if (action->kind == ACTION_QUEUES_MADE)
			forget_queues(action);
		if (action->kind == ACTION_LOCKED)
		{
			if (action->u.ready.settled == 0)
				nunsettled--;
			lower(action);
			wake_for(&pending, action, now);
		}
	}
	wake(&pending);
	for (int i = 0; i < nactions && deepest_settled >= level; i++)
	{
		if (actions[i].kind == ACTION_LOCKED &&
			actions[i].u.ready.settled >= level)
		{
			actions[i].u.ready.settled = 0;
			nunsettled++;
		}
	}
	deepest_settled = Min(deepest_settled, level - 1);
}

/*
 * Puts actions together with those before them, from the given one on, so that
 * many subtransactions that do the same do not leave an action each.
 */
static void
put_neighbours_together(int first)
{
	int			n = Max(first, 1);

	if (nactions <= MANY_ACTIONS)
		return;
	for (int i = n; i < nactions; i++)
	{
		const Action *action = &actions[i];
		bool		ready = action->kind == ACTION_READY;
		bool		settled = action->kind == ACTION_LOCKED &&
		action->u.ready.settled > 0;

		if ((ready || settled) &&
			can_be_put_together(&actions[n - 1], action))
		{
			put_together(&actions[n - 1], action);
			if (ready)
				nready--;
		}
		else
			actions[n++] = *action;
	}
	nactions = n;
}

/* A subtransaction at this level becomes part of its parent. */
static void
hand_up_actions(int level)
{
	int			first = nactions;

	while (first > 0 && actions[first - 1].level >= level)
	{
		Action	   *action = &actions[--first];

		action->level = level - 1;
		if (action->kind == ACTION_LOCKED)
			action->u.ready.settled = Min(action->u.ready.settled, level - 1);
	}
	for (int i = 0; i < first && deepest_settled >= level; i++)
	{
		if (actions[i].kind == ACTION_LOCKED)
			actions[i].u.ready.settled = Min(actions[i].u.ready.settled,
											 level - 1);
	}
	deepest_settled = Min(deepest_settled, level - 1);
	put_neighbours_together(first);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	(void) arg;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			jobq_queue_changes_publish();
			if (all_changed)
				pg_atomic_fetch_add_u32(&jobq_database()->generation, 1);
			if (nactions > 0)
				carry_out_all();
			break;
		case XACT_EVENT_ABORT:
			jobq_queue_changes_undo();
			forget_actions(1);
			break;
		case XACT_EVENT_PREPARE:
			/* what it changed is not visible yet, to this session either */
			jobq_queue_changes_undo();
			for (int i = 0; i < nactions; i++)
			{
				if (actions[i].kind == ACTION_QUEUES_MADE)
					forget_queues(&actions[i]);
			}
			break;
		default:
			return;
	}
	actions = NULL;
	nactions = 0;
	nready = 0;
	nunsettled = 0;
	deepest_settled = 0;
	config_level = 0;
	all_changed = false;
	jobq_queue_changes_forget();

	/* nobody tells a standby of changes */
	if (RecoveryInProgress())
		jobq_queue_cache_forget_all();
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
			jobq_queue_changes_undo();
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		hand_up_actions(level);
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
