/*-------------------------------------------------------------------------
 *
 * lease_listing.c
 *	  Leases that are listed from the table, and those that are left out.
 *
 * lease_registry.c has the rules.
 *
 * IDENTIFICATION
 *	  src/shared/lease_listing.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lease_listing.h"

#include "shared/clock.h"
#include "shared/database.h"
#include "shared/gate.h"
#include "shared/lease_batch.h"
#include "shared/limit_group.h"
#include "shared/roster.h"
#include "shared/wake.h"

/* Notes that a lease is not listed; under the lock. */
void
jobq_lease_note_unlisted(TimestampTz until, bool far)
{
	JobqDatabase *database = jobq_database();

	database->unlisted_due = Min(database->unlisted_due, until);
	database->unlisted_noted = Min(database->unlisted_noted, until);
	database->leases_overflow = database->leases_overflow || !far;
}

/* See lease_listing.h. */
void
jobq_leases_leave_out(TimestampTz until)
{
	jobq_leases_lock(LW_EXCLUSIVE);
	jobq_lease_note_unlisted(until, true);
	jobq_leases_unlock();
	jobq_wake_at(jobq_database(), until);
}

TimestampTz
jobq_leases_unlisted_due(void)
{
	TimestampTz due;

	jobq_leases_lock(LW_SHARED);
	due = jobq_database()->unlisted_due;
	jobq_leases_unlock();
	return due;
}

void
jobq_leases_begin_look(void)
{
	jobq_leases_lock(LW_EXCLUSIVE);
	jobq_database()->unlisted_noted = JOBQ_NEVER;
	jobq_database()->leases_overflow = false;
	jobq_leases_unlock();
}

void
jobq_leases_end_look(void)
{
	jobq_leases_lock(LW_EXCLUSIVE);
	jobq_database()->unlisted_due = jobq_database()->unlisted_noted;
	jobq_leases_unlock();
}

/* Lets an entry share another's ticket, in place of its own if it has one. */
static void
share_supplied(JobqLeaseEntry *entry, JobqLeaseEntry *other)
{
	JobqGates	own = entry->gates;

	if (own.queue != NULL && jobq_lease_batch_has(entry, other))
		return;
	jobq_lease_batch_join(entry, other);
	jobq_lease_give_back(&own);
}

/*
 * Adds a slot of a limit to the ticket of an entry, for all that share it.  None of
 * them may be removed for ending late.
 */
static void
supply_slot(JobqLeaseEntry *entry, JobqLimitState *limit)
{
	JobqLeaseEntry *e = entry;

	if (limit == NULL || entry->gates.limit != NULL)
		return;
	jobq_gate_join(&limit->gate);
	do
	{
		e->gates.limit = limit;
		e->keep = true;
		e->in_doubt = true;
		e = e->next;
	} while (e != entry);
}

/* The same for a ticket of a group; NULL: there is no room for that. */
static void
supply_group(JobqLeaseEntry *entry, JobqGroup *group, bool keep)
{
	JobqLeaseEntry *e = entry;

	do
	{
		e->gates.group = group;
		e->keep = e->keep || keep;
		e = e->next;
	} while (e != entry);
}

/*
 * Gives an entry that was found in the table tickets if it has none, or lets it
 * share another's; under the lock.  False if there is no room for its group, or, with
 * a limit, for its queue.
 */
static bool
supply_ticket(JobqLeaseEntry *entry, const JobqLeaseListing *lease)
{
	const JobqLeaseTicket *ticket = &lease->ticket;
	JobqLeaseEntry *other = ticket->shared_with == 0 ? NULL :
	jobq_lease_find(ticket->shared_with, entry->key.lease);

	if (ticket->gates.queue == NULL)
		return ticket->gates.limit == NULL;
	if (entry->open || entry->lent || entry->group_lent)
		return true;
	entry->in_doubt = entry->in_doubt || entry->gates.queue == NULL;
	if (other != NULL && other->gates.queue == ticket->gates.queue &&
		!other->open && !other->lent && !other->group_lent)
		share_supplied(entry, other);
	else if (entry->gates.queue == NULL)
	{
		jobq_gate_join(&ticket->gates.queue->gate);
		entry->gates.queue = ticket->gates.queue;
	}
	supply_slot(entry, ticket->gates.limit);
	if (lease->group != NULL && entry->gates.group == NULL)
		supply_group(entry, jobq_roster_join(entry->gates.queue, lease->group),
					 lease->keep);
	return lease->group == NULL || entry->gates.group != NULL;
}

/*
 * Lists a lease that was found in the table, as one of that role's.  It may be
 * over.  Gives its job tickets if it has none yet, which leaves the
 * entry in doubt.  With `keep` or `moves`, lists it even if it ends late.  Returns
 * false if it was not listed, or has no ticket of its group.
 */
bool
jobq_lease_list(const JobqLeaseListing *lease)
{
	bool		far = lease->until != JOBQ_NEVER &&
	lease->until > jobq_now() + JOBQ_LEASE_LISTED_AHEAD;
	JobqLeaseKey key;
	JobqLeaseEntry *entry;
	bool		found;
	bool		counted = false;

	jobq_lease_make_key(&key, lease->id.job_id, lease->id.lease);
	jobq_leases_lock(LW_EXCLUSIVE);
	if (far && !lease->keep && !lease->moves)
		entry = hash_search(jobq_shared_leases, &key, HASH_FIND, &found);
	else
		entry = jobq_lease_find_or_add(&key, lease->role,
									   lease->keep ? JOBQ_LEASE_COUNTED :
									   JOBQ_LEASE_FOUND, &found);
	if (entry != NULL && !found)
	{
		entry->until = lease->until;
		entry->proc = JOBQ_NO_PROCESS;
	}
	if (entry == NULL)
		jobq_lease_note_unlisted(lease->until, far && !lease->keep);
	else
	{
		/*
		 * A heartbeat may not have told yet, or, if it was prepared, never
		 * does.  If this is too early, the row says so
		 * (jobq_lease_put_off()).
		 */
		if (entry->proc == JOBQ_NO_PROCESS && !entry->open)
			entry->until = Min(entry->until, lease->until);
		entry->keep = entry->keep || lease->keep;
		entry->in_doubt = entry->in_doubt || lease->in_doubt;
		counted = supply_ticket(entry, lease);
	}
	jobq_leases_unlock();
	jobq_limit_group_wake_called();
	jobq_wake_at(jobq_database(), lease->until);
	return counted;
}

void
jobq_lease_put_off(int64 job_id, int64 lease, TimestampTz until)
{
	JobqLeaseEntry *entry = jobq_lease_lock(job_id, lease);

	/* it may be a heartbeat's by now */
	if (entry != NULL && entry->until < until)
		entry->until = until;
	jobq_leases_unlock();
}
