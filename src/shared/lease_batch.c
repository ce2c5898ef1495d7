/*-------------------------------------------------------------------------
 *
 * lease_batch.c
 *	  Entries of the lease registry that share a ticket, since their jobs were
 *	  claimed as a batch.
 *
 * They form a ring.  The ticket is the ring's: the process that removes the last
 * entry gives it back.
 *
 * IDENTIFICATION
 *	  src/shared/lease_batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lease_batch.h"

void
jobq_lease_batch_init(JobqLeaseEntry *entry)
{
	entry->next = entry;
	entry->previous = entry;
}

void
jobq_lease_batch_join(JobqLeaseEntry *entry, JobqLeaseEntry *other)
{
	JobqLeaseEntry *last = entry->previous;
	JobqLeaseEntry *follower = other->next;

	Assert(!jobq_lease_batch_has(entry, other));
	entry->gates = other->gates;
	other->next = entry;
	entry->previous = other;
	last->next = follower;
	follower->previous = last;
}

bool
jobq_lease_batch_leave(JobqLeaseEntry *entry)
{
	bool		last = jobq_lease_batch_is_alone(entry);

	entry->previous->next = entry->next;
	entry->next->previous = entry->previous;
	jobq_lease_batch_init(entry);
	return last;
}

bool
jobq_lease_batch_ends(const JobqLeaseEntry *entry)
{
	const JobqLeaseEntry *e = entry;

	do
	{
		if (!e->ends)
			return false;
		e = e->next;
	} while (e != entry);
	return true;
}

bool
jobq_lease_batch_has(const JobqLeaseEntry *entry, const JobqLeaseEntry *other)
{
	if (entry == other)
		return true;
	for (const JobqLeaseEntry *e = entry->next; e != entry; e = e->next)
	{
		if (e == other)
			return true;
	}
	return false;
}

void
jobq_lease_batch_set_lent(JobqLeaseEntry *entry, bool lent)
{
	JobqLeaseEntry *e = entry;

	do
	{
		e->lent = lent;
		e = e->next;
	} while (e != entry);
}

void
jobq_lease_batch_set_group_lent(JobqLeaseEntry *entry, bool lent)
{
	JobqLeaseEntry *e = entry;

	do
	{
		e->group_lent = lent;
		e = e->next;
	} while (e != entry);
}
