/*-------------------------------------------------------------------------
 *
 * lease_lend.h
 *	  Jobs that end lend their tickets.
 *
 * IDENTIFICATION
 *	  src/shared/lease_lend.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_LEND_H
#define JOBQ_LEASE_LEND_H

#include "shared/lease_entry.h"

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

#endif							/* JOBQ_LEASE_LEND_H */
