/*-------------------------------------------------------------------------
 *
 * retention_gone.h
 *	  Removing the finished jobs of dropped queues.
 *
 * IDENTIFICATION
 *	  src/job/retention_gone.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RETENTION_GONE_H
#define JOBQ_RETENTION_GONE_H

#include "datatype/timestamp.h"

/* Has what a queue leaves in history and attempt removed, once this commits. */
extern void jobq_retention_add_gone(int32 queue);

/* See retention.h. */
extern TimestampTz jobq_retention_clean_gone(TimestampTz now, bool careful);

/* Starts over.  Does not fail. */
extern void jobq_retention_forget_gone(void);

#endif							/* JOBQ_RETENTION_GONE_H */
