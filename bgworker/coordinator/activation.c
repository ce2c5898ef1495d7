/*-------------------------------------------------------------------------
 *
 * activation.c
 *	  Starting executors where there is work, by the coordinator.
 *
 * A queue's `work` flag says that there may be jobs that no executor has
 * looked for yet; README.md describes the rules.  Executors of a role are
 * started one at a time: each asks for the next one when it has taken a job
 * and sees more.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/activation.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/activation.h"

#include "bgworker/worker.h"
#include "guc.h"
#include "job/unread_note.h"
#include "queue/queue.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "service/service.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/slot.h"
#include "shared/wake.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* A reserved slot without a process is free after this time. */
#define START_TIMEOUT (30 * USECS_PER_SEC)

/* Executors are not started while notes cannot be read; how soon to look again. */
#define NOTES_DELAY (1 * USECS_PER_SEC)

/* How long a process may take to exit. */
#define EXIT_TIME (20 * INT64CONST(1000))

/* An executor that this process has started and that has not exited. */
typedef struct Started
{
	BackgroundWorkerHandle *handle;
	JobqWorkerRef ref;
	Oid			role;
} Started;

/* A role whose executors fail to start. */
typedef struct Trouble
{
	Oid			role;
	TimestampTz retry_at;
	int			backoff;
	bool		logged;
} Trouble;

/* Why roles with work have no executor in this database. */
typedef struct Shortage
{
	bool		of_slots;		/* there is no free slot: */
	bool		of_processes;	/* the server has none */
	Oid			capped_role;	/* a role that has its maximum in other
								 * databases */
} Shortage;

static Started started[JOBQ_MAX_WORKER_SLOTS];
static List *troubles = NIL;	/* of Trouble, in TopMemoryContext */

/* Roles for which an executor was requested, in TopMemoryContext. */
static List *requested = NIL;

/* For all roles: the postmaster had no free slot. */
static JobqWorkerSlots slots = {0, DT_NOBEGIN};

/* The role for which an executor was last started. */
static Oid	served_last = InvalidOid;

static Trouble *
find_trouble(Oid role)
{
	ListCell   *lc;

	foreach(lc, troubles)
	{
		Trouble    *trouble = lfirst(lc);

		if (trouble->role == role)
			return trouble;
	}
	return NULL;
}

static Trouble *
note_trouble(Oid role)
{
	Trouble    *trouble = find_trouble(role);

	if (trouble == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

		trouble = palloc0(sizeof(Trouble));
		trouble->role = role;
		troubles = lappend(troubles, trouble);
		MemoryContextSwitchTo(oldcontext);
	}
	trouble->retry_at = jobq_worker_back_off(&trouble->backoff);
	return trouble;
}

static void
end_trouble(Oid role)
{
	Trouble    *trouble = find_trouble(role);

	if (trouble == NULL)
		return;
	troubles = list_delete_ptr(troubles, trouble);
	pfree(trouble);
}

/*
 * Whether an executor could connect as a role, to avoid a FATAL in the log for
 * each attempt.  Logs the reason once if not.
 */
static bool
may_connect(Oid role)
{
	const char *problem = jobq_queue_owner_problem(role);
	Trouble    *trouble;

	if (problem == NULL)
		return true;
	trouble = note_trouble(role);
	if (!trouble->logged)
	{
		char	   *name = GetUserNameFromId(role, true);

		trouble->logged = true;
		ereport(WARNING,
				(errmsg("jobq cannot run the jobs of role \"%s\": %s",
						name != NULL ? name : psprintf("%u", role), problem),
				 errhint("Change the role, or give its queues another owner with jobq.alter_queue().")));
	}
	return false;
}

/* Whether an executor that was started has exited. */
static bool
has_stopped(const Started *executor)
{
	pid_t		pid;

	return executor->handle != NULL &&
		GetBackgroundWorkerPid(executor->handle, &pid) == BGWH_STOPPED;
}

/* See activation.h. */
bool
jobq_activation_any_executor_stopped(void)
{
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		if (has_stopped(&started[i]))
			return true;
	}
	return false;
}

/*
 * Checks the executors that were started; returns whether any slot became
 * free.
 */
bool
jobq_activation_check_executors(void)
{
	bool		freed = false;

	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		if (!has_stopped(&started[i]))
			continue;
		if (jobq_slot_unreserve(&started[i].ref))
		{
			/* it has come no further than starting */
			Trouble    *trouble = note_trouble(started[i].role);

			if (!trouble->logged)
				ereport(LOG,
						(errmsg("jobq could not start a background worker for role with OID %u",
								started[i].role),
						 errhint("See the server log for the reason.")));
			trouble->logged = true;
			/* nobody has looked at queues without room */
			jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NO_ROOM);
		}
		else
			end_trouble(started[i].role);
		pfree(started[i].handle);
		started[i].handle = NULL;
		freed = true;
	}
	if (jobq_slots_reap(MyDatabaseId, jobq_now() - START_TIMEOUT, false))
	{
		freed = true;
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NO_ROOM);
	}
	if (freed)
		slots.retry_at = DT_NOBEGIN;
	return freed;
}

/*
 * Notes that an executor of any database is about to exit; the postmaster
 * frees its slot a moment later.
 */
void
jobq_activation_note_free_slot(void)
{
	slots.retry_at = Min(slots.retry_at, jobq_now() + EXIT_TIME);
}

/* Remembers a started executor in place of one that has exited. */
static Started *
find_place(void)
{
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		if (started[i].handle == NULL)
			return &started[i];
	}
	return NULL;
}

/* Starts an executor in a slot that was reserved for it. */
static bool
start_executor(const JobqWorkerRef *ref, Oid role)
{
	BackgroundWorker worker;
	Started    *place = find_place();

	if (place == NULL)
		return false;
	jobq_worker_describe(&worker, "jobq executor", "jobq executor",
						 "jobq_executor_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "jobq executor %d", ref->slot);
	worker.bgw_main_arg = Int32GetDatum(ref->slot);
	StaticAssertStmt(sizeof(ref->generation) <= BGW_EXTRALEN,
					 "generation does not fit");
	memcpy(worker.bgw_extra, &ref->generation, sizeof(ref->generation));
	worker.bgw_notify_pid = MyProcPid;

	if (!jobq_worker_start(&worker, &place->handle))
		return false;
	place->ref = *ref;
	place->role = role;
	return true;
}

/* Records in shared memory what this database lacks. */
static void
tell_shortage(const Shortage *shortage)
{
	JobqDatabase *database = jobq_database();

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	if (database->starving != shortage->of_slots)
		jobq_shared->starving += shortage->of_slots ? 1 : -1;
	database->starving = shortage->of_slots;
	database->no_process = shortage->of_processes;
	database->capped_role = shortage->capped_role;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}

/*
 * Until when the slot of an executor that has just exited is reserved for
 * another database; in the past if it is not.
 */
static TimestampTz
kept_for_others(TimestampTz now)
{
	TimestampTz result = DT_NOBEGIN;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	/* the clock may have been set back */
	if (OidIsValid(jobq_shared->given_to) &&
		jobq_shared->given_to != MyDatabaseId &&
		jobq_shared->given_until <= now + JOBQ_GIFT_TIME)
		result = jobq_shared->given_until;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/* This database has taken a slot. */
static void
accept_gift(void)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	if (jobq_shared->given_to == MyDatabaseId)
		jobq_shared->given_to = InvalidOid;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}

void
jobq_activation_request(Oid role)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	requested = list_append_unique_oid(requested, role);
	MemoryContextSwitchTo(oldcontext);
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_WORK);
}

/*
 * Ensures that a role's work is done.  If the role has no executor here and
 * cannot get one, *shortage says why.  Returns when to try again.
 */
static TimestampTz
activate_role(Oid role, Shortage *shortage)
{
	JobqWorkerCounts counts;
	JobqWorkerRef ref;
	Trouble    *trouble;
	TimestampTz now = jobq_now();
	TimestampTz kept_until;

	jobq_slots_count(MyDatabaseId, role, &counts);
	if (counts.starting > 0)
		return now + START_TIMEOUT; /* it will ask for more, if it comes up */
	if (jobq_slot_wake(MyDatabaseId, role, JOBQ_NO_QUEUE))
	{
		requested = list_delete_oid(requested, role);
		return JOBQ_NEVER;
	}
	trouble = find_trouble(role);
	if (trouble != NULL && jobq_worker_backs_off(trouble->retry_at))
		return trouble->retry_at;
	if (jobq_worker_backs_off(slots.retry_at))
		return slots.retry_at;
	kept_until = kept_for_others(now);
	if (kept_until > now)
		return kept_until;
	if (!may_connect(role))
		return find_trouble(role)->retry_at;
	if (!jobq_slot_reserve(MyDatabaseId, role, &ref))
	{
		/* the slot becomes free, and wakes us, when that executor has exited */
		jobq_slots_count(MyDatabaseId, role, &counts);
		if (jobq_slot_free_idle(MyDatabaseId, role) || counts.busy > 0 ||
			jobq_max_workers == 0)
			return JOBQ_NEVER;
		if (counts.total >= jobq_max_workers)
			shortage->of_slots = true;
		else
		{
			shortage->capped_role = role;
			jobq_slot_ask_to_give_way(MyDatabaseId, role);
		}
		return JOBQ_NEVER;
	}
	if (!start_executor(&ref, role))
	{
		(void) jobq_slot_unreserve(&ref);
		jobq_worker_note_no_slots(&slots, "Increase max_worker_processes, or decrease jobq.max_workers.");
		if (!jobq_slot_free_idle(MyDatabaseId, role) && counts.busy == 0)
			shortage->of_slots = shortage->of_processes = true;
		return slots.retry_at;
	}
	accept_gift();
	requested = list_delete_oid(requested, role);
	served_last = role;
	slots.backoff = 0;
	slots.retry_at = DT_NOBEGIN;
	return JOBQ_NEVER;
}

/* A list of roles that begins after the one served last. */
static List *
rotate(List *roles)
{
	List	   *result = NIL;
	int			n = list_length(roles);
	int			first = 0;

	for (int i = 0; i < n; i++)
	{
		if (list_nth_oid(roles, i) == served_last)
			first = i + 1;
	}
	for (int i = 0; i < n; i++)
		result = lappend_oid(result, list_nth_oid(roles, (first + i) % n));
	return result;
}

/*
 * Whether the queues of a role that have no room in shared memory may have
 * work: an executor was requested, or one is busy, which may have seen more
 * jobs.
 */
static bool
has_work_without_room(Oid role)
{
	JobqWorkerCounts counts;

	if (list_member_oid(requested, role))
		return true;
	jobq_slots_count(MyDatabaseId, role, &counts);
	return counts.busy > 0;
}

/* The roles whose queues have work that no executor was found for, in turn. */
static List *
roles_with_work(void)
{
	List	   *roles = NIL;
	Oid			asked = InvalidOid; /* about queues without room, */
	bool		answer = false; /* and what it was */
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *queue = &briefs[i];

		if (!queue->has_executors || queue->paused || !queue->at_home ||
			!OidIsValid(queue->owner))
			continue;
		if (queue->state == NULL && queue->owner != asked)
		{
			asked = queue->owner;
			answer = has_work_without_room(asked);
		}
		if (queue->state == NULL ? answer :
			pg_atomic_read_u32(&queue->state->work) != 0)
			roles = list_append_unique_oid(roles, queue->owner);
	}
	return rotate(roles);
}

/*
 * Looks at all queues that have work, and starts executors for them.  A role
 * without executors takes precedence over one that wants more; the latter gets
 * none while another role finds no slot.  Nobody gets one before it is known which
 * jobs were running when the server crashed (unread_note.c).
 */
TimestampTz
jobq_activation_start_executors(void)
{
	TimestampTz next = JOBQ_NEVER;
	Shortage	shortage = {false, InvalidOid};
	List	   *more = NIL;
	ListCell   *lc;

	if (jobq_unread_notes_exist() || jobq_unread_since() != 0)
		next = jobq_now() + NOTES_DELAY;
	else if (jobq_service_allows_executors())
	{
		foreach(lc, roles_with_work())
		{
			Oid			role = lfirst_oid(lc);
			JobqWorkerCounts counts;
			TimestampTz again;

			jobq_slots_count(MyDatabaseId, role, &counts);
			if (counts.busy > 0)
			{
				more = lappend_oid(more, role);
				continue;
			}
			again = activate_role(role, &shortage);
			next = Min(next, again);
		}
		foreach(lc, shortage.of_slots ? NIL : more)
		{
			TimestampTz again = activate_role(lfirst_oid(lc), &shortage);

			next = Min(next, again);
		}
	}
	tell_shortage(&shortage);
	/* an executor may have fallen asleep before it could see that */
	if (shortage.of_slots)
		(void) jobq_slot_free_idle(MyDatabaseId, InvalidOid);
	return next;
}
