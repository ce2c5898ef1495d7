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

#include "shared/database.h"

#include <unistd.h>

#include "miscadmin.h"

/* Where a termination is noted: its own place, a free one, or NULL. */
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
	return result;
}

/* Under the lock.  Returns false if there is no room. */
static bool
enter(const JobqTermination *termination)
{
	JobqTermination *entry = place_of_termination(termination);

	if (entry == NULL)
		return false;
	if (!OidIsValid(entry->dboid))
		pg_atomic_fetch_add_u32(&jobq_shared->nterminations, 1);
	*entry = *termination;
	return true;
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
 * (bgworker/executor/crash_note.c).  Returns false if there is no room.
 */
bool
jobq_termination_note(const JobqTermination *termination)
{
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	result = enter(termination);
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	return result;
}

/*
 * The same for an attempt that a file tells of, unless that has been removed;
 * without room, the attempt is left out.  A process that removes the file calls
 * jobq_termination_take_out() afterwards, so that the attempt does not come back.
 */
bool
jobq_termination_note_file(const JobqTermination *termination,
						   const char *path)
{
	bool		exists;
	bool		has_room;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	/* it may exist if the directory cannot be searched */
	exists = access(path, F_OK) == 0 || errno != ENOENT;
	has_room = !exists || enter(termination);
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	if (!has_room)
		jobq_termination_leave_out(0);
	return exists;
}

/*
 * There was no room for an attempt of this database, or for several, but files named
 * after them exist (crash_file.c), unless `error` (an errno) is not 0: then only the
 * executor's own file tells of some.  A process that finds their jobs must see this, so
 * nobody else can have found them yet, or the files of before the start are not read.
 */
void
jobq_termination_leave_out(int error)
{
	JobqDatabase *database = jobq_database();

	if (error != 0)
	{
		LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
		pg_atomic_write_u64(&database->nameless,
							(((pg_atomic_read_u64(&database->nameless) >> 32) + 1) << 32) |
							(uint32) error);
		LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	}
	pg_atomic_fetch_add_u32(&database->left_out, 1);
}

/*
 * How often that was so since all attempts of this database were in shared memory.
 * Unless it is 0, one that a later jobq_termination_take() does not find may have a file.
 */
uint32
jobq_terminations_left_out(void)
{
	uint32		result = pg_atomic_read_u32(&jobq_database()->left_out);

	pg_read_barrier();
	return result;
}

/*
 * 0: all those that were left out have files of their own; else not, and the lower half is
 * an errno.  Who looks for an attempt reads this after left_out and before shared memory:
 * where it is 0, the attempt has such a file, or is in shared memory by then.
 */
uint64
jobq_terminations_nameless(void)
{
	uint64		result = pg_atomic_read_u64(&jobq_database()->nameless);

	pg_read_barrier();
	return result;
}

/*
 * For the coordinator: all that were nameless when jobq_terminations_nameless() has
 * returned this are in shared memory by now, or have files of their own.
 */
void
jobq_terminations_name(uint64 nameless)
{
	JobqDatabase *database = jobq_database();

	if (nameless == 0)
		return;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	if (pg_atomic_read_u64(&database->nameless) == nameless)
		pg_atomic_write_u64(&database->nameless, 0);
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
}

/*
 * For the coordinator: all attempts that have files are in shared memory now, but for
 * those that were left out since jobq_terminations_left_out() has returned this.
 */
void
jobq_terminations_complete(uint32 left_out)
{
	if (left_out != 0)
		(void) pg_atomic_compare_exchange_u32(&jobq_database()->left_out,
											  &left_out, 0);
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

/* For the launcher: forgets those of databases that are not in the list. */
void
jobq_terminations_prune(List *databases)
{
	if (pg_atomic_read_u32(&jobq_shared->nterminations) == 0)
		return;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_TERMINATIONS; i++)
	{
		JobqTermination *entry = &jobq_shared->terminations[i];

		if (OidIsValid(entry->dboid) &&
			!list_member_oid(databases, entry->dboid))
			leave(entry);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
}
