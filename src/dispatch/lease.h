/*-------------------------------------------------------------------------
 *
 * lease.h
 *	  Ending leases that have run out.
 *
 * Within a transaction: the coordinator's, or that of a claim.
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
extern void jobq_leases_expire_of(const JobqQueue *queue, int limit);

#endif							/* JOBQ_LEASE_H */
