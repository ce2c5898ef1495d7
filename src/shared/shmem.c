/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Shared memory of jobq: where it is.
 *
 * IDENTIFICATION
 *	  src/shared/shmem.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/shmem.h"

#include "common/hashfn.h"

bool		jobq_launcher_is_registered = false;
JobqShared *jobq_shared = NULL;
HTAB	   *jobq_shared_leases = NULL;
HTAB	   *jobq_shared_groups = NULL;

LWLock *
jobq_lock(int which)
{
	return &jobq_shared->locks[which].lock;
}

/* How often a role counts, alone or with others that share its counter. */
uint32 *
jobq_role_counter(uint32 *counters, Oid role)
{
	return &counters[murmurhash32(role) % JOBQ_ROLE_COUNTERS];
}
