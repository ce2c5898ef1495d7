/*-------------------------------------------------------------------------
 *
 * lease_search.c
 *	  Looking through the registry of leases.
 *
 * IDENTIFICATION
 *	  src/shared/lease_search.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lease_search.h"

#include "shared/area.h"
#include "shared/database.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/*
 * Looks at the end of a lease.  Leases for which there is no more room are
 * left for the next round, which follows at once.
 */
static void
look_at_end(JobqLeaseSearch *search, const JobqLeaseEntry *entry)
{
	int		   *taken = &search->taken[murmurhash32(entry->role) % JOBQ_LEASE_ROLE_SHARES];
	JobqLeaseId *expired;

	if (entry->until > search->now)
	{
		search->next = Min(search->next, entry->until);
		return;
	}
	if (search->nfound < search->limit &&
		*taken < search->limit / JOBQ_LEASE_LIMIT_SHARE)
	{
		(*taken)++;
		expired = &search->found[search->nfound++];
	}
	else if (search->nspare < search->limit)
		expired = &search->spare[search->nspare++];
	else
	{
		search->next = search->now;
		return;
	}
	expired->job_id = entry->key.job_id;
	expired->lease = entry->key.lease;
}

/* Fills the room that the roles' shares have left. */
static void
take_spare(JobqLeaseSearch *search)
{
	int			n = Min(search->nspare, search->limit - search->nfound);

	memcpy(search->found + search->nfound, search->spare,
		   n * sizeof(JobqLeaseId));
	search->nfound += n;
	if (n < search->nspare)
		search->next = search->now;
}

void
jobq_leases_find_over(JobqLeaseSearch *search)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	jobq_leases_lock(LW_SHARED);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.dboid == MyDatabaseId && !entry->open &&
			(search->gate == NULL || entry->gates.queue == search->gate))
			look_at_end(search, entry);
	}
	jobq_leases_unlock();
	take_spare(search);
}

/* Whether an entry stands for all that share its ticket. */
static bool
stands_for_batch(const JobqLeaseEntry *entry)
{
	for (const JobqLeaseEntry *e = entry->next; e != entry; e = e->next)
	{
		if (e < entry)
			return false;
	}
	return true;
}

JobqLeaseId *
jobq_leases_of_limit(const JobqLimitState *limit, long *n)
{
	long		room = jobq_area_room(JOBQ_AREA_LEASES);
	JobqLeaseId *leases = MemoryContextAllocHuge(CurrentMemoryContext,
												 room * sizeof(JobqLeaseId));
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	*n = 0;
	jobq_leases_lock(LW_SHARED);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->gates.limit == limit && !entry->lent &&
			stands_for_batch(entry) && *n < room)
			leases[(*n)++] = (JobqLeaseId)
		{
			.job_id = entry->key.job_id,.lease = entry->key.lease
		};
	}
	jobq_leases_unlock();
	return leases;
}

long
jobq_leases_count_open(void)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;
	long		n = 0;

	jobq_leases_lock(LW_SHARED);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->open && entry->key.dboid == MyDatabaseId)
			n++;
	}
	jobq_leases_unlock();
	return n;
}

bool
jobq_leases_find_no_room(JobqLeaseUse *use)
{
	long		room = jobq_area_room(JOBQ_AREA_LEASES);
	Oid		   *roles = palloc(room * sizeof(Oid));
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;
	bool		overflow;

	memset(use, 0, sizeof(*use));
	use->room = room;
	jobq_leases_lock(LW_SHARED);
	overflow = jobq_database()->leases_overflow;
	if (overflow)
	{
		hash_seq_init(&status, jobq_shared_leases);
		while ((entry = hash_seq_search(&status)) != NULL)
		{
			if (use->total < room)
				roles[use->total++] = entry->role;
		}
	}
	jobq_leases_unlock();

	qsort(roles, use->total, sizeof(Oid), oid_cmp);
	for (long i = 0, first = 0; i < use->total; i++)
	{
		if (roles[i] != roles[first])
			first = i;
		if (i - first + 1 > use->entries)
		{
			use->entries = i - first + 1;
			use->role = roles[i];
		}
	}
	pfree(roles);

	/* there may be room again, though no look has followed */
	return overflow && use->entries > (room - JOBQ_LEASE_RESERVE - use->total) / 2;
}
