/*-------------------------------------------------------------------------
 *
 * health_memory.h
 *	  The areas of shared memory that are full, for the view jobq.health.
 *
 * IDENTIFICATION
 *	  src/health/health_memory.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_MEMORY_H
#define JOBQ_HEALTH_MEMORY_H

#include "health/health_finding.h"

/* Whether there is room in each area that shares jobq.shared_memory. */
extern void jobq_health_check_memory(JobqHealth *health);

#endif							/* JOBQ_HEALTH_MEMORY_H */
