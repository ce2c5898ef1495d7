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
	uint64		resets;			/* of the roster, when it began; so are these: */
	uint64		nread;
	uint64		nlaps;
	int			room;			/* how many groups are of use, at most */
	char		after[JOBQ_GROUP_NAME_SIZE];	/* the first one is after this */
} JobqRosterReading;

/* A group that was read. */
typedef struct JobqGroupRead
{
	char		name[JOBQ_GROUP_NAME_SIZE];
	int16		priority;		/* of its first job */
} JobqGroupRead;

/* What a reading has led to. */
typedef enum JobqReadResult
{
	JOBQ_READ_SOME,				/* groups may be in memory that were not, and
								 * others may follow */
	JOBQ_READ_TO_END,			/* there are no others in this lap */
	JOBQ_READ_NONE				/* no group has found room */
} JobqReadResult;

/* False if all groups are in memory now, or the queue is gone. */
extern bool jobq_roster_read_begin(JobqRosterReading *reading,
								   JobqQueueState *queue);

/*
 * These groups were seen, in order, and no others between them.  at_end: none
 * comes after them.  *nback: as many groups have come into the turns, at least.
 * *wake: the caller must wake a worker.
 */
extern JobqReadResult jobq_roster_read_end(const JobqRosterReading *reading,
										   const JobqGroupRead *groups, int n,
										   bool at_end, TimestampTz now,
										   int *nback, bool *wake);

/*
 * For abort callbacks, too.  Returns the queue of which the caller must wake a worker;
 * NULL: none.
 */
extern JobqQueueState *jobq_roster_read_abandon(void);

#endif							/* JOBQ_ROSTER_READ_H */
