/*-------------------------------------------------------------------------
 *
 * lease_entry.c
 *	  The entries of the registry of leases: its hash table, and who has room in
 *	  it.
 *
 * IDENTIFICATION
 *	  src/shared/lease_entry.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lease_entry.h"

#include "shared/area.h"
#include "shared/clock.h"
#include "shared/gate.h"
#include "shared/lease_batch.h"
#include "shared/roster.h"

const JobqGates jobq_no_gates = {NULL, NULL, NULL};

/* Makes another number of a role's, for those of its leases that were found. */
#define FOUND_ROLE 0x80000000

/* Leases that a limit must count leave this part of the registry to claims. */
#define CLAIMS_SHARE 8

/* The number of entries of a role, or of roles that share it. */
static uint32 *
role_count(Oid role, bool was_found)
{
	return jobq_role_counter(jobq_shared->lease_roles,
							 was_found ? role ^ FOUND_ROLE : role);
}

/* Whether there is room for one more entry; under the lock. */
static bool
has_room(Oid role, JobqLeaseRoom listing)
{
	long		room = jobq_area_room(JOBQ_AREA_LEASES);
	long		left = room - hash_get_num_entries(jobq_shared_leases);

	if (listing == JOBQ_LEASE_IN_RESERVE)
		return left > 0;
	left -= JOBQ_LEASE_RESERVE;
	if (listing == JOBQ_LEASE_COUNTED && left > room / CLAIMS_SHARE)
		return true;
	if (listing != JOBQ_LEASE_IN_SHARE)
		left -= *role_count(role, true);
	return left > 0 && *role_count(role, false) < left;
}

/* See lease_entry.h. */
JobqLeaseEntry *
jobq_lease_find_or_add(const JobqLeaseKey *key, Oid role, JobqLeaseRoom listing,
					   bool *found)
{
	HASHACTION	action = has_room(role, listing) ? HASH_ENTER_NULL : HASH_FIND;
	JobqLeaseEntry *entry = hash_search(jobq_shared_leases, key, action, found);

	if (entry == NULL || *found)
		return entry;
	entry->role = role;
	entry->gates = jobq_no_gates;
	entry->open = false;
	entry->keep = false;
	entry->lent = false;
	entry->group_lent = false;
	entry->ends = false;
	entry->in_doubt = false;
	entry->was_found = listing == JOBQ_LEASE_FOUND ||
		listing == JOBQ_LEASE_COUNTED;
	jobq_lease_batch_init(entry);
	(*role_count(role, entry->was_found))++;
	return entry;
}

/* See lease_entry.h. */
JobqLeaseEntry *
jobq_lease_find(int64 job_id, int64 lease)
{
	JobqLeaseKey key;

	jobq_lease_make_key(&key, job_id, lease);
	return hash_search(jobq_shared_leases, &key, HASH_FIND, NULL);
}

/* See lease_entry.h. */
JobqLeaseEntry *
jobq_lease_lock(int64 job_id, int64 lease)
{
	jobq_leases_lock(LW_EXCLUSIVE);
	return jobq_lease_find(job_id, lease);
}

/* See lease_entry.h. */
JobqGates
jobq_lease_leave(const JobqLeaseKey *key)
{
	JobqLeaseEntry *entry = hash_search(jobq_shared_leases, key, HASH_REMOVE,
										NULL);

	/* it is there until the next one is made */
	if (entry == NULL)
		return jobq_no_gates;
	(*role_count(entry->role, entry->was_found))--;
	return jobq_lease_batch_leave(entry) ? jobq_lease_own_gates(entry) :
		jobq_no_gates;
}

/* See lease_entry.h. */
JobqGates
jobq_lease_own_gates(const JobqLeaseEntry *entry)
{
	JobqGates	gates = entry->gates;

	if (entry->lent)
	{
		gates.queue = NULL;
		gates.limit = NULL;
	}
	if (entry->group_lent)
		gates.group = NULL;
	return gates;
}

/* See lease_entry.h. */
void
jobq_lease_give_back(const JobqGates *gates)
{
	bool		empty;

	if (gates->group != NULL)
		jobq_roster_leave_quietly(gates->group, jobq_now());
	if (gates->queue != NULL)
		(void) jobq_gate_leave(&gates->queue->gate, 1, &empty);
	if (gates->limit != NULL)
		(void) jobq_gate_leave(&gates->limit->gate, 1, &empty);
}
