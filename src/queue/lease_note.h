/*-------------------------------------------------------------------------
 *
 * lease_note.h
 *	  Leases that begin, or are extended, with the current transaction.
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
 * The lease gets another end, and is not bound to a session.  moved_in: the job's
 * queue if its row has moved to another block and the job may be left uncounted;
 * otherwise JOBQ_NO_QUEUE.
 */
extern void jobq_at_commit_lease(int64 job_id, int64 lease,
								 TimestampTz until, int32 moved_in);

/* Whether the transaction has claimed jobs by a lease. */
extern bool jobq_lease_note_any(void);

/* Whether it has claimed this job by this lease; walks over all notes. */
extern bool jobq_lease_note_claims(int64 job_id, int64 lease);

#endif							/* JOBQ_LEASE_NOTE_H */
