/*-------------------------------------------------------------------------
 *
 * lease_end.h
 *	  Leases that end with the current transaction, and lend their tickets.
 *
 * IDENTIFICATION
 *	  src/queue/lease_end.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_END_H
#define JOBQ_LEASE_END_H

#include "queue/queue_row.h"

/*
 * From the commit on, a lease is over.  queue: NULL if that is being dropped, too.  in_batch: the job may
 * share its ticket.
 */
extern void jobq_at_commit_lease_end(const JobqQueue *queue, int64 job_id,
									 int64 lease, bool in_batch);

/* Whether the transaction has ended jobs that are held by a lease. */
extern bool jobq_lease_end_any(void);

/*
 * Lends the ticket of a job that this transaction ends to the next one that it
 * claims; false if there is none.  jobq_lease_end_unlend() undoes that.
 */
extern bool jobq_lease_end_lend(const JobqQueue *queue);

/*
 * The same for a ticket of a group, any of which such a job has one.  Looks at notes
 * before *from, which is the number of them at first (-1), and then that of the one
 * that was found.  NULL: there is none.
 */
extern JobqGroup *jobq_lease_end_lend_group(const JobqQueue *queue, int *from);
extern void jobq_lease_end_unlend_group(JobqGroup *group);

extern void jobq_lease_end_unlend(const JobqQueue *queue);

#endif							/* JOBQ_LEASE_END_H */
