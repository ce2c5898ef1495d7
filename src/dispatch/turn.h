/*-------------------------------------------------------------------------
 *
 * turn.h
 *	  The turns of a queue's groups, for claims.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TURN_H
#define JOBQ_TURN_H

#include "dispatch/claim_stream.h"

/* Whether the queue may have jobs in groups. */
extern bool jobq_turn_is_needed(const JobqQueue *queue);

/*
 * Gives the next ready job of the group whose turn it is, or of the jobs without a
 * group.  The process holds a ticket of the job's group then.  False if there is
 * none.
 */
extern bool jobq_turn_claim(JobqClaimScan *scan, JobqJob *job);

/* Whether there seem to be others. */
extern bool jobq_turn_sees_more(JobqClaimScan *scan);

/* When the next job of a group that is ahead is due; JOBQ_NEVER: none is. */
extern TimestampTz jobq_turn_next_due(const JobqClaimScan *scan);

/*
 * Calls a function for one group after the other that may start a job, which the
 * scan is turned to, until it returns true, or each had its turn, or `until`.
 * Returns whether it did.
 */
extern bool jobq_turn_visit(JobqClaimScan *scan, TimestampTz until,
							bool (*visit) (JobqClaimScan *scan, void *arg),
							void *arg);

#endif							/* JOBQ_TURN_H */
