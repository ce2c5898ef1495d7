/*-------------------------------------------------------------------------
 *
 * lease.h
 *	  A registry in shared memory of the jobs that are held by a lease, so
 *	  that expiry scans no table.
 *
 * IDENTIFICATION
 *	  src/lease.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_H
#define JOBQ_LEASE_H

#include "job.h"
#include "lease_number.h"

/* Has this session's bound leases end with it.  May be called repeatedly. */
extern void jobq_lease_watch_session(void);

extern bool jobq_lease_reserve(int64 job_id, int64 lease);

/* Before an executor claims a job that is bound to its process. */
extern void jobq_lease_reserve_for_executor(int64 job_id, int64 lease);

/* Called by commit callbacks: they do not throw. */
extern void jobq_lease_register(int64 job_id, int64 lease, TimestampTz until,
								int procno);
extern void jobq_lease_forget(int64 job_id, int64 lease);

/*
 * Whether the end of a running job's lease will be noticed: the registry knows
 * it, or the table is looked at by then.
 */
extern bool jobq_lease_is_watched(int64 job_id, int64 lease,
								  TimestampTz until);

/* Forgets the leases of a database that was dropped. */
extern void jobq_leases_forget_database(Oid dboid);

/* For health: who has most of the entries, if not all leases find room. */
typedef struct JobqLeaseUse
{
	Oid			role;
	long		entries;		/* of that role */
	long		total;
	long		room;
} JobqLeaseUse;

extern bool jobq_leases_find_no_room(JobqLeaseUse *use);

/* For the coordinator, each within a transaction. */
extern void jobq_lease_enter(const JobqJob *job);
extern void jobq_leases_load(void);
extern TimestampTz jobq_leases_expire(int limit, bool *more);

/* How many leases this process has bound to itself so far. */
extern uint64 jobq_leases_bound(void);

/*
 * The leases bound to a process are over, but for one (0: none).  For exit
 * callbacks, and between transactions.
 */
extern void jobq_leases_of_process_end(int procno, int64 except);

#endif							/* JOBQ_LEASE_H */
