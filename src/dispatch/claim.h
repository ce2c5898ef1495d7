/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Finding and claiming the next ready job of a queue, and checking whether
 *	  there is one.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLAIM_H
#define JOBQ_CLAIM_H

#include "dispatch/claim_stream.h"

extern void jobq_claim_begin(JobqClaimScan *scan, JobqTable *jobs,
							 const JobqQueue *queue, JobqClaimHold hold,
							 TimestampTz ready_by);
extern bool jobq_claim_next(JobqClaimScan *scan, JobqJob *job);
extern bool jobq_claim_is_ripe(JobqClaimScan *scan);
extern void jobq_claim_lost(JobqClaimScan *scan);
extern bool jobq_claim_sees_more(JobqClaimScan *scan);
extern void jobq_claim_end(JobqClaimScan *scan);

#endif							/* JOBQ_CLAIM_H */
