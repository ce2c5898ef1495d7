/*-------------------------------------------------------------------------
 *
 * roster_room.h
 *	  Room for groups, which other queues of the role make.
 *
 * Nothing touches a table, allocates or throws, so commit and abort callbacks may call
 * all of it.
 *
 * IDENTIFICATION
 *	  src/shared/roster_room.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_ROOM_H
#define JOBQ_ROSTER_ROOM_H

#include "shared/shmem.h"

/*
 * Whether there is no room for all groups of the queue with jobs.  Without the lock of its
 * stream, a hint.
 */
extern bool jobq_roster_is_short(const JobqQueueState *queue);

/*
 * Sees to it that the queue's role has room for n more groups, if others may leave
 * memory.  Called without the lock of a stream.
 */
extern void jobq_roster_seek_room(JobqQueueState *queue, int n);

/*
 * The queue's groups without tickets leave memory, until there is room for the link to a
 * limit and what that counts of the others.  Called without the lock of a stream.
 */
extern void jobq_roster_make_room_for_link(JobqQueueState *queue);

/*
 * The group with that name, which is made if necessary, in place of others if they
 * have nothing to do.  NULL: there is no room.  The queue's lock is held, and may be
 * released meanwhile.
 */
extern JobqGroup *jobq_roster_require(JobqQueueState *queue, const char *name);

/*
 * The same for a group of which something must be counted now: in place of any other
 * group of the queue without tickets, of which nothing must be kept.
 */
extern JobqGroup *jobq_roster_insist(JobqQueueState *queue, const char *name);

#endif							/* JOBQ_ROSTER_ROOM_H */
