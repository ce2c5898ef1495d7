/*-------------------------------------------------------------------------
 *
 * lease_lend.c
 *	  Jobs that end lend their tickets.
 *
 * IDENTIFICATION
 *	  src/shared/lease_lend.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lease_lend.h"

#include "shared/lease_batch.h"

/* Notes of the entries of these leases that they end, or no longer. */
static void
set_ends(const JobqLeaseId *leases, int n, bool ends)
{
	for (int i = 0; i < n; i++)
	{
		JobqLeaseEntry *entry = jobq_lease_find(leases[i].job_id, leases[i].lease);

		if (entry != NULL)
			entry->ends = ends;
	}
}

/* Whether all entries that share the lender's ticket are among these. */
static bool
has_all_of_batch(JobqLeaseEntry *lender, const JobqLeaseId *leases, int n)
{
	bool		result;

	if (jobq_lease_batch_is_alone(lender))
		return true;
	set_ends(leases, n, true);
	result = jobq_lease_batch_ends(lender);
	set_ends(leases, n, false);
	return result;
}

bool
jobq_lease_lend(const JobqLeaseId *leases, int n, const JobqGates *gates)
{
	JobqLeaseEntry *lender = jobq_lease_lock(leases[0].job_id, leases[0].lease);
	bool		result = lender != NULL && !lender->lent &&
	lender->gates.queue == gates->queue &&
	lender->gates.limit == gates->limit &&
	has_all_of_batch(lender, leases, n);

	if (result)
		jobq_lease_batch_set_lent(lender, true);
	jobq_leases_unlock();
	return result;
}

JobqGroup *
jobq_lease_lend_group(const JobqLeaseId *leases, int n,
					  const JobqQueueState *queue)
{
	JobqLeaseEntry *lender = jobq_lease_lock(leases[0].job_id, leases[0].lease);
	JobqGroup  *group = NULL;

	if (lender != NULL && !lender->group_lent &&
		lender->gates.group != NULL &&
		lender->gates.group->key.queue == queue &&
		has_all_of_batch(lender, leases, n))
	{
		group = lender->gates.group;
		jobq_lease_batch_set_group_lent(lender, true);
	}
	jobq_leases_unlock();
	return group;
}

bool
jobq_lease_unlend_group(int64 job_id, int64 lease)
{
	JobqLeaseEntry *entry = jobq_lease_lock(job_id, lease);

	if (entry != NULL)
		jobq_lease_batch_set_group_lent(entry, false);
	jobq_leases_unlock();
	return entry != NULL;
}

bool
jobq_lease_unlend(int64 job_id, int64 lease)
{
	JobqLeaseEntry *entry = jobq_lease_lock(job_id, lease);

	if (entry != NULL)
		jobq_lease_batch_set_lent(entry, false);
	jobq_leases_unlock();
	return entry != NULL;
}
