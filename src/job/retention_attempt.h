/*-------------------------------------------------------------------------
 *
 * retention_attempt.h
 *	  Removing the attempts of jobs that are gone.
 *
 * IDENTIFICATION
 *	  src/job/retention_attempt.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RETENTION_ATTEMPT_H
#define JOBQ_RETENTION_ATTEMPT_H

#include "datatype/timestamp.h"

/* See retention.h. */
extern TimestampTz jobq_retention_clean_attempts(TimestampTz now, bool careful);

/* Starts over, since jobs were removed.  Does not fail. */
extern void jobq_retention_attempts_are_due(void);

#endif							/* JOBQ_RETENTION_ATTEMPT_H */
