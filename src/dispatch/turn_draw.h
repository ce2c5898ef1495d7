/*-------------------------------------------------------------------------
 *
 * turn_draw.h
 *	  A claim's turns at the groups in shared memory.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn_draw.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TURN_DRAW_H
#define JOBQ_TURN_DRAW_H

#include "dispatch/claim_scan.h"
#include "shared/group_rate.h"

/*
 * Turns to a group, of which a ticket was drawn, or lent by a job that ends.  False, without
 * the ticket, if its rate allows no start, by what is kept of its last one.
 */
extern bool jobq_turn_to_group(JobqClaimScan *scan, const JobqGroupTicket *ticket, bool lent);

/* Gives back the ticket of the group; it has one more turn if jobs were added. */
extern void jobq_turn_put_back(JobqClaimScan *scan, TimestampTz until);

/* Before the first turn.  Others may bring a group back that has no job for us. */
extern void jobq_turns_begin(JobqClaimScan *scan);

/* Whether a look is to stop. */
extern bool jobq_turn_is_time_over(const JobqClaimScan *scan);

/*
 * Turns to the stream whose turn it is; false if there is none, or each had its
 * turn, or the time is over.
 */
extern bool jobq_turn_to_next(JobqClaimScan *scan);

#endif							/* JOBQ_TURN_DRAW_H */
