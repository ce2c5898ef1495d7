/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  The parts of retention: each does a bounded amount of work, by the active
 *	  snapshot, and returns when it wants to be called again.
 *
 * IDENTIFICATION
 *	  src/retention.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RETENTION_H
#define JOBQ_RETENTION_H

#include "jobq.h"

/* So many blocks of a table are gone through in one transaction. */
#define JOBQ_RETENTION_BLOCKS 256

/* retention_count.c: keep_completed_count and keep_dead_count */
extern TimestampTz jobq_retention_limit_counts(TimestampTz now);

/* Begins anew.  Does not fail. */
extern void jobq_retention_forget_counts(void);

/* retention_attempt.c: attempts of jobs that are gone */
extern TimestampTz jobq_retention_clean_attempts(TimestampTz now);

/* Begins anew, since jobs have gone.  Does not fail. */
extern void jobq_retention_attempts_are_due(void);

#endif							/* JOBQ_RETENTION_H */
