/*-------------------------------------------------------------------------
 *
 * slot_own.c
 *	  What an executor does with its own slot.
 *
 * IDENTIFICATION
 *	  src/shared/slot_own.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/slot_own.h"

#include "compat.h"
#include "guc.h"
#include "shared/clock.h"

#include "miscadmin.h"

/* The process has started. False if it is no longer wanted. */
bool
jobq_slot_attach(const JobqWorkerRef *worker, Oid *dboid, Oid *role)
{
	JobqWorker *slot = jobq_slot_lock(worker);
	bool		wanted = false;

	if (slot != NULL && slot->pid == 0)
	{
		slot->pid = MyProcPid;
		slot->proc = JOBQ_MY_PROC_NUMBER;
		slot->started_at = jobq_now();
		*dboid = slot->dboid;
		*role = slot->role;
		wanted = true;
	}
	jobq_slots_unlock();
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
	JobqWorker *slot = jobq_slot_lock(worker);
	bool		owed = false;

	if (slot != NULL)
	{
		owed = slot->woken || slot->state == JOBQ_WORKER_BUSY;
		if (slot->state == JOBQ_WORKER_STARTING && !slot->orphaned)
		{
			slot->pid = 0;
			slot->proc = JOBQ_NO_PROCESS;
		}
		else
			jobq_slot_free(slot);
	}
	jobq_slots_unlock();
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
	JobqWorker *slot = jobq_slot_lock(worker);
	bool		woken = false;

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
	jobq_slots_unlock();
	return woken;
}

/* It looks for work from now on, so that it need not be woken. */
void
jobq_slot_set_busy(const JobqWorkerRef *worker)
{
	JobqWorker *slot = jobq_slot_lock(worker);

	if (slot != NULL)
	{
		slot->state = JOBQ_WORKER_BUSY;
		slot->woken = false;
	}
	jobq_slots_unlock();
}

/*
 * It wants to exit.  False if it has been woken: then it must look for work.
 */
bool
jobq_slot_set_leaving(const JobqWorkerRef *worker)
{
	JobqWorker *slot = jobq_slot_lock(worker);
	bool		result = true;

	if (slot != NULL)
	{
		result = !slot->woken || slot->leave;
		if (result)
			slot->leave = true;
	}
	jobq_slots_unlock();
	return result;
}

/* Another process asked for the slot. */
bool
jobq_slot_must_leave(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	bool		result;

	jobq_slots_lock(LW_SHARED);
	slot = jobq_slot_of(worker);
	result = slot == NULL || slot->leave;
	jobq_slots_unlock();
	return result;
}

/* A command that needs exclusive use of the database has terminated it. */
bool
jobq_slot_is_dismissed(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	bool		result;

	jobq_slots_lock(LW_SHARED);
	slot = jobq_slot_of(worker);
	result = slot != NULL && slot->dismissed;
	jobq_slots_unlock();
	return result;
}

/* It was woken, or asked to leave, since it went idle. */
bool
jobq_slot_is_called(const JobqWorkerRef *worker)
{
	JobqWorker *slot;
	bool		result;

	jobq_slots_lock(LW_SHARED);
	slot = jobq_slot_of(worker);
	result = slot == NULL || slot->woken || slot->leave;
	jobq_slots_unlock();
	return result;
}

/*
 * jobq.max_workers or jobq.max_workers_per_role may have been lowered: whether
 * this executor has to exit.  Exactly the surplus executors are told so.
 */
bool
jobq_slot_is_too_many(const JobqWorkerRef *worker)
{
	JobqWorker *slot = jobq_slot_lock(worker);
	int			staying = 0;
	int			of_role = 0;
	bool		result = false;

	for (int i = 0; i < jobq_shared->nworkers; i++)
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
	jobq_slots_unlock();
	return result;
}

/*
 * An executor has seen more jobs than it takes, and there is no slot for another
 * one.  Returns whether an idle one could leave; if not, an executor that
 * becomes idle finds that this one wants help, as long as its job runs.
 */
bool
jobq_slot_want_help(const JobqWorkerRef *worker)
{
	JobqWorker *slot = jobq_slot_lock(worker);
	int			of_role = 0;
	int			own_idle = 0;
	int			others_idle = 0;

	for (int i = 0; i < jobq_shared->nworkers && slot != NULL; i++)
	{
		const JobqWorker *other = &jobq_shared->workers[i];

		if (other->state != JOBQ_WORKER_FREE && other->role == slot->role)
			of_role++;
		if (!jobq_slot_is_available(other))
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
	jobq_slots_unlock();
	return own_idle + others_idle > 0;
}
