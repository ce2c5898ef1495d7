/*-------------------------------------------------------------------------
 *
 * lease.h
 *	  Ending leases that have run out.
 *
 * For the coordinator, each within a transaction.
 *
 * IDENTIFICATION
 *	  src/dispatch/lease.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_H
#define JOBQ_LEASE_H

#include "job/job.h"

extern TimestampTz jobq_leases_expire(int limit, bool *more);

#endif							/* JOBQ_LEASE_H */
