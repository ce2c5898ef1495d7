/*-------------------------------------------------------------------------
 *
 * health_queue.h
 *	  Queues whose jobs wait, and why, for the view jobq.health.
 *
 * IDENTIFICATION
 *	  src/health/health_queue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_QUEUE_H
#define JOBQ_HEALTH_QUEUE_H

#include "health/health_finding.h"

/* Queues whose jobs wait, and why */
extern void jobq_health_check_queues(JobqHealth *health);

#endif							/* JOBQ_HEALTH_QUEUE_H */
