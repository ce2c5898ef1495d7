/*-------------------------------------------------------------------------
 *
 * lease_registry.h
 *	  A registry in shared memory of the jobs that are held by a lease, so
 *	  that expiry scans no table.
 *
 * IDENTIFICATION
 *	  src/shared/lease_registry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_REGISTRY_H
#define JOBQ_LEASE_REGISTRY_H

#include "shared/shmem.h"

#include "datatype/timestamp.h"

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

/* A lease that was found in the table. */
typedef struct JobqLeaseListing
{
	JobqLeaseId id;
	TimestampTz until;
	Oid			role;			/* for which it is counted */
	JobqLeaseTicket ticket;		/* the job gets it if it has none */
	const char *group;			/* the name of its group, NULL: none */
	bool		keep;			/* list it even if it ends late, */
	bool		moves;			/* or just until its new end is listed */
	bool		in_doubt;		/* an open transaction may have ended the job */
} JobqLeaseListing;

/* Makes this session's bound leases end with it. May be called repeatedly. */
extern void jobq_lease_watch_session(void);

/*
 * Enters a claim before it is committed; only the claim's transaction touches
 * the entry until then.  It counts for the current user.  `bound`: it ends with
 * this session.  The entry takes over the job's ticket.  False if there is no
 * room.
 */
extern bool jobq_lease_reserve(int64 job_id, int64 lease, bool bound,
							   JobqLeaseTicket ticket);

/* This executor claims a job by that lease, which may take an entry kept for it. */
extern void jobq_lease_use_reserve(int64 lease);

/*
 * At once: a job is held by a lease, or no longer.  Called by commit callbacks,
 * too: they do not throw.  The entry takes over the job's tickets; a job with a slot
 * of a shared limit has an entry already.  Both return the gates whose tickets the
 * caller must give back, or NULL.
 */
extern JobqGates jobq_lease_register(int64 job_id, int64 lease,
									 TimestampTz until, int procno,
									 Oid role, JobqLeaseTicket ticket);
extern JobqGates jobq_lease_forget(int64 job_id, int64 lease);

/*
 * A job that is being ended lends its ticket of these gates to another one; false
 * if it has none to lend.  From then on the removal of its entry gives no ticket
 * back.  The first of the `n` leases, which end together, is the lender's; a ticket
 * that it shares is lent only if the others with that ticket are among them.
 *
 * jobq_lease_unlend() undoes that, for all that share the ticket; false if the
 * entry is gone, in which case the caller must give the ticket back.
 */
extern bool jobq_lease_lend(const JobqLeaseId *leases, int n,
							const JobqGates *gates);
extern bool jobq_lease_unlend(int64 job_id, int64 lease);

/*
 * The same for the ticket of a group of the queue, whichever the job has one of;
 * returns the group.
 */
extern JobqGroup *jobq_lease_lend_group(const JobqLeaseId *leases, int n,
										const JobqQueueState *queue);
extern bool jobq_lease_unlend_group(int64 job_id, int64 lease);

/*
 * Leases have become visible that are not listed, the first of which ends at
 * that time.  For callbacks.
 */
extern void jobq_leases_leave_out(TimestampTz until);

/* The gates of the ticket that the lease's entry holds, or NULL. */
extern JobqGates jobq_lease_gates(int64 job_id, int64 lease);

/* Whether the lease has an entry whose claim is not committed. */
extern bool jobq_lease_is_open(const JobqLeaseId *lease);

/* Whether the registry knows the job by this very lease. */
extern bool jobq_lease_is_registered(int64 job_id, int64 lease);

/*
 * Whether the end of a running job's lease will be noticed: the registry knows
 * it, or the table is looked at by then.
 */
extern bool jobq_lease_is_watched(int64 job_id, int64 lease,
								  TimestampTz until);

/*
 * Forgets the leases of a database that was dropped, or in which the extension
 * is created anew.  Those of connected sessions stay, without their tickets, in
 * case a rollback brings the earlier installation back.
 */
extern void jobq_leases_forget_database(Oid dboid);

/*
 * For lease.c, which lists leases from the table. begin: collects the ends
 * of leases that are left out from now on; end: exactly those left out
 * since then are not listed.
 */
extern void jobq_leases_begin_look(void);
extern void jobq_leases_end_look(void);
extern bool jobq_lease_list(const JobqLeaseListing *lease);

/*
 * Leases in doubt: the job may have ended without its entry being removed.  Sets
 * or clears that, or returns all such leases of this database (palloc'd).
 */
extern void jobq_lease_doubt(int64 job_id, int64 lease);
extern void jobq_lease_trust(int64 job_id, int64 lease);
extern JobqLeaseId *jobq_leases_in_doubt(long *n);

/* The least end of a lease that is not listed. */
extern TimestampTz jobq_leases_unlisted_due(void);

/* A lease that is over will not be found again before that time. */
extern void jobq_lease_put_off(int64 job_id, int64 lease, TimestampTz until);

/* How many leases this process has bound to itself. */
extern uint64 jobq_leases_bound(void);

/*
 * The leases bound to a process are over, except for one (0: none).  For
 * exit callbacks, and between transactions.
 */
extern void jobq_leases_of_process_end(int procno, int64 except);

#endif							/* JOBQ_LEASE_REGISTRY_H */
