/*-------------------------------------------------------------------------
 *
 * lease_unlisted.h
 *	  Leases that are over, and for which the registry has no room.
 *
 * For the coordinator.
 *
 * IDENTIFICATION
 *	  src/dispatch/lease_unlisted.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_UNLISTED_H
#define JOBQ_LEASE_UNLISTED_H

#include "shared/lease_entry.h"

/* A pass over the table begins, which collects them anew. */
extern void jobq_leases_unlisted_clear(void);

/* One that the pass has found, on the account of a role. */
extern void jobq_lease_unlisted_add(const JobqLeaseId *lease, Oid role);

/* Takes out up to `limit` of them, a part for each role first; returns how many. */
extern int	jobq_leases_unlisted_take(JobqLeaseId *leases, int limit);
extern bool jobq_leases_unlisted_any(void);

/* One that was taken could not be ended.  It is not added again before that time. */
extern void jobq_lease_unlisted_put_off(const JobqLeaseId *lease,
										TimestampTz until);

#endif							/* JOBQ_LEASE_UNLISTED_H */
