/*-------------------------------------------------------------------------
 *
 * roster_read.h
 *	  Laps: a queue's groups are read from the index, some at a time.
 *
 * Each function takes the lock of the queue's stream; none touches a table, allocates
 * or throws, so all may be called by commit and abort callbacks.
 *
 * IDENTIFICATION
 *	  src/shared/roster_read.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_READ_H
#define JOBQ_ROSTER_READ_H

#include "shared/shmem.h"

/* Groups that are read from the index at a time. */
#define JOBQ_ROSTER_READ 64

/* When to read again if none of them has found room, in microseconds. */
#define JOBQ_ROSTER_NO_ROOM_DELAY (USECS_PER_SEC / 4)

/*
 * Reading groups from the index, after JOBQ_TURN_READ_ON; one at a time per
 * process.  The snapshot has to be taken after the beginning.
 */
typedef struct JobqRosterReading
{
	JobqQueueState *queue;
	uint64		resets;
	int			room;			/* how many groups are of use, at most */
	char		after[JOBQ_GROUP_NAME_SIZE];	/* the first one is after this */
} JobqRosterReading;

/* False if somebody else is reading. */
extern bool jobq_roster_read_begin(JobqRosterReading *reading,
								   JobqQueueState *queue);

/*
 * These groups were seen, in order, and no others between them.  at_end: none
 * comes after them.  Returns how many of them have found room.  *wake: the caller
 * must wake a worker.
 */
extern int	jobq_roster_read_end(const JobqRosterReading *reading,
								 const char *const *names, int n, bool at_end,
								 TimestampTz now, bool *wake);

/*
 * For abort callbacks, too.  Returns the queue of which the caller must wake a worker;
 * NULL: none.
 */
extern JobqQueueState *jobq_roster_read_abandon(void);

#endif							/* JOBQ_ROSTER_READ_H */
