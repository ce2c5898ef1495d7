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
 * - a role (the one whose code claims, as for privileges: not the session's,
 *   which may be in the code of others) has no more entries than are free, so
 *   that one role alone gets half of them, and a role without entries finds
 *   room, whatever others do;
 * - JOBQ_LEASE_RESERVE entries are for executors, each of which holds at most
 *   one job bound to its process.
 *
 * The least end of the leases that are left out is unlisted_due.  When it has
 * come, the coordinator lists the leases from the table that end soon or are
 * over, and finds out the next such time; at most once in TABLE_INTERVAL, and
 * for a small part of its time.  So leases end later when memory is short, but
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
#include "shared/area.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lease_batch.h"
#include "shared/roster.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"

/* Leases that end later are not listed yet. */
#define JOBQ_LEASE_LISTED_AHEAD (USECS_PER_HOUR)

/* How a lease is to be listed. */
typedef enum JobqLeaseRoom
{
	JOBQ_LEASE_IN_SHARE,		/* if its role has room left */
	JOBQ_LEASE_ANYHOW,			/* it is over, and will not stay for long */
	JOBQ_LEASE_IN_RESERVE		/* for an executor */
} JobqLeaseRoom;

static const JobqGates jobq_no_gates = {NULL, NULL, NULL};

/* See jobq_leases_bound(). */
static uint64 nbound = 0;

/* See jobq_lease_use_reserve(); 0: none. */
static int64 of_executor = 0;

static void
jobq_lease_make_key(JobqLeaseKey *key, int64 job_id, int64 lease)
{
	memset(key, 0, sizeof(*key));
	key->job_id = job_id;
	key->lease = lease;
	key->dboid = MyDatabaseId;
}

static void
jobq_leases_lock(LWLockMode mode)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), mode);
}

static void
jobq_leases_unlock(void)
{
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
}

/* The number of entries of a role, or of roles that share it. */
static uint32 *
role_count(Oid role)
{
	return jobq_role_counter(jobq_shared->lease_roles, role);
}

/* Whether there is room for one more entry; under the lock. */
static bool
has_room(Oid role, JobqLeaseRoom listing)
{
	long		left = jobq_area_room(JOBQ_AREA_LEASES) -
	hash_get_num_entries(jobq_shared_leases);

	if (listing == JOBQ_LEASE_IN_RESERVE)
		return left > 0;
	left -= JOBQ_LEASE_RESERVE;
	return left > 0 && (listing == JOBQ_LEASE_ANYHOW || *role_count(role) < left);
}

/*
 * Finds an entry or makes one, and tells which; NULL if there is none, and no room
 * for one.  Under the lock.
 */
static JobqLeaseEntry *
jobq_lease_enter(const JobqLeaseKey *key, Oid role, JobqLeaseRoom listing,
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
	jobq_lease_batch_init(entry);
	(*role_count(role))++;
	return entry;
}

/* Finds an entry; under the lock. */
static JobqLeaseEntry *
jobq_lease_find(int64 job_id, int64 lease)
{
	JobqLeaseKey key;

	jobq_lease_make_key(&key, job_id, lease);
	return hash_search(jobq_shared_leases, &key, HASH_FIND, NULL);
}

/*
 * Removes an entry if there is one; under the lock.  Returns the gates whose
 * tickets the caller must give back, or NULL.
 */
static JobqGates
jobq_lease_leave(const JobqLeaseKey *key)
{
	JobqLeaseEntry *entry = hash_search(jobq_shared_leases, key, HASH_REMOVE,
										NULL);
	JobqGates	gates = jobq_no_gates;

	/* it is there until the next one is made */
	if (entry == NULL)
		return gates;
	(*role_count(entry->role))--;
	if (!jobq_lease_batch_leave(entry))
		return gates;
	gates = entry->gates;
	if (entry->lent)
	{
		gates.queue = NULL;
		gates.limit = NULL;
	}
	if (entry->group_lent)
		gates.group = NULL;
	return gates;
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
jobq_lease_share_ticket(JobqLeaseEntry *entry, const JobqLeaseTicket *ticket)
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

/* Notes that a lease is not listed; under the lock. */
static void
jobq_lease_note_unlisted(TimestampTz until, bool far)
{
	JobqDatabase *database = jobq_database();

	database->unlisted_due = Min(database->unlisted_due, until);
	database->unlisted_noted = Min(database->unlisted_noted, until);
	database->leases_overflow = database->leases_overflow || !far;
}

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
	JobqLeaseEntry *entry = jobq_lease_enter(&lease->key, lease->role,
											 lease->listing, &found);

	if (entry != NULL && !found && lease->ticket.shared_with != 0)
		jobq_lease_share_ticket(entry, &lease->ticket);
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

/* See lease_registry.h. */
void
jobq_leases_leave_out(TimestampTz until)
{
	jobq_leases_lock(LW_EXCLUSIVE);
	jobq_lease_note_unlisted(until, true);
	jobq_leases_unlock();
	jobq_wake_at(jobq_database(), until);
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
	entry = jobq_lease_enter(&key, GetUserId(),
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
			jobq_lease_share_ticket(entry, &ticket);
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
	bool		last = jobq_lease_batch_leave(entry);
	bool		empty;

	if (entry->gates.group != NULL && !entry->group_lent && last)
		jobq_roster_leave_quietly(entry->gates.group, jobq_now());
	if (entry->gates.queue != NULL && !entry->lent && last)
		(void) jobq_gate_leave(&entry->gates.queue->gate, 1, &empty);
	if (entry->gates.limit != NULL && !entry->lent && last)
		(void) jobq_gate_leave(&entry->gates.limit->gate, 1, &empty);
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

/* Locks the registry and finds an entry in it; NULL: there is none. */
static JobqLeaseEntry *
jobq_lease_lock(int64 job_id, int64 lease)
{
	jobq_leases_lock(LW_EXCLUSIVE);
	return jobq_lease_find(job_id, lease);
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

TimestampTz
jobq_leases_unlisted_due(void)
{
	TimestampTz due;

	jobq_leases_lock(LW_SHARED);
	due = jobq_database()->unlisted_due;
	jobq_leases_unlock();
	return due;
}

bool
jobq_lease_is_watched(int64 job_id, int64 lease, TimestampTz until)
{
	return jobq_leases_unlisted_due() <= until || jobq_lease_is_registered(job_id, lease);
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
	bool		empty;

	if (own.queue != NULL && jobq_lease_batch_has(entry, other))
		return;
	jobq_lease_batch_join(entry, other);
	if (own.group != NULL)
		jobq_roster_leave_quietly(own.group, jobq_now());
	if (own.queue != NULL)
		(void) jobq_gate_leave(&own.queue->gate, 1, &empty);
	if (own.limit != NULL)
		(void) jobq_gate_leave(&own.limit->gate, 1, &empty);
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
	TimestampTz now = jobq_now();
	bool		far = lease->until != JOBQ_NEVER &&
	lease->until > now + JOBQ_LEASE_LISTED_AHEAD;
	JobqLeaseKey key;
	JobqLeaseEntry *entry;
	bool		found;
	bool		counted = false;

	jobq_lease_make_key(&key, lease->id.job_id, lease->id.lease);
	jobq_leases_lock(LW_EXCLUSIVE);
	if (far && !lease->keep && !lease->moves)
		entry = hash_search(jobq_shared_leases, &key, HASH_FIND, &found);
	else
		entry = jobq_lease_enter(&key, lease->role,
								 lease->until <= now ? JOBQ_LEASE_ANYHOW :
								 JOBQ_LEASE_IN_SHARE,
								 &found);
	if (entry != NULL && !found)
	{
		entry->until = lease->until;
		entry->proc = JOBQ_NO_PROCESS;
	}
	if (entry == NULL)
		jobq_lease_note_unlisted(lease->until, far);
	else
	{
		/* a heartbeat may not have told yet */
		if (entry->proc == JOBQ_NO_PROCESS && !entry->open)
			entry->until = Max(entry->until, lease->until);
		entry->keep = entry->keep || lease->keep;
		entry->in_doubt = entry->in_doubt || lease->in_doubt;
		counted = supply_ticket(entry, lease);
	}
	jobq_leases_unlock();
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
