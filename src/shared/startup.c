/*-------------------------------------------------------------------------
 *
 * startup.c
 *	  Making the shared memory of jobq when the server starts.
 *
 * A fixed block (databases, worker slots, waiters), and the areas that share
 * jobq.shared_memory (area.c).
 *
 * IDENTIFICATION
 *	  src/shared/startup.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/startup.h"

#include "shared/applied.h"
#include "shared/area.h"
#include "shared/database.h"
#include "shared/lane_memory.h"
#include "shared/lease_registry.h"
#include "shared/limit_state.h"
#include "shared/queue_state.h"
#include "shared/unfinished.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#define TRANCHE "jobq"

static shmem_request_hook_type previous_shmem_request_hook = NULL;
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;

/* Each process's PGPROC has a number below this one. */
static int
max_processes(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

/* Where the promises are, which follow the waiters. */
static Size
promises_offset(void)
{
	return MAXALIGN(add_size(offsetof(JobqShared, waiters),
							 mul_size(max_processes(), sizeof(JobqWaiter))));
}

static Size
shared_size(void)
{
	return MAXALIGN(add_size(promises_offset(),
							 mul_size(max_processes(), sizeof(JobqPromise))));
}

static void
request_shmem(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestAddinShmemSpace(jobq_areas_size());
	RequestAddinShmemSpace(jobq_unfinished_size());
	RequestAddinShmemSpace(jobq_applied_size());
	RequestNamedLWLockTranche(TRANCHE, JOBQ_NUM_LOCKS);
}

static void
initialize_shared(void)
{
	memset(jobq_shared, 0, shared_size());
	jobq_shared->locks = GetNamedLWLockTranche(TRANCHE);
	jobq_shared->has_launcher = jobq_launcher_is_registered;
	jobq_shared->launcher_proc = JOBQ_NO_PROCESS;
	pg_atomic_init_u64(&jobq_shared->clock_offset, 0);
	pg_atomic_init_u64(&jobq_shared->rates_since, 0);
	SpinLockInit(&jobq_shared->lane_mutex);
	for (int i = 0; i < 2; i++)
		pg_atomic_init_u32(&jobq_shared->rings_wanted[i], 0);
	pg_atomic_init_u64(&jobq_shared->lane_resets, 0);
	pg_atomic_init_u32(&jobq_shared->nrecording, 0);
	pg_atomic_init_u32(&jobq_shared->nterminations, 0);
	jobq_shared->max_waiters = max_processes();
	jobq_shared->promises =
		(JobqPromise *) ((char *) jobq_shared + promises_offset());
	for (int i = 0; i < max_processes(); i++)
	{
		pg_atomic_init_u64(&jobq_shared->promises[i].queue, 0);
		pg_atomic_init_u64(&jobq_shared->promises[i].made_at, 0);
	}
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
		jobq_database_initialize(&jobq_shared->databases[i]);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
		jobq_shared->workers[i].proc = JOBQ_NO_PROCESS;
}

static void
startup_shmem(void)
{
	bool		found;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();

	/* in case this is a restart within the postmaster */
	jobq_shared = NULL;
	jobq_shared_leases = NULL;
	jobq_shared_groups = NULL;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	jobq_shared = ShmemInitStruct("jobq", shared_size(), &found);
	if (!found)
		initialize_shared();
	jobq_areas_startup();
	jobq_shared_leases = jobq_area_table(JOBQ_AREA_LEASES);
	jobq_shared_groups = jobq_area_table(JOBQ_AREA_GROUPS);
	jobq_lane_startup();
	jobq_unfinished_startup();
	jobq_applied_startup();
	LWLockRelease(AddinShmemInitLock);
}

/* Called by _PG_init while the postmaster preloads libraries. */
void
jobq_startup_init(void)
{
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

/* Forgets a database that has been dropped. */
void
jobq_startup_forget_database(Oid dboid)
{
	jobq_leases_forget_database(dboid);
	jobq_queue_states_forget(dboid);
	jobq_limit_states_forget(dboid);
	jobq_applied_forget_database(dboid);

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];

		if (database->dboid != dboid || database->coordinator_pid != 0)
			continue;
		if (database->starving)
			jobq_shared->starving--;
		jobq_database_reset(database, InvalidOid);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}
