/*-------------------------------------------------------------------------
 *
 * database.c
 *	  The databases in which jobq is used, in shared memory.
 *
 * IDENTIFICATION
 *	  src/shared/database.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/database.h"

JobqDatabase *jobq_database_mine = NULL;

/* An entry of databases[] that is not in use; JOBQ_LOCK_DATABASES is held. */
void
jobq_database_reset(JobqDatabase *database, Oid dboid)
{
	database->state = JOBQ_COORDINATOR_NONE;
	database->coordinator_pid = 0;
	database->coordinator_proc = JOBQ_NO_PROCESS;
	database->wanted = false;
	database->retry_at = DT_NOBEGIN;
	database->holds = 0;
	database->stopped = false;
	database->stoppers = 0;
	database->stopper_pid = 0;
	database->stop_changes = 0;
	database->starving = false;
	database->no_process = false;
	database->capped_role = InvalidOid;
	database->frozen_role = InvalidOid;
	database->frozen_at = DT_NOBEGIN;
	database->leases_loaded = false;
	database->leases_overflow = false;
	database->unlisted_due = JOBQ_NEVER;
	database->unlisted_noted = JOBQ_NEVER;
	for (int i = 0; i < JOBQ_NUM_TASKS; i++)
		database->tasks[i].since = JOBQ_NEVER;
	database->behind_role = InvalidOid;
	database->behind_since = JOBQ_NEVER;
	pg_atomic_write_u32(&database->wake, 0);
	pg_atomic_write_u64(&database->next_due, (uint64) JOBQ_NEVER);
	pg_atomic_write_u64(&database->schedules_low, (uint64) JOBQ_NEVER);
	pg_atomic_write_u32(&database->schedules_wait, 0);
	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
		pg_atomic_write_u32(&database->ended_owner[i], InvalidOid);
	pg_atomic_write_u32(&database->notes_read, 0);
	pg_atomic_write_u32(&database->left_out, 0);
	pg_atomic_write_u64(&database->nameless, 0);
	pg_atomic_write_u64(&database->unread_since, 0);
	pg_atomic_write_u64(&database->unrecorded_since, 0);
	pg_atomic_write_u64(&database->history_turn, 0);
	pg_atomic_write_u64(&database->expires_low, (uint64) JOBQ_NEVER);
	pg_atomic_write_u32(&database->promises, 0);
	pg_atomic_write_u32(&database->dispatching, 0);
	pg_atomic_write_u64(&database->swept, 0);
	database->lease_block_known = false;
	database->lease_block = 0;
	database->lease_next = 0;
	database->lease_end = 0;
	database->tenancy++;
	pg_write_barrier();
	database->dboid = dboid;
}

/* Makes an entry of databases[] of raw memory; it is not in use. */
void
jobq_database_initialize(JobqDatabase *database)
{
	pg_atomic_init_u32(&database->wake, 0);
	pg_atomic_init_u32(&database->generation, 0);
	pg_atomic_init_u64(&database->next_due, (uint64) JOBQ_NEVER);
	pg_atomic_init_u64(&database->schedules_low, (uint64) JOBQ_NEVER);
	pg_atomic_init_u32(&database->schedules_wait, 0);
	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
		pg_atomic_init_u32(&database->ended_owner[i], InvalidOid);
	pg_atomic_init_u32(&database->notes_read, 0);
	pg_atomic_init_u32(&database->left_out, 0);
	pg_atomic_init_u64(&database->nameless, 0);
	pg_atomic_init_u64(&database->unread_since, 0);
	pg_atomic_init_u32(&database->unread_errno, 0);
	pg_atomic_init_u64(&database->unrecorded_since, 0);
	pg_atomic_init_u32(&database->unrecorded_code, 0);
	pg_atomic_init_u32(&database->unrecorded_errno, 0);
	pg_atomic_init_u64(&database->history_turn, 0);
	pg_atomic_init_u64(&database->expires_low, (uint64) JOBQ_NEVER);
	pg_atomic_init_u32(&database->promises, 0);
	pg_atomic_init_u32(&database->dispatching, 0);
	pg_atomic_init_u32(&database->clock_steps, 0);
	pg_atomic_init_u64(&database->swept, 0);
	SpinLockInit(&database->mutex);
	SpinLockInit(&database->changes_mutex);
	pg_atomic_init_u64(&database->nchanges, 0);
	jobq_database_reset(database, InvalidOid);
}

/* The entry of a database, NULL if it has none.  Takes the lock. */
JobqDatabase *
jobq_database_find(Oid dboid)
{
	JobqDatabase *result = NULL;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_DATABASES && result == NULL; i++)
	{
		if (jobq_shared->databases[i].dboid == dboid)
			result = &jobq_shared->databases[i];
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/* The same; the caller holds JOBQ_LOCK_DATABASES exclusively. */
static JobqDatabase *
allocate_locked(Oid dboid)
{
	JobqDatabase *unused = NULL;

	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];

		if (database->dboid == dboid)
			return database;
		if (!OidIsValid(database->dboid) && unused == NULL)
			unused = database;
	}
	if (unused != NULL)
		jobq_database_reset(unused, dboid);
	return unused;
}

/* Finds a database's entry or makes one; NULL if there is no room. */
JobqDatabase *
jobq_database_allocate(Oid dboid)
{
	JobqDatabase *result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	result = allocate_locked(dboid);
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/*
 * Keeps processes of jobq from starting in a database.  NULL if there is no
 * room; else the caller must call jobq_database_release() with the same entry
 * and tenancy.
 */
JobqDatabase *
jobq_database_hold(Oid dboid, uint64 *tenancy)
{
	JobqDatabase *result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	result = allocate_locked(dboid);
	if (result != NULL)
	{
		result->holds++;
		*tenancy = result->tenancy;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/*
 * The counterpart.  False if the entry has been given up since, and with it
 * the hold: then it may belong to another database by now.
 */
bool
jobq_database_release(JobqDatabase *database, uint64 tenancy)
{
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	result = database->tenancy == tenancy;
	if (result)
	{
		database->holds--;
		database->wanted = true;
		database->retry_at = DT_NOBEGIN;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/*
 * The entry of sessions whose own entry was given up, and that find no room for a new
 * one: nobody reads it, and nothing happens until the server restarts.
 */
static JobqDatabase *
entry_of_nobody(void)
{
	static JobqDatabase entry;
	static bool initialized = false;

	if (!initialized)
	{
		jobq_database_initialize(&entry);
		entry.dboid = MyDatabaseId;
		initialized = true;
	}
	return &entry;
}

/* See jobq_database(), which has found no entry that is still this session's. */
JobqDatabase *
jobq_database_find_mine(void)
{
	bool		first = jobq_database_mine == NULL;
	JobqDatabase *database = jobq_database_allocate(MyDatabaseId);

	if (database == NULL && first)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("jobq is in use in too many databases"),
				 errdetail("At most %d databases of a server can use it.",
						   JOBQ_MAX_DATABASES)));
	jobq_database_mine = database != NULL ? database : entry_of_nobody();
	return jobq_database_mine;
}

/*
 * Raises 55000 if the library was not preloaded.  Commit callbacks may use
 * jobq_database() after it.
 */
void
jobq_require_shmem(void)
{
	if (jobq_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("jobq must be loaded when the server starts"),
				 errhint("Add jobq to shared_preload_libraries and restart the server.")));
	(void) jobq_database();
}

/* The OIDs of the databases that have an entry now. */
List *
jobq_databases_known(void)
{
	Oid			known[JOBQ_MAX_DATABASES];
	List	   *result = NIL;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
		known[i] = jobq_shared->databases[i].dboid;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		if (OidIsValid(known[i]))
			result = lappend_oid(result, known[i]);
	}
	return result;
}
