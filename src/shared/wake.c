/*-------------------------------------------------------------------------
 *
 * wake.c
 *	  Waking the processes of jobq, and telling a coordinator when it has
 *	  something to do.
 *
 * IDENTIFICATION
 *	  src/shared/wake.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/wake.h"

#include "shared/database.h"
#include "shared/late.h"
#include "shared/mark.h"
#include "shared/note.h"

#include "access/xact.h"
#include "storage/latch.h"
#include "storage/proc.h"

/* Sets the latch of a process. */
void
jobq_wake_process(int procno)
{
	if (procno >= 0 && procno < jobq_shared->max_waiters)
		SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

void
jobq_wake_launcher(void)
{
	int			procno;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	procno = jobq_shared->launcher_proc;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	jobq_wake_process(procno);
}

/*
 * Gives the coordinator of a database something to do.  If there is none,
 * the launcher is asked for one.
 */
void
jobq_wake_coordinator(JobqDatabase *database, uint32 reason)
{
	int			procno;
	bool		ask = false;

	pg_atomic_fetch_or_u32(&database->wake, reason);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	procno = database->coordinator_proc;
	ask = procno == JOBQ_NO_PROCESS && !database->wanted;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	if (procno != JOBQ_NO_PROCESS)
		jobq_wake_process(procno);
	else if (ask)
	{
		LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
		database->wanted = true;
		procno = jobq_shared->launcher_proc;
		LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
		jobq_wake_process(procno);
	}
}

/* Lowers a time in shared memory; whether that changed anything. */
bool
jobq_wake_lower_time(pg_atomic_uint64 *time, TimestampTz when)
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
 * Lowers the time at which the coordinator knows it must do something, and
 * wakes it if that changed anything.
 */
void
jobq_wake_at(JobqDatabase *database, TimestampTz when)
{
	if (jobq_wake_lower_time(&database->next_due, when))
		jobq_wake_coordinator(database, JOBQ_WAKE_TIME);
}

void
jobq_wake_for_queue_at(JobqQueueState *state, TimestampTz when)
{
	if (state != NULL)
		(void) jobq_wake_lower_time(&state->next_look, when);
	else
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NO_ROOM);
	jobq_wake_at(jobq_database(), when);
}

/* See wake.h. */
void
jobq_wake_for_expiry(TimestampTz when)
{
	(void) jobq_wake_lower_time(&jobq_database()->expires_low, when);
	jobq_wake_at(jobq_database(), when);
}

static void
tell_of_expiry(const JobqNote *note, TimestampTz now)
{
	jobq_wake_for_expiry(*jobq_note_const_data(note, TimestampTz));
}

static void
mark_expiry(const JobqNote *note)
{
	jobq_mark_time(JOBQ_MARK_EXPIRY, *jobq_note_const_data(note, TimestampTz));
}

static const JobqNoteKind due_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = tell_of_expiry},
	.mark = mark_expiry
};

void
jobq_at_commit_expiry(TimestampTz when)
{
	*jobq_note_data(jobq_note_add(&due_kind), TimestampTz) = when;
}

/* The coordinator must look at schedules that are due from then on. */
void
jobq_wake_for_schedule(TimestampTz next_run)
{
	(void) jobq_wake_lower_time(&jobq_database()->schedules_low, next_run);
	jobq_wake_at(jobq_database(), next_run);
}

static void
tell_of_schedule(const JobqNote *note, TimestampTz now)
{
	jobq_wake_for_schedule(*jobq_note_const_data(note, TimestampTz));
}

static void
mark_schedule(const JobqNote *note)
{
	jobq_mark_time(JOBQ_MARK_SCHEDULE,
				   *jobq_note_const_data(note, TimestampTz));
}

static const JobqNoteKind schedule_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = tell_of_schedule},
	.mark = mark_schedule
};

void
jobq_at_commit_schedule(TimestampTz next_run)
{
	*jobq_note_data(jobq_note_add(&schedule_kind), TimestampTz) = next_run;
}

static void
wake_for_reasons(const JobqNote *note, TimestampTz now)
{
	jobq_wake_coordinator(jobq_database(),
						  *jobq_note_const_data(note, uint32));
}

static void
mark_reasons(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_WAKES, *jobq_note_const_data(note, uint32));
}

static const JobqNoteKind wake_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = wake_for_reasons},
	.mark = mark_reasons
};

void
jobq_at_commit_wake(uint32 reasons)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	/* the same again, as when many queues are changed */
	for (int i = n - 1; i >= 0 && i >= n - 4; i--)
	{
		if (notes[i].kind == &wake_kind && notes[i].level == level &&
			(reasons & ~*jobq_note_const_data(&notes[i], uint32)) == 0)
			return;
	}
	*jobq_note_data(jobq_note_add(&wake_kind), uint32) = reasons;
}
