/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Shared memory of jobq.
 *
 * A fixed block (databases, worker slots, waiters), and three things that share
 * jobq.shared_memory: a hash table of queues (an eighth), the lanes of lane.c
 * (nearly a third), and a hash table of leases (a half).
 *
 * IDENTIFICATION
 *	  src/shmem.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "lane.h"
#include "lease.h"
#include "lease_number.h"
#include "shmem.h"
#include "xact.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#define TRANCHE "jobq"

PG_FUNCTION_INFO_V1(jobq_require_preload);

bool		jobq_launcher_is_registered = false;
JobqShared *jobq_shared = NULL;
HTAB	   *jobq_shared_queues = NULL;
HTAB	   *jobq_shared_leases = NULL;

static shmem_request_hook_type previous_shmem_request_hook = NULL;
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;

/* Each process's PGPROC has a number below this one. */
static int
max_processes(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

static Size
shared_size(void)
{
	return MAXALIGN(add_size(offsetof(JobqShared, waiters),
							 mul_size(max_processes(), sizeof(JobqWaiter))));
}

static long
max_queues(void)
{
	Size		bytes = (Size) jobq_shared_memory * 1024 / 8;

	return bytes / (sizeof(JobqQueueState) + 2 * sizeof(HASHELEMENT));
}

/* The room for leases. */
long
jobq_max_leases(void)
{
	Size		bytes = (Size) jobq_shared_memory * 1024 / 2;

	return bytes / (sizeof(JobqLeaseEntry) + 2 * sizeof(HASHELEMENT));
}

static void
request_shmem(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestAddinShmemSpace(jobq_lane_shmem_size());
	RequestAddinShmemSpace(hash_estimate_size(max_queues(),
											  sizeof(JobqQueueState)));
	RequestAddinShmemSpace(hash_estimate_size(jobq_max_leases(),
											  sizeof(JobqLeaseEntry)));
	RequestNamedLWLockTranche(TRANCHE, JOBQ_NUM_LOCKS);
}

/* An entry of databases[] that is not in use; JOBQ_LOCK_DATABASES is held. */
static void
reset_database(JobqDatabase *database, Oid dboid)
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
	database->capped_role = InvalidOid;
	database->frozen_role = InvalidOid;
	database->frozen_at = DT_NOBEGIN;
	database->leases_loaded = false;
	database->leases_overflow = false;
	database->unlisted_due = JOBQ_NEVER;
	database->unlisted_noted = JOBQ_NEVER;
	for (int i = 0; i < JOBQ_NUM_TASKS; i++)
		database->tasks[i].since = JOBQ_NEVER;
	pg_atomic_write_u32(&database->wake, 0);
	pg_atomic_write_u64(&database->next_due, (uint64) JOBQ_NEVER);
	pg_atomic_write_u64(&database->schedules_low, (uint64) JOBQ_NEVER);
	pg_atomic_write_u32(&database->schedules_wait, 0);
	pg_atomic_write_u64(&database->unrecorded_since, 0);
	pg_atomic_write_u64(&database->history_turn, 0);
	pg_atomic_write_u64(&database->expires_low, (uint64) JOBQ_NEVER);
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
static void
initialize_database(JobqDatabase *database)
{
	pg_atomic_init_u32(&database->wake, 0);
	pg_atomic_init_u32(&database->generation, 0);
	pg_atomic_init_u64(&database->next_due, (uint64) JOBQ_NEVER);
	pg_atomic_init_u64(&database->schedules_low, (uint64) JOBQ_NEVER);
	pg_atomic_init_u32(&database->schedules_wait, 0);
	pg_atomic_init_u64(&database->unrecorded_since, 0);
	pg_atomic_init_u32(&database->unrecorded_code, 0);
	pg_atomic_init_u64(&database->history_turn, 0);
	pg_atomic_init_u64(&database->expires_low, (uint64) JOBQ_NEVER);
	pg_atomic_init_u32(&database->dispatching, 0);
	pg_atomic_init_u64(&database->swept, 0);
	SpinLockInit(&database->mutex);
	SpinLockInit(&database->changes_mutex);
	pg_atomic_init_u64(&database->nchanges, 0);
	reset_database(database, InvalidOid);
}

static void
initialize_shared(void)
{
	memset(jobq_shared, 0, shared_size());
	jobq_shared->locks = GetNamedLWLockTranche(TRANCHE);
	jobq_shared->has_launcher = jobq_launcher_is_registered;
	jobq_shared->launcher_proc = JOBQ_NO_PROCESS;
	pg_atomic_init_u64(&jobq_shared->clock_offset, 0);
	pg_atomic_init_u32(&jobq_shared->nterminations, 0);
	jobq_shared->max_waiters = max_processes();
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
		initialize_database(&jobq_shared->databases[i]);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
		jobq_shared->workers[i].proc = JOBQ_NO_PROCESS;
}

static void
startup_shmem(void)
{
	HASHCTL		info;
	bool		found;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();

	/* in case this is a restart within the postmaster */
	jobq_shared = NULL;
	jobq_shared_queues = NULL;
	jobq_shared_leases = NULL;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	jobq_shared = ShmemInitStruct("jobq", shared_size(), &found);
	if (!found)
		initialize_shared();

	memset(&info, 0, sizeof(info));
	info.keysize = sizeof(JobqQueueKey);
	info.entrysize = sizeof(JobqQueueState);
	jobq_shared_queues = ShmemInitHash("jobq queues", max_queues(),
									   max_queues(), &info,
									   HASH_ELEM | HASH_BLOBS |
									   HASH_FIXED_SIZE);
	info.keysize = sizeof(JobqLeaseKey);
	info.entrysize = sizeof(JobqLeaseEntry);
	jobq_shared_leases = ShmemInitHash("jobq leases", jobq_max_leases(),
									   jobq_max_leases(), &info,
									   HASH_ELEM | HASH_BLOBS |
									   HASH_FIXED_SIZE);
	jobq_lane_shmem_startup();
	LWLockRelease(AddinShmemInitLock);
}

/* Called by _PG_init while the postmaster preloads libraries. */
void
jobq_shmem_init(void)
{
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
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
				 errhint("Set shared_preload_libraries = 'jobq' and restart the server.")));
	(void) jobq_database();
}

/*
 * require_preload(): for the install script.  Leases of a former installation
 * must not mix with the new one's, and a coordinator is needed.
 */
Datum
jobq_require_preload(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	jobq_require_shmem();
	jobq_lease_blocks_changed();
	jobq_at_commit_all_changed();
	PG_RETURN_VOID();
}

LWLock *
jobq_lock(int which)
{
	return &jobq_shared->locks[which].lock;
}

/* The entry of a database, NULL if it has none.  Takes the lock. */
JobqDatabase *
jobq_find_database(Oid dboid)
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

/* The same for whoever holds JOBQ_LOCK_DATABASES exclusively. */
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
		reset_database(unused, dboid);
	return unused;
}

/* Finds a database's entry or makes one; NULL if there is no room. */
JobqDatabase *
jobq_allocate_database(Oid dboid)
{
	JobqDatabase *result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	result = allocate_locked(dboid);
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/*
 * Has no process of jobq come up in a database any more.  NULL if there is no
 * room; else jobq_release_database() is to be called with the same entry and
 * tenancy.
 */
JobqDatabase *
jobq_hold_database(Oid dboid, uint64 *tenancy)
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
 * what it was held for: then it may be another database's by now.
 */
bool
jobq_release_database(JobqDatabase *database, uint64 tenancy)
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
 * What sessions go on with whose entry was given up, when there is no room for
 * a new one: nobody reads it, and nothing is done until the server starts anew.
 */
static JobqDatabase *
entry_of_nobody(void)
{
	static JobqDatabase entry;
	static bool initialized = false;

	if (!initialized)
	{
		initialize_database(&entry);
		entry.dboid = MyDatabaseId;
		initialized = true;
	}
	return &entry;
}

/*
 * This session's database.  Throws at the first call only, so that commit
 * callbacks can use it.
 */
JobqDatabase *
jobq_database(void)
{
	static JobqDatabase *database = NULL;

	if (likely(database != NULL && database->dboid == MyDatabaseId))
		return database;
	if (database != NULL)
	{
		database = jobq_allocate_database(MyDatabaseId);
		if (database == NULL)
			database = entry_of_nobody();
		return database;
	}
	database = jobq_allocate_database(MyDatabaseId);
	if (database == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("jobq is in use in too many databases"),
				 errdetail("At most %d databases of a server can use it.",
						   JOBQ_MAX_DATABASES)));
	return database;
}

/* The OIDs of the databases that have an entry now. */
List *
jobq_known_databases(void)
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

/* How often a role counts, alone or with others that share its counter. */
uint32 *
jobq_role_counter(uint32 *counters, Oid role)
{
	return &counters[murmurhash32(role) % JOBQ_ROLE_COUNTERS];
}

/* Whether a role may have one more entry; under the lock. */
static bool
has_queue_room(Oid role)
{
	long		left = max_queues() - hash_get_num_entries(jobq_shared_queues);

	return left > 0 &&
		*jobq_role_counter(jobq_shared->queue_roles, role) < left;
}

/* Removes an entry; under the lock. */
static void
remove_queue_state(JobqQueueState *state)
{
	jobq_lanes_end(state);
	(*jobq_role_counter(jobq_shared->queue_roles, state->role))--;
	(void) hash_search(jobq_shared_queues, &state->key, HASH_REMOVE, NULL);
}

/* Forgets a database that has been dropped. */
void
jobq_forget_database(Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqQueueState *queue;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_queues);
	while ((queue = hash_seq_search(&status)) != NULL)
	{
		if (queue->key.dboid == dboid)
			remove_queue_state(queue);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));

	jobq_leases_forget_database(dboid);

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];

		if (database->dboid != dboid || database->coordinator_pid != 0)
			continue;
		if (database->starving)
			jobq_shared->starving--;
		reset_database(database, InvalidOid);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}

static void
make_queue_key(JobqQueueKey *key, int32 queue)
{
	memset(key, 0, sizeof(*key));
	key->dboid = MyDatabaseId;
	key->queue = queue;
}

/* The entry of a queue of this database, NULL if there is none. */
JobqQueueState *
jobq_find_queue_state(int32 queue)
{
	JobqQueueKey key;
	JobqQueueState *state;

	make_queue_key(&key, queue);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	state = hash_search(jobq_shared_queues, &key, HASH_FIND, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return state;
}

/*
 * Finds a queue of this database or makes an entry; NULL if there is no room.
 * A role has no more entries than are free, so that one alone gets half of
 * them, and whoever has none finds room.
 */
JobqQueueState *
jobq_queue_state(int32 queue, Oid owner)
{
	JobqQueueKey key;
	JobqQueueState *state = jobq_find_queue_state(queue);
	bool		found;

	if (state != NULL)
		return state;

	make_queue_key(&key, queue);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_EXCLUSIVE);
	state = hash_search(jobq_shared_queues, &key,
						has_queue_room(owner) ? HASH_ENTER_NULL : HASH_FIND,
						&found);
	if (state != NULL && !found)
	{
		state->role = owner;
		(*jobq_role_counter(jobq_shared->queue_roles, owner))++;
		pg_atomic_init_u32(&state->work, 0);
		pg_atomic_init_u32(&state->notify, 0);
		pg_atomic_init_u64(&state->next_look, (uint64) DT_NOBEGIN);
		pg_atomic_init_u32(&state->waiting, 0);
		pg_atomic_init_u32(&state->unshared, JOBQ_UNSHARED_AT_FIRST);
		pg_atomic_init_u32(&state->drops, 0);
		jobq_lanes_make(state);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return state;
}

/* Forgets a queue of this database. */
void
jobq_forget_queue_state(int32 queue)
{
	JobqQueueKey key;
	JobqQueueState *state;

	make_queue_key(&key, queue);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_EXCLUSIVE);
	state = hash_search(jobq_shared_queues, &key, HASH_FIND, NULL);
	if (state != NULL)
		remove_queue_state(state);
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
}

/*
 * The role that takes most of the room for queues of all databases, InvalidOid
 * if there are none; *taken: how much, *room: how much there is.
 */
Oid
jobq_queue_states_use(long *taken, long *room)
{
	Oid			result = InvalidOid;
	HASH_SEQ_STATUS status;
	JobqQueueState *state;

	*taken = 0;
	*room = max_queues();
	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	hash_seq_init(&status, jobq_shared_queues);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		uint32		count = *jobq_role_counter(jobq_shared->queue_roles,
											   state->role);

		if (count > *taken)
		{
			*taken = count;
			result = state->role;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return result;
}

/* Whether there is no room for another queue, of whichever database. */
bool
jobq_queue_states_are_full(void)
{
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_QUEUES), LW_SHARED);
	result = hash_get_num_entries(jobq_shared_queues) >= max_queues();
	LWLockRelease(jobq_lock(JOBQ_LOCK_QUEUES));
	return result;
}

/*
 * Sets the latch of a process.  Like all that follows it is for commit
 * callbacks too: it neither throws nor allocates.
 */
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
 * Gives the coordinator of a database something to do.  Where there is none,
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
