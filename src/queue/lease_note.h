/*-------------------------------------------------------------------------
 *
 * lease_note.h
 *	  Leases that begin and end with the current transaction.
 *
 * IDENTIFICATION
 *	  src/queue/lease_note.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_NOTE_H
#define JOBQ_LEASE_NOTE_H

#include "queue/ready.h"

/*
 * From the commit on, a job is held by a lease, or by this session (JOBQ_NEVER).
 * The lease takes over the job's tickets, if it has some; in a queue with batches,
 * further jobs of the same lease share them.  False if there is no room for a lease
 * that must be listed.  Called after the row is changed.
 */
extern bool jobq_at_commit_claim(const JobqQueue *queue, int64 job_id,
								 int64 lease, TimestampTz until,
								 const JobqTickets *tickets);

/*
 * The lease holds until another time, not bound to a session.  moved_in: the job's
 * queue if the row has moved to another block, and the job may not be counted; else
 * JOBQ_NO_QUEUE.
 */
extern void jobq_at_commit_lease(int64 job_id, int64 lease,
								 TimestampTz until, int32 moved_in);

/*
 * It is over.  queue: NULL if that is being dropped, too.  in_batch: the job may
 * share its ticket.
 */
extern void jobq_at_commit_lease_end(const JobqQueue *queue, int64 job_id,
									 int64 lease, bool in_batch);

/* Whether the transaction has claimed jobs by a lease, or ended such ones. */
extern bool jobq_lease_note_any(void);

/*
 * Lends the ticket of a job that this transaction ends to the next one that it
 * claims; false if there is none.  jobq_lease_note_unlend() undoes that.
 */
extern bool jobq_lease_note_lend(const JobqQueue *queue);

/*
 * The same for a ticket of a group, any of which such a job has one.  Looks at notes
 * before *from, which is the number of them at first (-1), and then that of the one
 * that was found.  NULL: there is none.
 */
extern JobqGroup *jobq_lease_note_lend_group(const JobqQueue *queue, int *from);
extern void jobq_lease_note_unlend_group(JobqGroup *group);

extern void jobq_lease_note_unlend(const JobqQueue *queue);

#endif							/* JOBQ_LEASE_NOTE_H */
