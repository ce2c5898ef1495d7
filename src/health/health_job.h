/*-------------------------------------------------------------------------
 *
 * health_job.h
 *	  Findings about jobs in executors: those that continue although they were
 *	  told to end, and jobs that wait because transactions are read-only.
 *
 * IDENTIFICATION
 *	  src/health/health_job.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_JOB_H
#define JOBQ_HEALTH_JOB_H

#include "health/health_finding.h"

/* Jobs that do not end when told to */
extern void jobq_health_check_jobs(JobqHealth *health);

#endif							/* JOBQ_HEALTH_JOB_H */
