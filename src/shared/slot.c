/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  The slots of the executors in shared memory.
 *
 * A slot is reserved by a coordinator (FREE to STARTING), taken over by the
 * executor it starts, which then moves between IDLE and BUSY, and is freed by
 * the executor's exit callback, or by the coordinator if no process came up.
 * bgworker/README.md has the picture.
 *
 * A process that finds an executor IDLE and not woken may rely on it to
 * look for work once more: it looks again after every wake-up, and leaves
 * IDLE for good only under the lock and when it has not been woken.
 *
 * IDENTIFICATION
 *	  src/shared/slot.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/slot.h"

#include "compat.h"
#include "guc.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/note.h"
#include "shared/wake.h"

#include <signal.h>

#include "miscadmin.h"

static void
lock_slots(LWLockMode mode)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), mode);
}

static void
unlock_slots(void)
{
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
}

/* The slot, or NULL if it has another tenant by now. */
static JobqWorker *
slot_of(const JobqWorkerRef *worker)
{
	JobqWorker *slot = &jobq_shared->workers[worker->slot];

	return slot->generation == worker->generation &&
		slot->state != JOBQ_WORKER_FREE ? slot : NULL;
}

static void
free_slot(JobqWorker *slot)
{
	slot->state = JOBQ_WORKER_FREE;
	slot->dboid = InvalidOid;
	slot->role = InvalidOid;
	slot->pid = 0;
	slot->proc = JOBQ_NO_PROCESS;
	slot->woken = false;
	slot->woken_for = JOBQ_NO_QUEUE;
	slot->leave = false;
	slot->orphaned = false;
	slot->give_way_to = InvalidOid;
	slot->queue = 0;
	slot->job_id = 0;
	slot->ended_job = 0;
	slot->attempt = 0;
	slot->leased = false;
	slot->cancel_job = 0;
	slot->evict = false;
	slot->wants_help = false;
}

static bool
is_available(const JobqWorker *slot)
{
	return slot->state == JOBQ_WORKER_IDLE && !slot->woken && !slot->leave;
}

/*
 * Wakes an idle executor of that role, if there is one, for a queue of which no
 * other process will be told; JOBQ_NO_QUEUE: the queues' flags say where to
 * look.
 */
bool
jobq_slot_wake(Oid dboid, Oid role, int32 queue)
{
	int			procno = JOBQ_NO_PROCESS;

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->role == role && is_available(slot))
		{
			slot->woken = true;
			slot->woken_for = queue;
			procno = slot->proc;
			break;
		}
	}
	unlock_slots();
	if (procno == JOBQ_NO_PROCESS)
		return false;
	jobq_wake_process(procno);
	return true;
}

/*
 * Makes the job in a slot end.  Called under the lock: an executor that has
 * ended the job under it gets no more signals for it.  A cancel takes
 * precedence over other interruptions.  Returns whether this is the first
 * interruption.
 */
static bool
interrupt(JobqWorker *slot, bool evict)
{
	bool		first = slot->cancel_job != slot->job_id;

	if (first)
	{
		slot->cancel_job = slot->job_id;
		slot->cancelled_at = jobq_now();
		slot->terminated = false;
		slot->evict = true;
	}
	slot->evict = slot->evict && evict;
	(void) kill(slot->pid, SIGINT);
	return first;
}

/* Tells the coordinator, so that no job runs on forever. */
static void
report_interruption(void)
{
	JobqDatabase *database = jobq_database_find(MyDatabaseId);

	if (database != NULL)
		jobq_wake_coordinator(database, JOBQ_WAKE_INTERRUPT);
}

/*
 * Interrupts the executor of this database that runs a job, which has been
 * cancelled.  False if none runs it.
 */
bool
jobq_slot_interrupt(int64 job_id)
{
	bool		found = false;
	bool		first = false;

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS && !found; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->job_id == job_id &&
			slot->pid != 0)
		{
			first = interrupt(slot, false);
			found = true;
		}
	}
	unlock_slots();
	if (first)
		report_interruption();
	return found;
}

/*
 * Whether an executor of this database runs the job, or is recording its
 * outcome.
 */
bool
jobq_slot_runs_job(int64 job_id)
{
	bool		result = false;

	lock_slots(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS && !result; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		result = slot->dboid == MyDatabaseId && slot->pid != 0 &&
			(slot->job_id == job_id || slot->ended_job == job_id);
	}
	unlock_slots();
	return result;
}

/*
 * Interrupts the executors of this database that run jobs of a queue, for a
 * transaction that may roll back: that of this process, or if `pid` is 0 all
 * whose jobs are not held by leases.  A job does not interrupt itself.
 */
static void
evict(int32 queue, pid_t pid)
{
	bool		first = false;

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->queue == queue &&
			slot->job_id != 0 && slot->pid != 0 && slot->pid != MyProcPid &&
			(pid != 0 ? slot->pid == pid : !slot->leased) &&
			interrupt(slot, true))
			first = true;
	}
	unlock_slots();
	if (first)
		report_interruption();
}

void
jobq_slots_evict(int32 queue)
{
	evict(queue, 0);
}

/*
 * The same for one process, which is in the way.  Its job may be held by a
 * lease, and have committed something that cannot be undone.
 */
void
jobq_slot_evict_process(int32 queue, pid_t pid)
{
	Assert(pid != 0);
	evict(queue, pid);
}

/* Makes all executors of a database leave as soon as they run no job. */
void
jobq_slots_leave(Oid dboid)
{
	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->state != JOBQ_WORKER_FREE)
		{
			slot->leave = true;
			jobq_wake_process(slot->proc);
		}
	}
	unlock_slots();
}

/* Ends the sleep of the executors of a database that have failed. */
void
jobq_workers_look(Oid dboid)
{
	lock_slots(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->state == JOBQ_WORKER_BUSY)
			jobq_wake_process(slot->proc);
	}
	unlock_slots();
}

/* Terminates all executors of a database, with the jobs they run. */
void
jobq_slots_terminate(Oid dboid)
{
	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->state != JOBQ_WORKER_FREE)
		{
			slot->leave = true;
			if (slot->pid != 0 && slot->pid != MyProcPid)
				(void) kill(slot->pid, SIGTERM);
		}
	}
	unlock_slots();
}

/*
 * How many executors a database has; with at_work only those that run a job or
 * may be about to, without those that are still starting.
 */
int
jobq_slots_of_database(Oid dboid, bool at_work)
{
	int			n = 0;

	lock_slots(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state != JOBQ_WORKER_FREE && slot->dboid == dboid &&
			(!at_work || slot->state != JOBQ_WORKER_STARTING))
			n++;
	}
	unlock_slots();
	return n;
}

/* Whether a process is an executor. */
bool
jobq_worker_is_process(int pid)
{
	bool		result = false;

	lock_slots(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS && !result; i++)
		result = jobq_shared->workers[i].state != JOBQ_WORKER_FREE &&
			jobq_shared->workers[i].pid == pid;
	unlock_slots();
	return result;
}

/* Counts the executors of a database and role; role InvalidOid: of all. */
void
jobq_slots_count(Oid dboid, Oid role, JobqWorkerCounts *counts)
{
	memset(counts, 0, sizeof(*counts));
	lock_slots(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state == JOBQ_WORKER_FREE)
			continue;
		counts->total++;
		if (slot->role == role)
			counts->of_role++;
		if (slot->dboid != dboid || (OidIsValid(role) && slot->role != role))
			continue;
		if (slot->state == JOBQ_WORKER_STARTING)
			counts->starting++;
		else if (is_available(slot))
			counts->idle++;
		else if (!slot->leave)
			counts->busy++;
	}
	unlock_slots();
}

/*
 * Whether a role may have one more executor than jobq_slots_count() has
 * counted.
 */
bool
jobq_slots_have_room(const JobqWorkerCounts *counts)
{
	return counts->total < jobq_max_workers &&
		(jobq_max_workers_per_role == 0 ||
		 counts->of_role < jobq_max_workers_per_role);
}

/* The role with most executors, and their number. */
int
jobq_slots_role_with_most(Oid *role)
{
	int			most = 0;

	*role = InvalidOid;
	lock_slots(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];
		int			n = 0;

		if (slot->state == JOBQ_WORKER_FREE)
			continue;
		for (int j = i; j < JOBQ_MAX_WORKER_SLOTS; j++)
		{
			if (jobq_shared->workers[j].state != JOBQ_WORKER_FREE &&
				jobq_shared->workers[j].role == slot->role)
				n++;
		}
		if (n > most)
		{
			most = n;
			*role = slot->role;
		}
	}
	unlock_slots();
	return most;
}

/*
 * Takes a free slot, unless jobq.max_workers are in use, or this role uses
 * jobq.max_workers_per_role.
 */
bool
jobq_slot_reserve(Oid dboid, Oid role, JobqWorkerRef *worker)
{
	JobqWorker *slot = NULL;
	JobqWorkerCounts counts = {0};

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		if (jobq_shared->workers[i].state != JOBQ_WORKER_FREE)
		{
			counts.total++;
			if (jobq_shared->workers[i].role == role)
				counts.of_role++;
		}
		else if (slot == NULL)
			slot = &jobq_shared->workers[i];
	}
	if (slot != NULL && jobq_slots_have_room(&counts))
	{
		slot->state = JOBQ_WORKER_STARTING;
		slot->dboid = dboid;
		slot->role = role;
		slot->generation++;
		slot->started_at = jobq_now();
		worker->slot = slot - jobq_shared->workers;
		worker->generation = slot->generation;
	}
	else
		slot = NULL;
	unlock_slots();
	return slot != NULL;
}

/* Frees a slot whose process did not come up.  False if it did. */
bool
jobq_slot_unreserve(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	bool		result = false;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL && slot->state == JOBQ_WORKER_STARTING && slot->pid == 0)
	{
		free_slot(slot);
		result = true;
	}
	unlock_slots();
	return result;
}

/*
 * Makes an idle executor leave, so that its slot can be used: one of another
 * database or role or, if the role has as many as it may, one of the role in
 * another database.  False if there is none.
 */
bool
jobq_slot_free_idle(Oid dboid, Oid role)
{
	bool		found = false;
	int			of_role = 0;
	bool		its_own;

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		if (jobq_shared->workers[i].state != JOBQ_WORKER_FREE &&
			jobq_shared->workers[i].role == role)
			of_role++;
	}
	its_own = OidIsValid(role) && jobq_max_workers_per_role > 0 &&
		of_role >= jobq_max_workers_per_role;
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS && !found; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state != JOBQ_WORKER_IDLE ||
			(slot->dboid == dboid && slot->role == role) ||
			(its_own && slot->role != role))
			continue;
		/* one that is already leaving will do */
		if (slot->leave || !slot->woken)
		{
			slot->leave = true;
			jobq_wake_process(slot->proc);
			found = true;
		}
	}
	unlock_slots();
	return found;
}

/*
 * An executor has seen more jobs than it takes, and there is no slot for another
 * one.  Returns whether an idle one could leave; if not, an executor that
 * becomes idle finds that this one wants help, as long as its job runs.
 */
bool
jobq_slot_want_help(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	int			of_role = 0;
	int			own_idle = 0;
	int			others_idle = 0;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS && slot != NULL; i++)
	{
		const JobqWorker *other = &jobq_shared->workers[i];

		if (other->state != JOBQ_WORKER_FREE && other->role == slot->role)
			of_role++;
		if (!is_available(other))
			continue;
		if (other->role != slot->role)
			others_idle++;
		else if (other->dboid != slot->dboid)
			own_idle++;
	}
	if (jobq_max_workers_per_role > 0 && of_role >= jobq_max_workers_per_role)
		others_idle = 0;
	if (slot != NULL)
		slot->wants_help = true;
	unlock_slots();
	return own_idle + others_idle > 0;
}

/*
 * Whether an executor of a database wants help; InvalidOid: of any database.
 */
bool
jobq_slots_want_help(Oid dboid)
{
	bool		result = false;

	lock_slots(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS && !result; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		result = slot->state != JOBQ_WORKER_FREE && slot->wants_help &&
			(slot->dboid == dboid || !OidIsValid(dboid));
	}
	unlock_slots();
	return result;
}

/*
 * A role that has as many executors as it may has none in this database: one
 * of another database is to give way as soon as it can.  One that is idle has
 * been looked for before (jobq_slot_free_idle()), and one that is about to be
 * looks again when it has said so.
 */
void
jobq_slot_ask_to_give_way(Oid dboid, Oid role)
{
	JobqWorker *asked = NULL;

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state == JOBQ_WORKER_FREE || slot->role != role ||
			slot->dboid == dboid)
			continue;
		if (slot->leave || slot->give_way_to == dboid)
		{
			asked = NULL;
			break;
		}
		if (asked == NULL && !OidIsValid(slot->give_way_to))
			asked = slot;
	}
	if (asked != NULL)
		asked->give_way_to = dboid;
	unlock_slots();
}

/*
 * Frees slots that a coordinator of this database reserved before the given
 * time and for which no process came up.  Returns whether there were any.  A
 * process that is starting, and fails, frees its slot itself if the
 * coordinator is leaving.
 */
bool
jobq_slots_reap(Oid dboid, TimestampTz before, bool leaving)
{
	bool		found = false;

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state != JOBQ_WORKER_STARTING || slot->dboid != dboid)
			continue;
		if (slot->pid == 0 && slot->started_at < before)
		{
			free_slot(slot);
			found = true;
		}
		else if (leaving)
			slot->orphaned = true;
	}
	unlock_slots();
	return found;
}

/*
 * Terminates the executors of this database whose job still runs though it was
 * interrupted JOBQ_PATIENCE ago: it has caught the error; the one of SIGTERM
 * cannot be caught.  Returns the time at which the next one's patience ends.
 */
TimestampTz
jobq_slots_terminate_stubborn(void)
{
	TimestampTz now = jobq_now();
	TimestampTz next = JOBQ_NEVER;

	lock_slots(LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid != MyDatabaseId || slot->pid == 0 ||
			slot->job_id == 0 || slot->cancel_job != slot->job_id ||
			slot->terminated)
			continue;
		/* the clock may have been set back */
		slot->cancelled_at = Min(slot->cancelled_at, now);
		if (now - slot->cancelled_at >= JOBQ_PATIENCE)
		{
			slot->terminated = true;
			(void) kill(slot->pid, SIGTERM);
		}
		else
			next = Min(next, slot->cancelled_at + JOBQ_PATIENCE);
	}
	unlock_slots();
	return next;
}

/* The process has started. False if it is no longer wanted. */
bool
jobq_slot_attach(const JobqWorkerRef *worker, Oid *dboid, Oid *role)
{
	JobqWorker *slot;
	bool		wanted = false;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL && slot->pid == 0)
	{
		slot->pid = MyProcPid;
		slot->proc = JOBQ_MY_PROC_NUMBER;
		slot->started_at = jobq_now();
		*dboid = slot->dboid;
		*role = slot->role;
		wanted = true;
	}
	unlock_slots();
	return wanted;
}

/*
 * The process exits: frees the slot.  Returns whether it had been woken, so
 * that another process must look for work.  The slot of a process that
 * failed while starting is left to its coordinator, which must notice.
 */
bool
jobq_slot_detach(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	bool		owed = false;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
	{
		owed = slot->woken || slot->state == JOBQ_WORKER_BUSY;
		if (slot->state == JOBQ_WORKER_STARTING && !slot->orphaned)
		{
			slot->pid = 0;
			slot->proc = JOBQ_NO_PROCESS;
		}
		else
			free_slot(slot);
	}
	unlock_slots();
	return owed;
}

/*
 * Goes to sleep, or says that it is still asleep after a wake-up that has
 * been dealt with.  Returns whether it was woken since it went idle, and sets
 * *queue to the queue it was woken for.
 */
bool
jobq_slot_set_idle(const JobqWorkerRef *worker, int32 *queue)
{
	JobqWorker *slot;
	bool		woken = false;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
	{
		woken = slot->woken;
		*queue = slot->woken_for;
		if (slot->state != JOBQ_WORKER_IDLE)
			slot->started_at = jobq_now();
		slot->state = JOBQ_WORKER_IDLE;
		slot->wants_help = false;
		slot->woken = false;
		slot->woken_for = JOBQ_NO_QUEUE;
	}
	unlock_slots();
	return woken;
}

/* It looks for work from now on, so that it need not be woken. */
void
jobq_slot_set_busy(const JobqWorkerRef *worker)
{
	JobqWorker *slot;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
	{
		slot->state = JOBQ_WORKER_BUSY;
		slot->woken = false;
	}
	unlock_slots();
}

/*
 * It wants to exit.  False if it has been woken: then it must look for work.
 */
bool
jobq_slot_set_leaving(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	bool		result = true;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
	{
		result = !slot->woken || slot->leave;
		if (result)
			slot->leave = true;
	}
	unlock_slots();
	return result;
}

/* Another process asked for the slot. */
bool
jobq_slot_must_leave(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	bool		result;

	lock_slots(LW_SHARED);
	slot = slot_of(worker);
	result = slot == NULL || slot->leave;
	unlock_slots();
	return result;
}

/*
 * jobq.max_workers or jobq.max_workers_per_role may have been lowered: whether
 * this executor has to exit.  Exactly the surplus executors are told so.
 */
bool
jobq_slot_is_too_many(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	int			staying = 0;
	int			of_role = 0;
	bool		result = false;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		if (jobq_shared->workers[i].state == JOBQ_WORKER_FREE ||
			jobq_shared->workers[i].leave)
			continue;
		staying++;
		if (slot != NULL && jobq_shared->workers[i].role == slot->role)
			of_role++;
	}
	if (slot != NULL &&
		(staying > jobq_max_workers ||
		 (jobq_max_workers_per_role > 0 &&
		  of_role > jobq_max_workers_per_role)))
	{
		slot->leave = true;
		result = true;
	}
	unlock_slots();
	return result;
}

/*
 * Says which job it runs: jobq_slot_interrupt() finds it from now on.
 * Returns whether it was woken before that, and so still has to look for work,
 * and sets *woken_for to the queue.
 */
bool
jobq_slot_begin_job(const JobqWorkerRef *worker, int32 queue, int64 job_id,
					int32 attempt, int commits, int32 *woken_for)
{
	JobqWorker *slot;
	bool		was_woken = false;

	*woken_for = JOBQ_NO_QUEUE;
	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
	{
		slot->state = JOBQ_WORKER_BUSY;
		was_woken = slot->woken;
		*woken_for = slot->woken_for;
		slot->woken = false;
		slot->woken_for = JOBQ_NO_QUEUE;
		slot->queue = queue;
		slot->job_id = job_id;
		slot->ended_job = 0;
		slot->attempt = attempt;
		slot->leased = false;
		slot->commits = commits;
		slot->cancel_job = 0;
		slot->evict = false;
		slot->wants_help = false;
		slot->started_at = jobq_now();
	}
	unlock_slots();
	return was_woken;
}

/* Its job is held by a lease from now on. */
void
jobq_slot_set_leased(const JobqWorkerRef *worker)
{
	JobqWorker *slot;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
		slot->leased = true;
	unlock_slots();
}

/*
 * The job's own code has ended: it is not interrupted any more.  Returns how it
 * was told to end.
 */
JobqInterruption
jobq_slot_end_job(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	JobqInterruption result = JOBQ_NOT_INTERRUPTED;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
	{
		if (slot->job_id != 0 && slot->cancel_job == slot->job_id)
			result = slot->evict ? JOBQ_EVICTED : JOBQ_CANCELLED;
		if (slot->job_id != 0)
			slot->ended_job = slot->job_id;
		slot->job_id = 0;
		slot->cancel_job = 0;
	}
	unlock_slots();
	return result;
}

/* The outcome of the job that has ended is committed, or was rolled back. */
void
jobq_slot_forget_job(const JobqWorkerRef *worker)
{
	JobqWorker *slot;

	lock_slots(LW_EXCLUSIVE);
	slot = slot_of(worker);
	if (slot != NULL)
		slot->ended_job = 0;
	unlock_slots();
}

static void
interrupt_noted(const JobqNote *note, TimestampTz now)
{
	(void) jobq_slot_interrupt(*jobq_note_const_data(note, int64));
}

static const JobqNoteKind interrupt_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = interrupt_noted}
};

/* Interrupts the executor of this database that runs the job. */
void
jobq_at_commit_interrupt(int64 job_id)
{
	*jobq_note_data(jobq_note_add(&interrupt_kind), int64) = job_id;
}
