/*-------------------------------------------------------------------------
 *
 * health_late.h
 *	  What the coordinator has put off, and who is in its way or in that of
 *	  executors, for the view jobq.health.
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

/* What the coordinator has put off, and who is in its way */
extern void jobq_health_check_late(JobqHealth *health);
extern void jobq_health_check_executors(JobqHealth *health);
extern void jobq_health_report_held_job(JobqHealth *health,
										const JobqQueue *queue,
										const JobqHeldJob *job);

#endif							/* JOBQ_HEALTH_LATE_H */
