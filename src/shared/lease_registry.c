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
 * - a lease that ends later than LISTED_AHEAD from now need not be listed yet;
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
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/wake.h"

#include "miscadmin.h"
#include "storage/ipc.h"

/* Leases that end later are not listed yet. */
#define LISTED_AHEAD (USECS_PER_HOUR)

/* How a lease is to be listed. */
typedef enum Listing
{
	LIST_IN_SHARE,				/* if its role has room left */
	LIST_ANYHOW,				/* it is over, and will not stay for long */
	LIST_IN_RESERVE				/* for an executor */
} Listing;

/* See jobq_leases_bound(). */
static uint64 nbound = 0;

static void
make_key(JobqLeaseKey *key, int64 job_id, int64 lease)
{
	memset(key, 0, sizeof(*key));
	key->job_id = job_id;
	key->lease = lease;
	key->dboid = MyDatabaseId;
}

static void
lock_leases(LWLockMode mode)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), mode);
}

static void
unlock_leases(void)
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
has_room(Oid role, Listing listing)
{
	long		left = jobq_area_room(JOBQ_AREA_LEASES) -
	hash_get_num_entries(jobq_shared_leases);

	if (listing == LIST_IN_RESERVE)
		return left > 0;
	left -= JOBQ_LEASE_RESERVE;
	return left > 0 && (listing == LIST_ANYHOW || *role_count(role) < left);
}

/* Finds an entry or makes one; NULL if there is no room.  Under the lock. */
static JobqLeaseEntry *
enter(const JobqLeaseKey *key, Oid role, Listing listing)
{
	JobqLeaseEntry *entry = hash_search(jobq_shared_leases, key, HASH_FIND,
										NULL);

	if (entry != NULL || !has_room(role, listing))
		return entry;
	entry = hash_search(jobq_shared_leases, key, HASH_ENTER_NULL, NULL);
	if (entry == NULL)
		return NULL;
	entry->role = role;
	(*role_count(role))++;
	return entry;
}

/* Removes an entry if there is one; under the lock. */
static void
leave(const JobqLeaseKey *key)
{
	JobqLeaseEntry *entry = hash_search(jobq_shared_leases, key, HASH_REMOVE,
										NULL);

	/* it is there until the next one is made */
	if (entry != NULL)
		(*role_count(entry->role))--;
}

/* Lists a lease, or notes the time by which it must be found. */
static void
list_lease(const JobqLeaseKey *key, TimestampTz until, int procno, Oid role,
		   Listing listing)
{
	JobqDatabase *database = jobq_database();
	bool		far = until != JOBQ_NEVER && until > jobq_now() + LISTED_AHEAD;
	JobqLeaseEntry *entry = NULL;

	lock_leases(LW_EXCLUSIVE);
	if (far)
		leave(key);
	else
		entry = enter(key, role, listing);
	if (entry != NULL)
	{
		entry->until = until;
		entry->proc = procno;
	}
	else
	{
		database->unlisted_due = Min(database->unlisted_due, until);
		database->unlisted_noted = Min(database->unlisted_noted, until);
		database->leases_overflow = database->leases_overflow || !far;
	}
	unlock_leases();
	jobq_wake_at(database, until);
}

/* See lease_registry.h. */
void
jobq_leases_leave_out(TimestampTz until)
{
	JobqDatabase *database = jobq_database();

	lock_leases(LW_EXCLUSIVE);
	database->unlisted_due = Min(database->unlisted_due, until);
	database->unlisted_noted = Min(database->unlisted_noted, until);
	unlock_leases();
	jobq_wake_at(database, until);
}

/*
 * Enters a lease that is bound to this session, before the claim's commit:
 * nothing but the entry tells that the session is alive.  False if there is
 * no room.  A rollback removes it.
 */
static bool
reserve(int64 job_id, int64 lease, Listing listing)
{
	JobqLeaseKey key;
	JobqLeaseEntry *entry;

	make_key(&key, job_id, lease);
	lock_leases(LW_EXCLUSIVE);
	entry = enter(&key, GetUserId(), listing);
	if (entry != NULL)
	{
		entry->until = JOBQ_NEVER;
		entry->proc = JOBQ_MY_PROC_NUMBER;
	}
	unlock_leases();
	return entry != NULL;
}

bool
jobq_lease_reserve(int64 job_id, int64 lease)
{
	nbound++;
	return reserve(job_id, lease, LIST_IN_SHARE);
}

void
jobq_lease_reserve_for_executor(int64 job_id, int64 lease)
{
	(void) reserve(job_id, lease, LIST_IN_RESERVE);
}

void
jobq_lease_forget(int64 job_id, int64 lease)
{
	JobqLeaseKey key;

	make_key(&key, job_id, lease);
	lock_leases(LW_EXCLUSIVE);
	leave(&key);
	unlock_leases();
}

void
jobq_leases_forget_database(Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	lock_leases(LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.dboid == dboid)
			leave(&entry->key);
	}
	unlock_leases();
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

	lock_leases(LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->proc == procno && entry->key.dboid == MyDatabaseId &&
			entry->key.lease != except)
		{
			entry->until = DT_NOBEGIN;
			entry->proc = JOBQ_NO_PROCESS;
			any = true;
		}
	}
	unlock_leases();
	if (any)
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_LEASES);
}

static void
end_session_leases(int code, Datum arg)
{
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
	JobqLeaseKey key;
	bool		result;

	make_key(&key, job_id, lease);
	lock_leases(LW_SHARED);
	result = hash_search(jobq_shared_leases, &key, HASH_FIND, NULL) != NULL;
	unlock_leases();
	return result;
}

TimestampTz
jobq_leases_unlisted_due(void)
{
	TimestampTz due;

	lock_leases(LW_SHARED);
	due = jobq_database()->unlisted_due;
	unlock_leases();
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
	lock_leases(LW_EXCLUSIVE);
	jobq_database()->unlisted_noted = JOBQ_NEVER;
	jobq_database()->leases_overflow = false;
	unlock_leases();
}

void
jobq_leases_end_look(void)
{
	lock_leases(LW_EXCLUSIVE);
	jobq_database()->unlisted_due = jobq_database()->unlisted_noted;
	unlock_leases();
}

/*
 * Lists a lease that was found in the table, as one of that role's.  It may be
 * over.
 */
void
jobq_lease_list(int64 job_id, int64 lease, TimestampTz until, Oid role)
{
	JobqLeaseKey key;

	make_key(&key, job_id, lease);
	list_lease(&key, until, JOBQ_NO_PROCESS, role,
			   until <= jobq_now() ? LIST_ANYHOW : LIST_IN_SHARE);
}

void
jobq_lease_put_off(int64 job_id, int64 lease, TimestampTz until)
{
	JobqLeaseKey key;
	JobqLeaseEntry *entry;

	make_key(&key, job_id, lease);
	lock_leases(LW_EXCLUSIVE);
	entry = hash_search(jobq_shared_leases, &key, HASH_FIND, NULL);
	/* it may be a heartbeat's by now */
	if (entry != NULL && entry->until < until)
		entry->until = until;
	unlock_leases();
}

/* A note for the end of the transaction. */
typedef struct LeaseNote
{
	int64		job_id;
	int64		lease;
	TimestampTz until;
	int			proc;
	Oid			role;			/* that claims */
} LeaseNote;

static void
register_noted(const JobqNote *note, TimestampTz now)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);
	JobqLeaseKey key;

	make_key(&key, noted->job_id, noted->lease);
	list_lease(&key, noted->until, noted->proc, noted->role, LIST_IN_SHARE);
}

/* One that is bound to the session has been entered already. */
static void
forget_bound(const JobqNote *note, TimestampTz now)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	if (noted->until == JOBQ_NEVER)
		jobq_lease_forget(noted->job_id, noted->lease);
}

/*
 * Who finishes the transaction does not know the leases.  One that is bound to
 * a session must be listed by that: it cannot be prepared.
 */
static void
mark_lease(const JobqNote *note)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	if (noted->until == JOBQ_NEVER)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has claimed a job for the session"),
				 errdetail("The claim of job " INT64_FORMAT " ends with the session, and a prepared transaction does not.",
						   noted->job_id),
				 errhint("Claim the job with session_bound => false.")));
	jobq_mark_time(JOBQ_MARK_LEASES, noted->until);
}

static const JobqNoteKind lease_kind = {
	.commit = {[JOBQ_NOTE_LEASES] = register_noted},
	.abort = forget_bound,
	.mark = mark_lease
};

void
jobq_at_commit_lease(int64 job_id, int64 lease, TimestampTz until, int procno)
{
	LeaseNote  *note = jobq_note_data(jobq_note_add(&lease_kind), LeaseNote);

	note->job_id = job_id;
	note->lease = lease;
	note->until = until;
	note->proc = procno;
	note->role = GetUserId();
}

static void
forget_noted(const JobqNote *note, TimestampTz now)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	jobq_lease_forget(noted->job_id, noted->lease);
}

static const JobqNoteKind lease_end_kind = {
	.commit = {[JOBQ_NOTE_LEASES] = forget_noted}
};

void
jobq_at_commit_lease_end(int64 job_id, int64 lease)
{
	LeaseNote  *note = jobq_note_data(jobq_note_add(&lease_end_kind),
									  LeaseNote);

	note->job_id = job_id;
	note->lease = lease;
}
