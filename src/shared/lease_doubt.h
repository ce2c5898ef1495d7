/*-------------------------------------------------------------------------
 *
 * lease_doubt.h
 *	  Leases in doubt: the job may have ended without its entry being removed.
 *
 * IDENTIFICATION
 *	  src/shared/lease_doubt.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_DOUBT_H
#define JOBQ_LEASE_DOUBT_H

#include "shared/lease_entry.h"

/* Sets or clears that, or returns all such leases of this database (palloc'd). */
extern void jobq_lease_doubt(int64 job_id, int64 lease);
extern void jobq_lease_trust(int64 job_id, int64 lease);
extern JobqLeaseId *jobq_leases_in_doubt(long *n);

/* Sets it for all leases of this database whose claims are committed. */
extern void jobq_leases_doubt_all(void);

#endif							/* JOBQ_LEASE_DOUBT_H */
