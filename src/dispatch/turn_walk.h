/*-------------------------------------------------------------------------
 *
 * turn_walk.h
 *	  Groups that a claim comes to by name, and not by their turn.
 *
 * They are those to which its transaction has added jobs, those that lend it a ticket,
 * and those without room in shared memory.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn_walk.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TURN_WALK_H
#define JOBQ_TURN_WALK_H

#include "dispatch/claim_scan.h"

/*
 * Turns to the next group in which this transaction has added jobs itself.  One without
 * room in shared memory is searched by the index, if it has no limit.
 */
extern bool jobq_turn_to_own(JobqClaimScan *scan);

/*
 * Turns to the next group of which this transaction ends jobs, with their tickets:
 * others cannot get these before the commit.
 */
extern bool jobq_turn_to_lent(JobqClaimScan *scan);

/*
 * Turns to one group after the other, in the index: there is no room for groups in
 * shared memory.  A limit could not be kept.
 */
extern bool jobq_turn_by_index(JobqClaimScan *scan);

/* Whether no group of the queue may start a job without a ticket of it. */
extern bool jobq_turn_limits_all_groups(const JobqQueue *queue);

/*
 * Whether the group may start jobs without a ticket, and has no turns: it is not in
 * memory.
 */
extern bool jobq_turn_needs_no_ticket(const JobqClaimScan *scan, const char *name);

/*
 * A job has been found in that group by jobq_turn_to_own() or jobq_turn_by_index(): the
 * next walk begins after it.  The latter returns whether no other group has jobs.
 */
extern void jobq_turn_note_own(const char *group);
extern bool jobq_turn_note_by_index(const char *group);

#endif							/* JOBQ_TURN_WALK_H */
