/*-------------------------------------------------------------------------
 *
 * lease_entry.h
 *	  The entries of the registry of leases: its hash table, and who has room in
 *	  it.
 *
 * lease_registry.c says what is listed.  Nothing here throws.
 *
 * IDENTIFICATION
 *	  src/shared/lease_entry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_ENTRY_H
#define JOBQ_LEASE_ENTRY_H

#include "shared/shmem.h"

#include "datatype/timestamp.h"
#include "miscadmin.h"

/* Entries that are kept for executors. */
#define JOBQ_LEASE_RESERVE JOBQ_MAX_WORKER_SLOTS

/* A lease of a job. */
typedef struct JobqLeaseId
{
	int64		job_id;
	int64		lease;
} JobqLeaseId;

/* The tickets of a lease's job; all zeros: it has none. */
typedef struct JobqLeaseTicket
{
	JobqGates	gates;
	int64		shared_with;	/* a job of the same batch and lease; 0: they
								 * are the job's own */
} JobqLeaseTicket;

/* How a lease is to be listed. */
typedef enum JobqLeaseRoom
{
	JOBQ_LEASE_IN_SHARE,		/* if its role has room left */
	JOBQ_LEASE_FOUND,			/* the same, but it was found in the table:
								 * the role is the queue's owner, since who
								 * has claimed is not known, and must not take
								 * the room of the owner's own claims */
	JOBQ_LEASE_COUNTED,			/* the same, and without it the running jobs
								 * of a limit cannot be counted */
	JOBQ_LEASE_IN_RESERVE		/* for an executor */
} JobqLeaseRoom;

extern const JobqGates jobq_no_gates;

static inline void
jobq_lease_make_key(JobqLeaseKey *key, int64 job_id, int64 lease)
{
	memset(key, 0, sizeof(*key));
	key->job_id = job_id;
	key->lease = lease;
	key->dboid = MyDatabaseId;
}

static inline void
jobq_leases_lock(LWLockMode mode)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), mode);
}

static inline void
jobq_leases_unlock(void)
{
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
}

/*
 * Finds an entry or makes one, and tells which; NULL if there is none, and no room
 * for one.  Under the lock, as all that follow.
 */
extern JobqLeaseEntry *jobq_lease_find_or_add(const JobqLeaseKey *key, Oid role,
											  JobqLeaseRoom listing, bool *found);
extern JobqLeaseEntry *jobq_lease_find(int64 job_id, int64 lease);

/* Locks the registry and finds an entry in it; NULL: there is none. */
extern JobqLeaseEntry *jobq_lease_lock(int64 job_id, int64 lease);

/*
 * Removes an entry if there is one.  Returns the gates whose tickets the caller must
 * give back, or NULL.
 */
extern JobqGates jobq_lease_leave(const JobqLeaseKey *key);

/* The gates of which the entry has tickets that it has not lent, or NULL. */
extern JobqGates jobq_lease_own_gates(const JobqLeaseEntry *entry);

/* Gives tickets back.  Nobody is woken; queues and limits are removed later. */
extern void jobq_lease_give_back(const JobqGates *gates);

#endif							/* JOBQ_LEASE_ENTRY_H */
