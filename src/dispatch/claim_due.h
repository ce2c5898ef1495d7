/*-------------------------------------------------------------------------
 *
 * claim_due.h
 *	  When the next jobs of a stream can be started.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_due.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_DUE_H
#define JOBQ_CLAIM_DUE_H

#include "dispatch/claim_scan.h"

/*
 * The earliest future run_at of the stream's jobs whose priorities are below `before`, or
 * of those of one priority; JOBQ_NEVER if there are none.  It may be somewhat earlier.
 */
extern TimestampTz jobq_claim_next_due(JobqClaimScan *scan, int before);
extern TimestampTz jobq_claim_next_of_priority(JobqClaimScan *scan, int16 priority);

/* The next higher priority that has jobs. */
extern bool jobq_claim_next_priority(JobqClaimScan *scan, int after, bool by_lanes,
									 int16 *priority);

/*
 * When the group at hand, whose first job is blocked, may start one: then, or when a job
 * of a lower priority is due, if that is earlier; next_run_at is lowered to that, and the
 * coordinator looks then.  The caller has a ticket.  DT_NOBEGIN: it is not blocked.
 */
extern TimestampTz jobq_claim_blocked_until(JobqClaimScan *scan);

/*
 * Whether jobs of the stream are to be handed out, rather than wait for a full batch.
 * If not, *ripe_at is when the first one has waited enough, or in a group one more is
 * due (JOBQ_NEVER: none is ready); next_run_at is lowered to that, and the coordinator
 * looks then.  The caller has a ticket or a pin.
 */
extern bool jobq_claim_ripens(JobqClaimScan *scan, TimestampTz *ripe_at);

#endif							/* JOBQ_CLAIM_DUE_H */
