/*-------------------------------------------------------------------------
 *
 * health_server.h
 *	  Who keeps rows and segments of history from being removed, and what
 *	  replication does to jobq, for the view jobq.health.
 *
 * IDENTIFICATION
 *	  src/health/health_server.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_SERVER_H
#define JOBQ_HEALTH_SERVER_H

#include "health/health_finding.h"

/* Who keeps dead rows and history from being removed */
extern void jobq_health_check_horizon(JobqHealth *health);
extern void jobq_health_check_prepared(JobqHealth *health);
extern void jobq_health_check_history(JobqHealth *health);
extern void jobq_health_check_sync_replication(JobqHealth *health);
extern void jobq_health_check_logical(JobqHealth *health);

#endif							/* JOBQ_HEALTH_SERVER_H */
