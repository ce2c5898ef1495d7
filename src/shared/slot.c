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

#include "guc.h"
#include "shared/clock.h"
#include "shared/wake.h"

#include <signal.h>

#include "miscadmin.h"

void
jobq_slots_lock(LWLockMode mode)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), mode);
}

void
jobq_slots_unlock(void)
{
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
}

JobqWorker *
jobq_slot_of(const JobqWorkerRef *worker)
{
	JobqWorker *slot = &jobq_shared->workers[worker->slot];

	return slot->generation == worker->generation &&
		slot->state != JOBQ_WORKER_FREE ? slot : NULL;
}

JobqWorker *
jobq_slot_lock(const JobqWorkerRef *worker)
{
	jobq_slots_lock(LW_EXCLUSIVE);
	return jobq_slot_of(worker);
}

/* Under the lock, too. */
void
jobq_slot_mark_recording(JobqWorker *slot, bool recording)
{
	if (slot->recording == recording)
		return;
	slot->recording = recording;
	if (recording)
		pg_atomic_fetch_add_u32(&jobq_shared->nrecording, 1);
	else
		pg_atomic_fetch_sub_u32(&jobq_shared->nrecording, 1);
}

void
jobq_slot_free(JobqWorker *slot)
{
	slot->state = JOBQ_WORKER_FREE;
	slot->dboid = InvalidOid;
	slot->role = InvalidOid;
	slot->pid = 0;
	slot->proc = JOBQ_NO_PROCESS;
	slot->woken = false;
	slot->woken_for = JOBQ_NO_QUEUE;
	slot->leave = false;
	slot->dismissed = false;
	slot->orphaned = false;
	jobq_slot_mark_recording(slot, false);
	slot->give_way_to = InvalidOid;
	slot->queue = 0;
	slot->job_id = 0;
	slot->ended_job = 0;
	slot->attempt = 0;
	slot->lease = 0;
	slot->cancel_job = 0;
	slot->evict = false;
	slot->wants_help = false;
	while (jobq_shared->nworkers > 0 &&
		   jobq_shared->workers[jobq_shared->nworkers - 1].state == JOBQ_WORKER_FREE)
		jobq_shared->nworkers--;
}

bool
jobq_slot_is_available(const JobqWorker *slot)
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

	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->role == role && jobq_slot_is_available(slot))
		{
			slot->woken = true;
			slot->woken_for = queue;
			procno = slot->proc;
			break;
		}
	}
	jobq_slots_unlock();
	if (procno == JOBQ_NO_PROCESS)
		return false;
	jobq_wake_process(procno);
	return true;
}

/* Makes all executors of a database leave as soon as they run no job. */
void
jobq_slots_leave(Oid dboid)
{
	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->state != JOBQ_WORKER_FREE)
		{
			slot->leave = true;
			jobq_wake_process(slot->proc);
		}
	}
	jobq_slots_unlock();
}

/* Ends the sleep of the executors of a database that have failed. */
void
jobq_workers_look(Oid dboid)
{
	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->state == JOBQ_WORKER_BUSY)
			jobq_wake_process(slot->proc);
	}
	jobq_slots_unlock();
}

/*
 * Terminates all executors of a database, with the jobs they run.  An executor may come to
 * act on the signal when the command is over already, so it is told why.
 */
void
jobq_slots_terminate(Oid dboid)
{
	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == dboid && slot->state != JOBQ_WORKER_FREE)
		{
			slot->leave = true;
			if (slot->pid != 0 && slot->pid != MyProcPid)
			{
				slot->dismissed = true;
				(void) kill(slot->pid, SIGTERM);
			}
		}
	}
	jobq_slots_unlock();
}

/*
 * How many executors a database has; with at_work only those that run a job or
 * may be about to, without those that are still starting.
 */
int
jobq_slots_of_database(Oid dboid, bool at_work)
{
	int			n = 0;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state != JOBQ_WORKER_FREE && slot->dboid == dboid &&
			(!at_work || slot->state != JOBQ_WORKER_STARTING))
			n++;
	}
	jobq_slots_unlock();
	return n;
}

/*
 * The PIDs of the executors that jobq_slots_of_database() counts as at work; returns how
 * many.  There is room for JOBQ_MAX_WORKER_SLOTS.
 */
int
jobq_slots_at_work(Oid dboid, pid_t *pids)
{
	int			n = 0;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state != JOBQ_WORKER_FREE && slot->dboid == dboid &&
			slot->state != JOBQ_WORKER_STARTING)
			pids[n++] = slot->pid;
	}
	jobq_slots_unlock();
	return n;
}

/* Whether a process is an executor. */
bool
jobq_worker_is_process(int pid)
{
	bool		result = false;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers && !result; i++)
		result = jobq_shared->workers[i].state != JOBQ_WORKER_FREE &&
			jobq_shared->workers[i].pid == pid;
	jobq_slots_unlock();
	return result;
}

/* Counts the executors of a database and role; role InvalidOid: of all. */
void
jobq_slots_count(Oid dboid, Oid role, JobqWorkerCounts *counts)
{
	memset(counts, 0, sizeof(*counts));
	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers; i++)
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
		else if (jobq_slot_is_available(slot))
			counts->idle++;
		else if (!slot->leave)
			counts->busy++;
	}
	jobq_slots_unlock();
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
	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];
		int			n = 0;

		if (slot->state == JOBQ_WORKER_FREE)
			continue;
		for (int j = i; j < jobq_shared->nworkers; j++)
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
	jobq_slots_unlock();
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

	jobq_slots_lock(LW_EXCLUSIVE);
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
		jobq_shared->nworkers = Max(jobq_shared->nworkers, worker->slot + 1);
		worker->generation = slot->generation;
	}
	else
		slot = NULL;
	jobq_slots_unlock();
	return slot != NULL;
}

/* Frees a slot whose process did not come up.  False if it did. */
bool
jobq_slot_unreserve(const JobqWorkerRef *worker)
{
	JobqWorker *slot = jobq_slot_lock(worker);
	bool		result = false;

	if (slot != NULL && slot->state == JOBQ_WORKER_STARTING && slot->pid == 0)
	{
		jobq_slot_free(slot);
		result = true;
	}
	jobq_slots_unlock();
	return result;
}

/*
 * Makes an idle executor leave, so that its slot can be used: one of another
 * database or role.  If the role has as many executors as it may, it is one of the
 * role in another database.  False if there is none.
 */
bool
jobq_slot_free_idle(Oid dboid, Oid role)
{
	bool		found = false;
	int			of_role = 0;
	bool		its_own;

	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		if (jobq_shared->workers[i].state != JOBQ_WORKER_FREE &&
			jobq_shared->workers[i].role == role)
			of_role++;
	}
	its_own = OidIsValid(role) && jobq_max_workers_per_role > 0 &&
		of_role >= jobq_max_workers_per_role;
	for (int i = 0; i < jobq_shared->nworkers && !found; i++)
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
	jobq_slots_unlock();
	return found;
}

/*
 * Whether an executor of a database wants help; InvalidOid: of any database.
 */
bool
jobq_slots_want_help(Oid dboid)
{
	bool		result = false;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers && !result; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		result = slot->state != JOBQ_WORKER_FREE && slot->wants_help &&
			(slot->dboid == dboid || !OidIsValid(dboid));
	}
	jobq_slots_unlock();
	return result;
}

/*
 * A role that has as many executors as it may has none in this database: one in
 * another database is to give way as soon as it can.  The caller has found no idle
 * one (jobq_slot_free_idle()), and one that goes idle looks again once it is.
 */
void
jobq_slot_ask_to_give_way(Oid dboid, Oid role)
{
	JobqWorker *asked = NULL;

	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
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
	jobq_slots_unlock();
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

	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->state != JOBQ_WORKER_STARTING || slot->dboid != dboid)
			continue;
		if (slot->pid == 0 && slot->started_at < before)
		{
			jobq_slot_free(slot);
			found = true;
		}
		else if (leaving)
			slot->orphaned = true;
	}
	jobq_slots_unlock();
	return found;
}
