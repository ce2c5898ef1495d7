/*-------------------------------------------------------------------------
 *
 * claim_stream.h
 *	  Finding the next ready job of a stream.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_stream.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_STREAM_H
#define JOBQ_CLAIM_STREAM_H

#include "dispatch/claim_scan.h"

/*
 * Turns to a stream of the queue: that of its jobs without a group (NULL), or of a
 * group.  stream: NULL if there is no room for it in shared memory.  in_order: its
 * jobs are not overtaken.
 */
extern void jobq_claim_turn_to(JobqClaimScan *scan, JobqStream *stream,
							   const char *group, bool in_order);

/*
 * Gives the stream's next ready job, held as jobq_claim_begin() was told.  False
 * if there is none.
 */
extern bool jobq_claim_of_stream(JobqClaimScan *scan, JobqJob *job);

/* Whether there seems to be another one, after one has been found. */
extern bool jobq_claim_stream_sees_more(JobqClaimScan *scan);

#endif							/* JOBQ_CLAIM_STREAM_H */
