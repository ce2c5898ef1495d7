/*-------------------------------------------------------------------------
 *
 * retention_count.h
 *	  Limits by number: keep_completed_count and keep_dead_count.
 *
 * IDENTIFICATION
 *	  src/job/retention_count.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RETENTION_COUNT_H
#define JOBQ_RETENTION_COUNT_H

#include "datatype/timestamp.h"

/* See retention.h. */
extern TimestampTz jobq_retention_limit_counts(TimestampTz now, bool careful);

/* Starts over.  Does not fail. */
extern void jobq_retention_forget_counts(void);

#endif							/* JOBQ_RETENTION_COUNT_H */
