/*-------------------------------------------------------------------------
 *
 * lease_doubt.c
 *	  Leases in doubt: the job may have ended without its entry being removed.
 *
 * IDENTIFICATION
 *	  src/shared/lease_doubt.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lease_doubt.h"

#include "shared/area.h"

static void
set_doubt(int64 job_id, int64 lease, bool in_doubt)
{
	JobqLeaseEntry *entry = jobq_lease_lock(job_id, lease);

	if (entry != NULL)
		entry->in_doubt = in_doubt;
	jobq_leases_unlock();
}

void
jobq_lease_doubt(int64 job_id, int64 lease)
{
	set_doubt(job_id, lease, true);
}

void
jobq_lease_trust(int64 job_id, int64 lease)
{
	set_doubt(job_id, lease, false);
}

/* See lease_doubt.h. */
void
jobq_leases_doubt_all(void)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	jobq_leases_lock(LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->open && entry->key.dboid == MyDatabaseId)
			entry->in_doubt = true;
	}
	jobq_leases_unlock();
}

JobqLeaseId *
jobq_leases_in_doubt(long *n)
{
	long		room = jobq_area_room(JOBQ_AREA_LEASES);
	JobqLeaseId *leases;
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	leases = MemoryContextAllocHuge(CurrentMemoryContext,
									room * sizeof(JobqLeaseId));
	*n = 0;
	jobq_leases_lock(LW_SHARED);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->in_doubt || entry->open ||
			entry->key.dboid != MyDatabaseId)
			continue;
		if (*n >= room)
		{
			hash_seq_term(&status);
			break;
		}
		leases[(*n)++] = (JobqLeaseId)
		{
			.job_id = entry->key.job_id,.lease = entry->key.lease
		};
	}
	jobq_leases_unlock();
	return leases;
}
