/*-------------------------------------------------------------------------
 *
 * slot_job.c
 *	  The jobs that executors run, and interrupting them.
 *
 * IDENTIFICATION
 *	  src/shared/slot_job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/slot_job.h"

#include "shared/clock.h"
#include "shared/database.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/wake.h"

#include <signal.h>

#include "miscadmin.h"
#include "utils/timestamp.h"

/* A handler that catches an interrupt has this long to end, in microseconds. */
#define SIGNAL_INTERVAL (50 * INT64CONST(1000))

/* Whether the job in a slot was sent an interrupt just now. */
static bool
is_signalled(const JobqWorker *slot, TimestampTz now)
{
	return slot->signalled_at <= now &&
		now - slot->signalled_at < SIGNAL_INTERVAL;
}

/*
 * Makes the job in a slot end.  Called under the lock: an executor that has
 * ended the job under it gets no more signals for it.  A cancel takes
 * precedence over other interruptions.  Returns whether this is the first
 * interruption; others follow at intervals, however often this is called.
 */
static bool
interrupt(JobqWorker *slot, bool evict)
{
	bool		first = slot->cancel_job != slot->job_id;
	TimestampTz now = GetCurrentTimestamp();

	if (first)
	{
		slot->cancel_job = slot->job_id;
		slot->cancelled_at = jobq_now();
		slot->terminated = false;
		slot->evict = true;
	}
	slot->evict = slot->evict && evict;
	if (!first && is_signalled(slot, now))
		return false;
	slot->signalled_at = now;
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
 * Interrupts the executor of this database that runs a job, by that lease
 * unless it is 0.  A batch goes on: its other jobs were not cancelled.
 */
static void
interrupt_job(int64 job_id, int64 lease)
{
	bool		found = false;
	bool		first = false;

	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers && !found; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->job_id == job_id &&
			slot->pid != 0 && (lease == 0 || slot->lease == lease))
		{
			first = !slot->is_batch && interrupt(slot, false);
			found = true;
		}
	}
	jobq_slots_unlock();
	if (first)
		report_interruption();
}

/* See slot_job.h. */
void
jobq_slot_interrupt(int64 job_id)
{
	interrupt_job(job_id, 0);
}

/* See slot_job.h. */
void
jobq_slot_interrupt_lease(const JobqLeaseId *lease)
{
	interrupt_job(lease->job_id, lease->lease);
}

/* See slot_job.h. */
int
jobq_slots_running(int64 *jobs)
{
	int			n = 0;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->pid != 0 && slot->job_id != 0)
			jobs[n++] = slot->job_id;
	}
	jobq_slots_unlock();
	return n;
}

/* See slot_job.h. */
int
jobq_slots_leased(JobqLeaseId *leases)
{
	int			n = 0;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->pid != 0 &&
			slot->job_id != 0 && slot->lease != 0)
			leases[n++] = (JobqLeaseId)
		{
			.job_id = slot->job_id,.lease = slot->lease
		};
	}
	jobq_slots_unlock();
	return n;
}

/*
 * Whether an executor of this database runs the job, or is recording its
 * outcome.
 */
bool
jobq_slot_runs_job(int64 job_id)
{
	bool		result = false;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers && !result; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		result = slot->dboid == MyDatabaseId && slot->pid != 0 &&
			(slot->job_id == job_id || slot->ended_job == job_id);
	}
	jobq_slots_unlock();
	return result;
}

/*
 * Whether a slot is of an executor that is to be interrupted because the queue of its
 * job is being dropped, by a transaction that may roll back: of this process, or if
 * `pid` is 0 of any whose job is not held by a lease.  A job does not interrupt itself.
 */
static bool
is_evicted(const JobqWorker *slot, int32 queue, pid_t pid)
{
	return slot->dboid == MyDatabaseId && slot->queue == queue &&
		slot->job_id != 0 && slot->pid != 0 && slot->pid != MyProcPid &&
		(pid != 0 ? slot->pid == pid : slot->lease == 0);
}

/* Whether a job goes on although its process should have been terminated by now. */
static bool
goes_on(const JobqWorker *slot)
{
	return slot->cancel_job == slot->job_id &&
		jobq_now() - slot->cancelled_at > 2 * JOBQ_PATIENCE;
}

/* Interrupts those; returns whether there is one that is going to end. */
static bool
evict(int32 queue, pid_t pid)
{
	bool		first = false;
	bool		any = false;

	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
	{
		JobqWorker *slot = &jobq_shared->workers[i];

		if (!is_evicted(slot, queue, pid))
			continue;
		any = any || !goes_on(slot);
		first = interrupt(slot, true) || first;
	}
	jobq_slots_unlock();
	if (first)
		report_interruption();
	return any;
}

/* See slot_job.h. */
void
jobq_slots_evict(int32 queue)
{
	(void) evict(queue, 0);
}

/*
 * See slot_job.h.  The job may be held by a lease, and have committed something that
 * cannot be undone.
 */
bool
jobq_slot_evict_process(int32 queue, pid_t pid)
{
	Assert(pid != 0);
	return evict(queue, pid);
}

/* See slot_job.h. */
bool
jobq_slot_gives_way(int32 queue, pid_t pid)
{
	bool		result = false;

	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers && !result; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->pid == pid && pid != 0)
			result = slot->job_id == 0 ||
				(is_evicted(slot, queue, 0) && !goes_on(slot));
	}
	jobq_slots_unlock();
	return result;
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

	jobq_slots_lock(LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->nworkers; i++)
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
	jobq_slots_unlock();
	return next;
}

/*
 * Says which job it runs: jobq_slot_interrupt() finds it from now on.
 * Returns whether it was woken before that, and so still has to look for work,
 * and sets *woken_for to the queue.
 */
bool
jobq_slot_begin_job(const JobqWorkerRef *worker, int32 queue, int64 job_id,
					int32 attempt, bool is_batch, int commits,
					int32 *woken_for)
{
	JobqWorker *slot = jobq_slot_lock(worker);
	bool		was_woken = false;

	*woken_for = JOBQ_NO_QUEUE;
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
		slot->lease = 0;
		slot->is_batch = is_batch;
		slot->commits = commits;
		slot->cancel_job = 0;
		slot->evict = false;
		slot->wants_help = false;
		slot->started_at = jobq_now();
	}
	jobq_slots_unlock();
	return was_woken;
}

/* Its job is held by this lease once the claim is committed. */
void
jobq_slot_set_lease(const JobqWorkerRef *worker, int64 lease)
{
	JobqWorker *slot = jobq_slot_lock(worker);

	if (slot != NULL)
		slot->lease = lease;
	jobq_slots_unlock();
}

/*
 * The job's own code has ended: it is not interrupted any more.  Returns how it
 * was told to end.
 */
JobqInterruption
jobq_slot_end_job(const JobqWorkerRef *worker)
{
	JobqWorker *slot = jobq_slot_lock(worker);
	JobqInterruption result = JOBQ_NOT_INTERRUPTED;

	if (slot != NULL)
	{
		if (slot->job_id != 0 && slot->cancel_job == slot->job_id)
			result = slot->evict ? JOBQ_EVICTED : JOBQ_CANCELLED;
		if (slot->job_id != 0)
			slot->ended_job = slot->job_id;
		slot->job_id = 0;
		slot->cancel_job = 0;
	}
	jobq_slots_unlock();
	return result;
}

/* The outcome of the job that has ended is committed, or was rolled back. */
void
jobq_slot_forget_job(const JobqWorkerRef *worker)
{
	JobqWorker *slot = jobq_slot_lock(worker);

	if (slot != NULL)
		slot->ended_job = 0;
	jobq_slots_unlock();
}

/*
 * Outcomes were rolled back, and the executor is going to record them in another
 * transaction.  This is said before their attempts are noted (termination.c), and taken
 * back when they are forgotten, or are up to others.  So who has read of an attempt, and
 * finds afterwards that its executor is not recording, can count it.
 */
void
jobq_slot_set_recording(const JobqWorkerRef *worker, bool recording)
{
	JobqWorker *slot = jobq_slot_lock(worker);

	if (slot != NULL)
		jobq_slot_mark_recording(slot, recording);
	jobq_slots_unlock();
}

/* See slot_job.h. */
bool
jobq_slot_records(const JobqTermination *termination)
{
	bool		result = false;

	if (termination->unrecorded == 0)
		return false;
	jobq_slots_lock(LW_SHARED);
	for (int i = 0; i < jobq_shared->nworkers && !result; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		result = slot->dboid == MyDatabaseId && slot->pid == termination->pid &&
			slot->recording;
	}
	jobq_slots_unlock();
	return result;
}

/*
 * See slot_job.h.  Without a lock: true at least for one who has read of an attempt, under
 * the lock, that is being recorded.
 */
bool
jobq_slots_are_recording(void)
{
	return pg_atomic_read_u32(&jobq_shared->nrecording) != 0;
}

static void
interrupt_noted(const JobqNote *note, TimestampTz now)
{
	jobq_slot_interrupt_lease(jobq_note_const_data(note, JobqLeaseId));
}

/* A mark has no room for a job: those of all executors are looked at. */
static void
mark_interrupt(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_WAKES, JOBQ_WAKE_TAKEN_AWAY);
}

static const JobqNoteKind interrupt_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = interrupt_noted},
	.mark = mark_interrupt
};

/* See slot_job.h. */
void
jobq_at_commit_interrupt(int64 job_id, int64 lease)
{
	*jobq_note_data(jobq_note_add(&interrupt_kind), JobqLeaseId) = (JobqLeaseId)
	{
		.job_id = job_id,.lease = lease
	};
}
