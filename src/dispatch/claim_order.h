/*-------------------------------------------------------------------------
 *
 * claim_order.h
 *	  Whether a job that cannot be claimed keeps those behind it from being started.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_order.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_ORDER_H
#define JOBQ_CLAIM_ORDER_H

#include "dispatch/claim_scan.h"

/*
 * A job of the stream, of which `slot` may have the row, cannot be claimed.  Returns
 * whether those behind it have to wait: the stream is in order, and the job is held,
 * or another transaction has locked it.  Then blocked_until is set, and the coordinator
 * looks then.  May end the current command.  A claim moves a job that is held for
 * options that were changed.
 */
extern bool jobq_claim_is_blocked(JobqClaimScan *scan, const JobqPlace *place,
								  TupleTableSlot *slot);

/*
 * The same for a candidate that is not in the lanes any more, with the scan's slot: a
 * blocked job is looked for in the index when the stream is asked again.
 */
extern bool jobq_claim_is_blocked_at(JobqClaimScan *scan,
									 const JobqPlace *place);

#endif							/* JOBQ_CLAIM_ORDER_H */
