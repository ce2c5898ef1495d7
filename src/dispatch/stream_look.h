/*-------------------------------------------------------------------------
 *
 * stream_look.h
 *	  Checking whether a stream has a ready job, without claiming it.
 *
 * IDENTIFICATION
 *	  src/dispatch/stream_look.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_STREAM_LOOK_H
#define JOBQ_STREAM_LOOK_H

#include "dispatch/claim_stream.h"

/* When a search stops. */
typedef struct JobqLookLimit
{
	int64		until;			/* by jobq_stopwatch() */
	int			nrows;			/* it has looked at */
	bool		reached;
	JobqKey		from;			/* if so, the key at which to continue */
} JobqLookLimit;

/*
 * Whether the stream that a scan is turned to has a job that is ready and that nobody
 * has locked.  Drops candidates whose rows are gone, and reads on in the index if none
 * is left.
 */
extern bool jobq_stream_look(JobqClaimScan *scan);

/* The same for one of its lanes.  The limit may be NULL, as below. */
extern bool jobq_stream_look_in_lane(JobqClaimScan *scan, int16 priority,
									 JobqLookLimit *limit);

/*
 * Whether the current index scan finds a free job before one whose run_at is
 * in the future, and before the limit.
 */
extern bool jobq_stream_look_in_scan(JobqClaimScan *scan, JobqHead *head,
									 JobqLookLimit *limit);

#endif							/* JOBQ_STREAM_LOOK_H */
