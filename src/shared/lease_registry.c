/*-------------------------------------------------------------------------
 *
 * lease_registry.c
 *	  A registry in shared memory of the jobs that are held by a lease, so that
 *	  expiry scans no table.
 *
 * The registry has an entry for each job in state running.  Commit callbacks
 * keep it up to date; the coordinator fills it when the server has started,
 * and searches it (lease_search.c) when the earliest end is due.  An entry is
 * a hint: before a job is changed, its row is locked and checked.
 *
 * Not every lease is listed:
 *
 * - a lease that ends later than JOBQ_LEASE_LISTED_AHEAD from now need not be
 *   listed yet;
 * - a role has no more entries than are free.  So one role alone gets half of them,
 *   and a role without entries finds room, whatever others do.  It is the role whose
 *   code claims, as for privileges, not the session's.  A lease that is over gets no
 *   more than that either: it stays for as long as its job is locked;
 * - who has claimed what is found in the table is not known.  It is counted for the
 *   owner of the queue, but apart from the owner's own claims: these find room although
 *   others have claimed much in the owner's queues;
 * - without the leases of a queue with a limit its running jobs cannot be counted, and
 *   none starts.  They had room while it was known who claimed them.  So they are
 *   listed, whatever the owner has, as long as an eighth of the registry stays free for
 *   claims: several roles may fill the rest by claims, too;
 * - JOBQ_LEASE_RESERVE entries are for executors, each of which holds at most
 *   one job bound to its process.
 *
 * The least end of the leases that are left out is unlisted_due.  When it has
 * come, the coordinator lists the leases from the table that end soon or are
 * over, and finds out the next such time; at most once in UNLISTED_INTERVAL, and
 * for a small part of its time.  Those that are over and find no room it remembers
 * by itself (lease_unlisted.c).  So leases end later when memory is short, but
 * none is overlooked: leaving one out lowers unlisted_due when the claim is
 * visible.  A look begins to collect what is noted meanwhile (unlisted_noted),
 * then takes its snapshot, and sets unlisted_due to the least of what was
 * noted and what it has left out itself: a claim is either in the snapshot or
 * noted after that.  If the look fails, unlisted_due stays.
 *
 * A session-bound lease must be listed, as nothing else tells that the session
 * is alive; without room the claim fails.
 *
 * An entry holds the ticket of its job (gate.c), if the job has one.  If the queue
 * has a limit, all of its leases are listed (`keep`): the claim makes the entry,
 * which is `open` until the commit, and fails if there is no room.  Otherwise the
 * ticket of a job that is not listed is given back, and the gate is no longer
 * counted.  Only claims and scans of the table make entries with tickets.  The
 * entries of a batch share one (lease_batch.c).
 *
 * Roles are counted by a hash of their OIDs.  Two that share a counter share
 * their room.
 *
 * IDENTIFICATION
 *	  src/shared/lease_registry.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lease_registry.h"

#include "compat.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/gate.h"
#include "shared/lease_batch.h"
#include "shared/lease_listing.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"

/* See jobq_leases_bound(). */
static uint64 nbound = 0;

/* See jobq_lease_use_reserve(); 0: none. */
static int64 of_executor = 0;

/* Has an entry take over those of the tickets that it does not have. */
static void
take_over(JobqGates *mine, JobqGates *gates)
{
	if (gates->queue != NULL && mine->queue == NULL)
	{
		mine->queue = gates->queue;
		mine->limit = gates->limit;
		gates->queue = NULL;
		gates->limit = NULL;
	}
	if (gates->group != NULL && mine->group == NULL)
	{
		mine->group = gates->group;
		gates->group = NULL;
	}
}

/*
 * Gives a new entry the ticket that it shares with another one.  Without that one
 * the job runs without a ticket.
 */
static void
share_ticket(JobqLeaseEntry *entry, const JobqLeaseTicket *ticket)
{
	JobqLeaseEntry *other = jobq_lease_find(ticket->shared_with, entry->key.lease);

	if (ticket->gates.queue == NULL)
		return;
	if (other != NULL && other->gates.queue == ticket->gates.queue &&
		other->gates.limit == ticket->gates.limit &&
		other->gates.group == ticket->gates.group && !other->lent &&
		!other->group_lent)
	{
		jobq_lease_batch_join(entry, other);
		return;
	}
	jobq_gate_miss(&ticket->gates.queue->gate);
	if (ticket->gates.limit != NULL)
		jobq_gate_miss(&ticket->gates.limit->gate);
}

/* A lease that is to be listed. */
typedef struct Listed
{
	JobqLeaseKey key;
	TimestampTz until;
	int			proc;
	Oid			role;
	JobqLeaseRoom listing;
	JobqLeaseTicket ticket;
} Listed;

/*
 * Removes the entry of a lease that ends late, unless it is to be kept; returns
 * it then, NULL otherwise.  Under the lock.
 */
static JobqLeaseEntry *
unlist(const Listed *lease, JobqGates *left, JobqQueueState **gate)
{
	JobqLeaseEntry *entry = jobq_lease_find(lease->key.job_id, lease->key.lease);

	if (entry == NULL || entry->keep)
		return entry;
	Assert(*gate == NULL || entry->gates.queue == NULL);
	Assert(entry->gates.limit == NULL);
	if (entry->gates.queue != NULL && !entry->lent)
		*gate = entry->gates.queue;
	if (entry->gates.queue != NULL || entry->gates.group != NULL)
		*left = jobq_lease_leave(&lease->key);
	else
		(void) jobq_lease_leave(&lease->key);
	return NULL;
}

/* The entry of a lease that ends soon; NULL if there is no room. */
static JobqLeaseEntry *
enlist(const Listed *lease)
{
	bool		found;
	JobqLeaseEntry *entry = jobq_lease_find_or_add(&lease->key, lease->role,
												   lease->listing, &found);

	if (entry != NULL && !found && lease->ticket.shared_with != 0)
		share_ticket(entry, &lease->ticket);
	return entry;
}

/*
 * Lists a lease, or notes when to look for it.  Returns the gates whose tickets the
 * caller must give back because no entry holds them, or NULL.
 */
static JobqGates
list_lease(const Listed *lease)
{
	bool		far = lease->until != JOBQ_NEVER &&
	lease->until > jobq_now() + JOBQ_LEASE_LISTED_AHEAD;
	JobqLeaseEntry *entry;
	JobqQueueState *gate = lease->ticket.gates.queue;
	JobqGates	left = lease->ticket.shared_with == 0 ?
	lease->ticket.gates : jobq_no_gates;

	jobq_leases_lock(LW_EXCLUSIVE);
	entry = far ? unlist(lease, &left, &gate) : enlist(lease);
	if (entry != NULL)
	{
		entry->until = lease->until;
		entry->proc = lease->proc;
		entry->open = false;
		take_over(&entry->gates, &left);
	}
	else
	{
		jobq_lease_note_unlisted(lease->until, far);
		if (gate != NULL)
			jobq_gate_miss(&gate->gate);
		if (left.group != NULL)
			jobq_gate_miss(&left.group->key.queue->gate);
	}
	jobq_leases_unlock();
	jobq_wake_at(jobq_database(), lease->until);
	return left;
}

JobqGates
jobq_lease_register(int64 job_id, int64 lease, TimestampTz until, int procno,
					Oid role, JobqLeaseTicket ticket)
{
	Listed		listed = {
		.until = until,.proc = procno,.role = role,
		.listing = JOBQ_LEASE_IN_SHARE,.ticket = ticket
	};

	jobq_lease_make_key(&listed.key, job_id, lease);
	return list_lease(&listed);
}

bool
jobq_lease_reserve(int64 job_id, int64 lease, bool bound,
				   JobqLeaseTicket ticket)
{
	JobqLeaseKey key;
	JobqLeaseEntry *entry;
	bool		found;

	if (bound)
		nbound++;
	jobq_lease_make_key(&key, job_id, lease);
	jobq_leases_lock(LW_EXCLUSIVE);
	entry = jobq_lease_find_or_add(&key, GetUserId(),
								   lease == of_executor ? JOBQ_LEASE_IN_RESERVE :
								   JOBQ_LEASE_IN_SHARE,
								   &found);
	if (entry != NULL)
	{
		entry->until = JOBQ_NEVER;
		entry->proc = bound ? JOBQ_MY_PROC_NUMBER : JOBQ_NO_PROCESS;
		entry->open = true;
		entry->keep = true;
		if (ticket.shared_with != 0)
			share_ticket(entry, &ticket);
		else
			entry->gates = ticket.gates;
	}
	jobq_leases_unlock();
	return entry != NULL;
}

void
jobq_lease_use_reserve(int64 lease)
{
	of_executor = lease;
}

JobqGates
jobq_lease_forget(int64 job_id, int64 lease)
{
	JobqLeaseKey key;
	JobqGates	gates;

	jobq_lease_make_key(&key, job_id, lease);
	jobq_leases_lock(LW_EXCLUSIVE);
	gates = jobq_lease_leave(&key);
	jobq_leases_unlock();
	return gates;
}

/*
 * Gives back the tickets of an entry that is about to be removed; its queue and
 * limit are removed later.  Under the lock.
 */
static void
take_tickets(JobqLeaseEntry *entry)
{
	JobqGates	own = jobq_lease_own_gates(entry);

	if (jobq_lease_batch_leave(entry))
		jobq_lease_give_back(&own);
	entry->gates = jobq_no_gates;
}

void
jobq_leases_forget_database(Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	jobq_leases_lock(LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.dboid != dboid || entry->open)
			continue;
		take_tickets(entry);
		/* a session's end would not be noticed otherwise */
		if (entry->proc == JOBQ_NO_PROCESS)
			(void) jobq_lease_leave(&entry->key);
	}
	jobq_leases_unlock();
}

uint64
jobq_leases_bound(void)
{
	return nbound;
}

void
jobq_leases_of_process_end(int procno, int64 except)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;
	bool		any = false;

	jobq_leases_lock(LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->proc == procno && entry->key.dboid == MyDatabaseId &&
			entry->key.lease != except && !entry->open)
		{
			entry->until = DT_NOBEGIN;
			entry->proc = JOBQ_NO_PROCESS;
			any = true;
		}
	}
	jobq_leases_unlock();
	if (any)
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_LEASES);
}

/*
 * Those who get the jobs next must not meet this session's transaction, which may
 * still be open: this is called before ShutdownPostgres() aborts it.
 */
static void
end_session_leases(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	jobq_leases_of_process_end(JOBQ_MY_PROC_NUMBER, 0);
}

void
jobq_lease_watch_session(void)
{
	static bool watching = false;

	if (watching)
		return;
	before_shmem_exit(end_session_leases, (Datum) 0);
	watching = true;
}

bool
jobq_lease_is_registered(int64 job_id, int64 lease)
{
	bool		result;

	jobq_leases_lock(LW_SHARED);
	result = jobq_lease_find(job_id, lease) != NULL;
	jobq_leases_unlock();
	return result;
}

JobqGates
jobq_lease_gates(int64 job_id, int64 lease)
{
	JobqLeaseEntry *entry = jobq_lease_lock(job_id, lease);
	JobqGates	result = entry != NULL ? entry->gates : jobq_no_gates;

	jobq_leases_unlock();
	return result;
}

bool
jobq_lease_is_open(const JobqLeaseId *lease)
{
	JobqLeaseEntry *entry = jobq_lease_lock(lease->job_id, lease->lease);
	bool		result = entry != NULL && entry->open;

	jobq_leases_unlock();
	return result;
}

bool
jobq_lease_is_watched(int64 job_id, int64 lease, TimestampTz until)
{
	return jobq_leases_unlisted_due() <= until || jobq_lease_is_registered(job_id, lease);
}
