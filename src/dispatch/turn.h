/*-------------------------------------------------------------------------
 *
 * turn.h
 *	  The turns of a queue's groups, for claims.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TURN_H
#define JOBQ_TURN_H

#include "dispatch/claim_stream.h"

/* Whether the queue may have jobs in groups. */
extern bool jobq_turn_is_needed(const JobqQueue *queue);

/*
 * Gives the next ready job of the group whose turn it is, or of the jobs without a
 * group.  The process holds a ticket of the job's group then.  False if there is
 * none.
 */
extern bool jobq_turn_claim(JobqClaimScan *scan, JobqJob *job);

/* Whether there seem to be others. */
extern bool jobq_turn_sees_more(JobqClaimScan *scan);

/*
 * When a group has a job that is not ready yet, or may have one that is; JOBQ_NEVER:
 * none has.  all_visited: nothing was found in those that may start a job now.
 */
extern TimestampTz jobq_turn_next_due(const JobqClaimScan *scan,
									  bool all_visited);

/* A visit of groups, which stops and is continued later; all zeros: it begins. */
typedef struct JobqVisit
{
	bool		begun;
	bool		may_read;		/* groups from the index */
	int			laps_left;		/* to their end */
	int			turns_left;		/* until each group in memory had its turn */
	bool		by_index;		/* groups that have no room there come next, */
	char		after[JOBQ_GROUP_NAME_SIZE];	/* after this one */
} JobqVisit;

typedef enum JobqVisited
{
	JOBQ_VISITED_ALL,			/* nothing was found */
	JOBQ_VISITED_SOME,			/* the same, and the visit is to be continued */
	JOBQ_VISIT_FOUND
} JobqVisited;

/*
 * Turns the scan to one group after another that may start a job, and calls a
 * function for each, at least once.  Stops when the function returns true, each group
 * had its turn, or jobq_stopwatch() has reached `until`.
 */
extern JobqVisited jobq_turn_visit(JobqClaimScan *scan, JobqVisit *visit,
								   int64 until,
								   bool (*look) (JobqClaimScan *scan));

#endif							/* JOBQ_TURN_H */
