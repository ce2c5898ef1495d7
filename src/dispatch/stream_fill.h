/*-------------------------------------------------------------------------
 *
 * stream_fill.h
 *	  Reading what the lanes of a stream have to know from the index.
 *
 * IDENTIFICATION
 *	  src/dispatch/stream_fill.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_STREAM_FILL_H
#define JOBQ_STREAM_FILL_H

#include "dispatch/dispatch_scan.h"

/*
 * Finds out which priorities the jobs of the stream have, as long as there are lanes for
 * them.
 */
extern void jobq_stream_discover(JobqDispatchScan *scan, TimestampTz now);

/*
 * Reads candidates into the lane's ring, starting at its cursor.  Returns
 * false if none became available because another process is refilling the lane
 * or the lane has no ring; the cursor is then at the first row that could be a
 * candidate.
 */
extern bool jobq_stream_refill(JobqDispatchScan *scan, int16 priority,
							   TimestampTz now);

#endif							/* JOBQ_STREAM_FILL_H */
