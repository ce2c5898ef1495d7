/*-------------------------------------------------------------------------
 *
 * overdue.h
 *	  Jobs that a claim meets past their lease, or past their time to live.
 *
 * IDENTIFICATION
 *	  src/dispatch/overdue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_OVERDUE_H
#define JOBQ_OVERDUE_H

#include "job/job.h"

/* Whether a job may be handed out at a time, going by its row. */
extern bool jobq_overdue_is_claimable(const JobqJob *job, TimestampTz now);

/* Whether its time to live is over, which ends when it is started. */
extern bool jobq_overdue_is_expired(const JobqJob *job, TimestampTz now);

/* The same, or its lease is over. */
extern bool jobq_overdue_is_late(const JobqJob *job, TimestampTz now);

/*
 * Ends the lease or the life of such a job, which is locked.  True if it can be
 * handed out after that; then it has been read again, perhaps into another
 * slot.
 */
extern bool jobq_overdue_settle(JobqTable *jobs, const JobqQueue *queue,
								JobqJob *job, TimestampTz now);

#endif							/* JOBQ_OVERDUE_H */
