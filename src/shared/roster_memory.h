/*-------------------------------------------------------------------------
 *
 * roster_memory.h
 *	  Which groups of a queue are in memory, and who makes room for others.
 *
 * All but jobq_roster_make() and jobq_roster_reset() are called with the lock of the
 * queue's stream, held exclusively.
 *
 * IDENTIFICATION
 *	  src/shared/roster_memory.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_MEMORY_H
#define JOBQ_ROSTER_MEMORY_H

#include "shared/shmem.h"

/*
 * For queue_state.c: makes the stream of a queue and its roster, by the lock of its
 * memory; and forgets the groups after the stream has ended, but for those that
 * have tickets.
 */
extern void jobq_roster_make(JobqQueueState *queue, LWLock *lock_of_queue,
							 Oid role);
extern void jobq_roster_reset(JobqQueueState *queue);

extern JobqGroup *jobq_roster_add(JobqQueueState *queue, const char *name);
extern JobqGroup *jobq_roster_find_or_add(JobqQueueState *queue,
										  const char *name);
extern void jobq_roster_miss(JobqRoster *roster, TimestampTz next_lap);
extern bool jobq_roster_may_leave(const JobqRoster *roster,
								  const JobqGroup *group);
extern void jobq_roster_put_out(JobqRoster *roster, JobqGroup *group,
								TimestampTz first);

/*
 * Put out up to n groups that have nothing to do now (some are paused, or later), or
 * that are in turn; they return how many.
 */
extern int	jobq_roster_put_idle_out(JobqRoster *roster, int n);
extern int	jobq_roster_put_ready_out(JobqRoster *roster, int n);

/*
 * Makes room for one more group: puts out one that has nothing to do, else one of
 * the next ones in turn, all of which have had their turns.  *nold is how many may be
 * looked at.  False if there is none.
 */
extern bool jobq_roster_put_one_out(JobqRoster *roster, int *nold);

/*
 * Puts out the hand for the group of that name, which is going to be the hand: without
 * one, the lap would begin anew.  So one that has jobs stays if that would not be enough
 * room.
 */
extern bool jobq_roster_put_hand_out(JobqRoster *roster, const char *name);

extern void jobq_roster_count(JobqGroup *group, int tickets);
extern bool jobq_roster_draw(JobqGroup *group, int limit_max_running);
extern void jobq_roster_hold_paused(JobqRoster *roster, JobqGroup *group);
extern void jobq_roster_settle(JobqGroup *group, TimestampTz now);
extern void jobq_roster_take_back(JobqGroup *group, int tickets,
								  TimestampTz until, TimestampTz now);
extern void jobq_roster_take_back_look(JobqGroup *group, TimestampTz until,
									   TimestampTz now);

#endif							/* JOBQ_ROSTER_MEMORY_H */
