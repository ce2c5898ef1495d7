/*-------------------------------------------------------------------------
 *
 * health_limit.h
 *	  Limits that keep jobs from starting, and limits without an owner.
 *
 * IDENTIFICATION
 *	  src/health/health_limit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_LIMIT_H
#define JOBQ_HEALTH_LIMIT_H

#include "health/health_finding.h"
#include "queue/queue_row.h"

/*
 * Whether the queue's max_running, or its shared limit's, keeps its ready jobs
 * from starting at this moment; sets what is to be reported then: severity, topic,
 * message and hint.
 */
extern bool jobq_health_find_full(const JobqQueue *queue,
								  JobqFinding *finding);

/* The same of the rate of the queue, or of its shared limit. */
extern bool jobq_health_find_rate(const JobqQueue *queue,
								  JobqFinding *finding);

/*
 * Whether none of the queue's jobs, or none with a group, starts, since running jobs
 * have not been counted.
 */
extern bool jobq_health_is_uncounted(const JobqQueue *queue);

/* The name of the limit that a queue shares if that has no owner; else NULL. */
extern const char *jobq_health_ownerless_limit(const JobqQueue *queue);

/* Reports limits whose owner does not exist. */
extern void jobq_health_check_limits(JobqHealth *health);

#endif							/* JOBQ_HEALTH_LIMIT_H */
