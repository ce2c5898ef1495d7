/*-------------------------------------------------------------------------
 *
 * health_schedule.h
 *	  Schedules that do not run, for the view jobq.health.
 *
 * IDENTIFICATION
 *	  src/health/health_schedule.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_SCHEDULE_H
#define JOBQ_HEALTH_SCHEDULE_H

#include "health/health_finding.h"

/* Schedules that do not run */
extern void jobq_health_check_schedules(JobqHealth *health);

#endif							/* JOBQ_HEALTH_SCHEDULE_H */
