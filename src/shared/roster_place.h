/*-------------------------------------------------------------------------
 *
 * roster_place.h
 *	  Where a group stands in the roster of its queue.
 *
 * All but jobq_roster_lock() are called with the lock of the queue's stream, held
 * exclusively.
 *
 * IDENTIFICATION
 *	  src/shared/roster_place.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_PLACE_H
#define JOBQ_ROSTER_PLACE_H

#include "shared/shmem.h"

static inline void
jobq_roster_lock(JobqQueueState *queue)
{
	LWLockAcquire(queue->stream.lock, LW_EXCLUSIVE);
}

extern void jobq_roster_unlock(JobqQueueState *queue);
extern void jobq_roster_look_at(TimestampTz when);
extern void jobq_roster_unlock_quietly(JobqQueueState *queue);

extern void jobq_roster_set_active(JobqRoster *roster);

/* Moves *hand, which is roster->next or roster->next_look, to the next turn. */
extern void jobq_roster_advance(JobqRoster *roster, JobqGroup **hand);

/* The group that was made after that one, NULL: there is none; after NULL, the oldest. */
extern JobqGroup *jobq_roster_made_after(JobqRoster *roster, JobqGroup *group);

/* From one place to another. */
extern void jobq_roster_take_out(JobqRoster *roster, JobqGroup *group);
extern void jobq_roster_put_in_turn(JobqRoster *roster, JobqGroup *group);
extern void jobq_roster_put_later(JobqRoster *roster, JobqGroup *group,
								  TimestampTz when);
extern void jobq_roster_park(JobqRoster *roster, JobqGroup *group,
							 int max_running);
extern void jobq_roster_hold(JobqRoster *roster, JobqGroup *group);
extern void jobq_roster_wait(JobqRoster *roster, JobqGroup *group,
							 int max_running);

/*
 * Throttles the group until that time, or no longer if it is 0.  False if too many
 * groups are throttled.
 */
extern bool jobq_roster_set_throttle(JobqGroup *group, TimestampTz not_before);
extern bool jobq_roster_is_throttled(JobqGroup *group, TimestampTz now);

/* Whether a group is known to be paused. */
static inline bool
jobq_roster_is_paused(const JobqGroup *group)
{
	return group->knows_options && group->options.paused;
}

/* The group whose jobs are due next, NULL: none is later. */
static inline JobqGroup *
jobq_roster_first_later(JobqRoster *roster)
{
	return roster->later.root == NULL ? NULL :
		(JobqGroup *) ((char *) roster->later.root - offsetof(JobqGroup, later));
}

#endif							/* JOBQ_ROSTER_PLACE_H */
