/*-------------------------------------------------------------------------
 *
 * health_lost.h
 *	  Jobs without a queue, for the view jobq.health.
 *
 * IDENTIFICATION
 *	  src/health/health_lost.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_LOST_H
#define JOBQ_HEALTH_LOST_H

#include "health/health_finding.h"

/* Jobs without a queue */
extern void jobq_health_check_lost_queues(JobqHealth *health);

#endif							/* JOBQ_HEALTH_LOST_H */
