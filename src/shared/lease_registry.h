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

/* Makes this session's bound leases end with it. May be called repeatedly. */
extern void jobq_lease_watch_session(void);

/* At once, for the current user; false if there is no room. */
extern bool jobq_lease_reserve(int64 job_id, int64 lease);

/* Before an executor claims a job that is bound to its process. */
extern void jobq_lease_reserve_for_executor(int64 job_id, int64 lease);

/*
 * When the transaction commits: a job is held by a lease, which counts for the
 * current user, or no longer.
 */
extern void jobq_at_commit_lease(int64 job_id, int64 lease,
								 TimestampTz until, int procno);
extern void jobq_at_commit_lease_end(int64 job_id, int64 lease);

/* At once.  Called by commit callbacks, too: does not throw. */
extern void jobq_lease_forget(int64 job_id, int64 lease);

/*
 * Leases have become visible that are not listed, the first of which ends at
 * that time.  For callbacks.
 */
extern void jobq_leases_leave_out(TimestampTz until);

/* Whether the registry knows the job by this very lease. */
extern bool jobq_lease_is_registered(int64 job_id, int64 lease);

/*
 * Whether the end of a running job's lease will be noticed: the registry knows
 * it, or the table is looked at by then.
 */
extern bool jobq_lease_is_watched(int64 job_id, int64 lease,
								  TimestampTz until);

/* Forgets the leases of a database that was dropped. */
extern void jobq_leases_forget_database(Oid dboid);

/*
 * For lease.c, which lists leases from the table. begin: collects the ends
 * of leases that are left out from now on; end: exactly those left out
 * since then are not listed.
 */
extern void jobq_leases_begin_look(void);
extern void jobq_leases_end_look(void);
extern void jobq_lease_list(int64 job_id, int64 lease, TimestampTz until,
							Oid role);

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
