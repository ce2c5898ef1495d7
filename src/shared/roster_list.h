/*-------------------------------------------------------------------------
 *
 * roster_list.h
 *	  The groups of a queue that are in memory, for views.
 *
 * IDENTIFICATION
 *	  src/shared/roster_list.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_LIST_H
#define JOBQ_ROSTER_LIST_H

#include "shared/shmem.h"

/* What is known of a group. */
typedef struct JobqGroupBrief
{
	uint64		number;			/* in the order in which groups were made */
	uint32		running;
	TimestampTz due;			/* when its next job is ready; DT_NOBEGIN:
								 * now; JOBQ_NEVER: no job waits */
	uint32		in_limit;		/* jobs with its key that run under the limit
								 * that the queue shares, if it counts groups */
	TimestampTz not_before;		/* until then it is throttled */
	TimestampTz opens_at;		/* its rate lets no job start before */
	char		name[JOBQ_GROUP_NAME_SIZE];
} JobqGroupBrief;

/*
 * Copies the groups that come after `after` (NULL: the first ones), at most n, and
 * returns their number.  The caller has a pin of the queue's entry.  Takes the lock
 * of the queue's stream, so n should be small; does not throw.
 */
extern int	jobq_roster_list(JobqQueueState *queue,
							 const JobqGroupBrief *after, TimestampTz now,
							 JobqGroupBrief *groups, int n);

/* The same of the group with that name; false if it is not in memory. */
extern bool jobq_roster_list_one(JobqQueueState *queue, const char *name,
								 TimestampTz now, JobqGroupBrief *group);

/*
 * Whether a group of the queue has no lanes because memory is short.  Walks over all
 * of them, under the lock.
 */
extern bool jobq_roster_lacks_lanes(JobqQueueState *queue);

/*
 * For checks, of all databases, a hint: the tickets that are counted under limits, and
 * those of the groups that are joined.
 */
extern void jobq_limit_groups_sum(int64 *counted, int64 *tickets);

#endif							/* JOBQ_ROSTER_LIST_H */
