/*-------------------------------------------------------------------------
 *
 * health_group.h
 *	  Findings about groups that have waiting jobs and start none.
 *
 * IDENTIFICATION
 *	  src/health/health_group.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_GROUP_H
#define JOBQ_HEALTH_GROUP_H

#include "health/health_finding.h"
#include "queue/queue_row.h"
#include "shared/shmem.h"

/* Why a group starts no job at the moment.  Only the first two do not end by themselves. */
typedef enum JobqGroupHold
{
	JOBQ_HOLD_STOPPED,			/* paused, since a job of it has died */
	JOBQ_HOLD_PAUSED,
	JOBQ_HOLD_RETRY,			/* its first job is to be tried again */
	JOBQ_HOLD_THROTTLED,
	JOBQ_HOLD_FULL,				/* it runs as many jobs as it may */
	JOBQ_HOLD_SHARED,			/* the same by the limit that the queue shares */
	JOBQ_HOLD_RATE,
	JOBQ_HOLD_NONE
} JobqGroupHold;

/* A group that has a waiting job, and starts none. */
typedef struct JobqHeldGroup
{
	JobqGroupHold hold;			/* JOBQ_HOLD_NONE: there is no such group */
	TimestampTz since;			/* run_at of the job, JOBQ_NEVER: none */
	TimestampTz until;			/* retry, throttled, rate: when that ends */
	int64		job_id;			/* retry: the job that is to be tried again */
	uint32		running;		/* full: how many jobs */
	char		name[JOBQ_GROUP_NAME_SIZE];
} JobqHeldGroup;

/* Keeps the worse one of two groups in *worst. */
extern void jobq_health_compare_held(JobqHeldGroup *worst,
									 const JobqHeldGroup *group);

/* What to tell of the group of a queue; finding->since is its time. */
extern void jobq_health_find_held(const JobqQueue *queue,
								  const JobqHeldGroup *group,
								  JobqFinding *finding);

#endif							/* JOBQ_HEALTH_GROUP_H */
