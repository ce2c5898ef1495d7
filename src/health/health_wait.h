/*-------------------------------------------------------------------------
 *
 * health_wait.h
 *	  How long the jobs of queues have been waiting.
 *
 * IDENTIFICATION
 *	  src/health/health_wait.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_WAIT_H
#define JOBQ_HEALTH_WAIT_H

#include "health/health_finding.h"
#include "health/health_group.h"
#include "queue/queue_row.h"

#include "access/genam.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* The scan for jobs; open while all queues are checked. */
typedef struct JobqWaitScan
{
	Relation	rel;
	Relation	indexes[2];		/* of jobs without a group, and with one */
	Snapshot	snapshot;
	TupleTableSlot *slot;
	IndexScanDesc scans[2];
	MemoryContext context;		/* of the scan */
} JobqWaitScan;

typedef struct JobqQueueWait
{
	TimestampTz oldest;			/* run_at of the ready job that has waited
								 * longest, or JOBQ_NEVER */
	bool		is_worked;		/* a job of it is locked or leased */
	JobqHeldJob held;			/* a job of executors that others have locked */
	JobqHeldGroup group;		/* one that has waiting jobs, and starts none */
} JobqQueueWait;

/* Nothing waits. */
#define JOBQ_NOTHING_WAITS { \
	.oldest = JOBQ_NEVER, \
	.group = {.hold = JOBQ_HOLD_NONE,.since = JOBQ_NEVER} \
}

extern void jobq_health_waits_begin(JobqWaitScan *jobs);
extern void jobq_health_waits_end(JobqWaitScan *jobs);

/* Looks at a queue that is at home; *wait is JOBQ_NOTHING_WAITS. */
extern void jobq_health_find_wait(JobqWaitScan *jobs,
								  const JobqQueueBrief *brief,
								  TimestampTz now, JobqQueueWait *wait);

#endif							/* JOBQ_HEALTH_WAIT_H */
