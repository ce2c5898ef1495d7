/*-------------------------------------------------------------------------
 *
 * share.h
 *	  Which jobs may share a transaction, and so its commit.
 *
 * IDENTIFICATION
 *	  bgworker/executor/share.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SHARE_H
#define JOBQ_SHARE_H

#include "job/job.h"

/*
 * Maximum number of jobs, and of subtransactions with an XID, in one
 * transaction.  A process publishes up to 64 subtransaction XIDs
 * (PGPROC_MAX_CACHED_SUBXIDS); more would slow down snapshots in all sessions.
 */
#define JOBQ_SHARE_MAX_JOBS 60

/* State of the current transaction. */
typedef struct JobqSharing
{
	TimestampTz begun_at;		/* by jobq's clock; now() is not before it */
	bool		possible;		/* further jobs may join at all */
} JobqSharing;

/* Right after the transaction has been started. */
extern void jobq_share_begin(JobqSharing *sharing, TimestampTz begun_at);

/* Whether another job may be looked for. */
extern bool jobq_share_is_open(const JobqSharing *sharing, int njobs,
							   TimestampTz now);

/* Whether jobs of a queue, and this one, may share. */
extern bool jobq_share_allows_queue(const JobqQueue *queue);
extern bool jobq_share_allows_job(const JobqSharing *sharing,
								  const JobqJob *job,
								  const JobqQueue *queue);

/* Around a job's code, and right after it: it was run between these times. */
extern void jobq_share_note_start(const JobqSharing *sharing);
extern void jobq_share_note_end(const JobqSharing *sharing,
								JobqQueueState *state, TimestampTz start,
								TimestampTz end);

/* Makes a queue's next jobs run alone.  May be called in exit callbacks. */
extern void jobq_share_forbid(JobqQueueState *state);

#endif							/* JOBQ_SHARE_H */
