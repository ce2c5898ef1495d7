/*-------------------------------------------------------------------------
 *
 * health_job.h
 *	  What jobq.health says of the jobs of executors: those that go on though
 *	  they were told to end, and that none runs where nothing may be written.
 *
 * IDENTIFICATION
 *	  src/health/health_job.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_JOB_H
#define JOBQ_HEALTH_JOB_H

#include "health/health_finding.h"

/* Jobs that do not end when they are told to */
extern void jobq_health_check_jobs(JobqHealth *health);

#endif							/* JOBQ_HEALTH_JOB_H */
