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

#include "shared/lease_entry.h"

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

/* How many leases this process has bound to itself. */
extern uint64 jobq_leases_bound(void);

/*
 * The leases bound to a process are over, except for one (0: none).  For
 * exit callbacks, and between transactions.
 */
extern void jobq_leases_of_process_end(int procno, int64 except);

#endif							/* JOBQ_LEASE_REGISTRY_H */
