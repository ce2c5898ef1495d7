/*-------------------------------------------------------------------------
 *
 * termination.c
 *	  Which jobs were running in executors that were terminated.
 *
 * IDENTIFICATION
 *	  src/shared/termination.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/termination.h"

#include <unistd.h>

#include "miscadmin.h"

/* Where a termination is noted: its own place, a free one, or the oldest. */
static JobqTermination *
place_of_termination(const JobqTermination *termination)
{
	JobqTermination *result = NULL;

	for (int i = 0; i < JOBQ_MAX_TERMINATIONS; i++)
	{
		JobqTermination *entry = &jobq_shared->terminations[i];

		if (entry->dboid == termination->dboid &&
			entry->job_id == termination->job_id)
			return entry;
		if (result == NULL && !OidIsValid(entry->dboid))
			result = entry;
	}
	if (result != NULL)
		return result;
	result = &jobq_shared->terminations[jobq_shared->next_termination];
	jobq_shared->next_termination =
		(jobq_shared->next_termination + 1) % JOBQ_MAX_TERMINATIONS;
	return result;
}

/* Under the lock. */
static void
enter(const JobqTermination *termination)
{
	JobqTermination *entry = place_of_termination(termination);

	if (!OidIsValid(entry->dboid))
		pg_atomic_fetch_add_u32(&jobq_shared->nterminations, 1);
	*entry = *termination;
}

/* Under the lock. */
static void
leave(JobqTermination *entry)
{
	entry->dboid = InvalidOid;
	pg_atomic_fetch_sub_u32(&jobq_shared->nterminations, 1);
}

/*
 * An executor is being terminated in the middle of its job, whose row knows
 * nothing of the attempt.  The process that finds the job next counts it:
 * otherwise a job that terminates its own executor would do so forever.  If
 * the server stops before that, the executor's note remains
 * (bgworker/executor/crash_note.c).
 */
void
jobq_termination_note(const JobqTermination *termination)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	enter(termination);
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
}

/*
 * The same for an attempt that a file tells of, unless that has been removed.
 * A process that removes it calls jobq_termination_take_out() afterwards, so that the
 * attempt does not come back.
 */
bool
jobq_termination_note_file(const JobqTermination *termination,
						   const char *path)
{
	bool		exists;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	exists = access(path, F_OK) == 0;
	if (exists)
		enter(termination);
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	return exists;
}

/*
 * Whether an executor was terminated in this attempt of a job of this
 * database.  That stays so until the coordinator sees that it has been counted,
 * since a transaction that counts it may roll back.
 */
bool
jobq_termination_take(int64 job_id, int32 attempt,
					  JobqTermination *termination)
{
	bool		found = false;

	if (pg_atomic_read_u32(&jobq_shared->nterminations) == 0)
		return false;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_TERMINATIONS && !found; i++)
	{
		const JobqTermination *entry = &jobq_shared->terminations[i];

		if (entry->dboid == MyDatabaseId && entry->job_id == job_id &&
			entry->attempt == attempt)
		{
			*termination = *entry;
			found = true;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	return found;
}

/* Whether some may have been overwritten. */
bool
jobq_terminations_are_full(void)
{
	return pg_atomic_read_u32(&jobq_shared->nterminations) >=
		JOBQ_MAX_TERMINATIONS;
}

/* Copies those of this database into an array of JOBQ_MAX_TERMINATIONS. */
int
jobq_terminations_all(JobqTermination *terminations)
{
	int			n = 0;

	if (pg_atomic_read_u32(&jobq_shared->nterminations) == 0)
		return 0;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_TERMINATIONS; i++)
	{
		if (jobq_shared->terminations[i].dboid == MyDatabaseId)
			terminations[n++] = jobq_shared->terminations[i];
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	return n;
}

/*
 * Forgets that an executor was terminated in an attempt of a job of this
 * database.
 */
void
jobq_termination_forget(int64 job_id, int32 attempt)
{
	if (pg_atomic_read_u32(&jobq_shared->nterminations) == 0)
		return;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_TERMINATIONS; i++)
	{
		JobqTermination *entry = &jobq_shared->terminations[i];

		if (entry->dboid == MyDatabaseId && entry->job_id == job_id &&
			entry->attempt == attempt)
			leave(entry);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
}

/*
 * The same for any attempt of the job; there is one at most.  Returns whether there
 * was one.
 */
bool
jobq_termination_take_out(int64 job_id, JobqTermination *termination)
{
	bool		found = false;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_TERMINATIONS && !found; i++)
	{
		JobqTermination *entry = &jobq_shared->terminations[i];

		if (entry->dboid != MyDatabaseId || entry->job_id != job_id)
			continue;
		*termination = *entry;
		leave(entry);
		found = true;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	return found;
}
