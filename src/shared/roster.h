/*-------------------------------------------------------------------------
 *
 * roster.h
 *	  The groups of a queue: what is told of them, and the tickets of jobs that
 *	  run.
 *
 * roster.c says what keeps it exact.  Each function takes the lock of the queue's
 * stream; none touches a table, allocates or throws, so all may be called by
 * commit and abort callbacks.
 *
 * IDENTIFICATION
 *	  src/shared/roster.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_H
#define JOBQ_ROSTER_H

#include "shared/lane.h"

/* Whether there may be groups with jobs.  Without the lock, a hint. */
static inline bool
jobq_roster_is_active(JobqQueueState *queue)
{
	return pg_atomic_read_u32(&queue->roster.active) != 0;
}

/* Whether some group is known to have jobs, or to run some.  The same holds. */
static inline bool
jobq_roster_has_groups(JobqQueueState *queue)
{
	return jobq_roster_is_active(queue) && queue->roster.complete;
}

/*
 * A job of a group has become claimable, or may have: its transaction has ended.
 */
extern void jobq_roster_lower(JobqQueueState *queue, const JobqPlace *place,
							  TimestampTz now);

/*
 * Takes a job that the caller has locked out of its lane; the rules of
 * jobq_lane_pop() apply.  Not for groups whose jobs are not overtaken.
 */
extern void jobq_roster_remove(JobqQueueState *queue, const JobqPlace *place,
							   TimestampTz now);

/*
 * Whether claims may have waited for a locked job, so as not to overtake it: the queue's
 * limit may have been set since the job was locked.  For a transaction that has ended.
 */
extern bool jobq_roster_keeps_order(JobqQueueState *queue);

/*
 * A job of a group that a transaction had locked has been changed, or is gone: the one
 * after it may be the first now.  If it is still in its lane, it leaves that.  Returns
 * whether the caller must wake a worker.
 */
extern bool jobq_roster_unblock(JobqQueueState *queue, const JobqPlace *place,
								TimestampTz now);

/* Whether the group may start one of its ready jobs; a hint. */
extern bool jobq_roster_is_in_turn(JobqQueueState *queue, const char *group);

/*
 * The options of a group were changed.  All that is known of it is forgotten, except
 * its tickets, and it takes part in the turns again.
 */
extern void jobq_roster_options_changed(JobqQueueState *queue,
										const char *name);

/*
 * No job of the group starts until that much later, in microseconds; 0 ends it.
 * False if there is no room for the group.
 */
extern bool jobq_roster_throttle(JobqQueueState *queue, const char *name,
								 int64 delay, TimestampTz now);

/* A ticket of a job that runs already; NULL if there is no room. */
extern JobqGroup *jobq_roster_join(JobqQueueState *queue, const char *name);

/* Gives tickets back; returns whether the caller must wake a worker. */
extern bool jobq_roster_leave(JobqGroup *group, int tickets, TimestampTz now);

/*
 * The same for one ticket, if its queue is gone or another ticket takes its place:
 * nobody is to be woken.  Called under JOBQ_LOCK_LEASES.
 */
extern void jobq_roster_leave_quietly(JobqGroup *group, TimestampTz now);

/* Whether the group is in memory. */
extern bool jobq_roster_has(JobqQueueState *queue, const char *name);

/* The number of tickets that are out, of all groups or of one. */
extern int64 jobq_roster_running(JobqQueueState *queue);
extern int64 jobq_roster_running_of(JobqQueueState *queue, const char *name);

/* For sweep.c: whether claims would come across the job by themselves. */
extern bool jobq_roster_covers(JobqQueueState *queue, const JobqPlace *place);

#endif							/* JOBQ_ROSTER_H */
