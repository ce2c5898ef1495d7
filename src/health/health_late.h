/*-------------------------------------------------------------------------
 *
 * health_late.h
 *	  Findings about work that is late, and which transactions block the
 *	  coordinator or executors.
 *
 * IDENTIFICATION
 *	  src/health/health_late.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_LATE_H
#define JOBQ_HEALTH_LATE_H

#include "health/health_finding.h"
#include "queue/queue_row.h"

/* Late work of the coordinator, and what blocks it */
extern void jobq_health_check_late(JobqHealth *health);
extern void jobq_health_check_executors(JobqHealth *health);
extern void jobq_health_report_held_job(JobqHealth *health,
										const JobqQueue *queue,
										const JobqHeldJob *job);

#endif							/* JOBQ_HEALTH_LATE_H */
