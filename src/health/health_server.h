/*-------------------------------------------------------------------------
 *
 * health_server.h
 *	  Findings about what keeps rows and segments of history from being
 *	  removed, and about replication.
 *
 * IDENTIFICATION
 *	  src/health/health_server.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_SERVER_H
#define JOBQ_HEALTH_SERVER_H

#include "health/health_finding.h"

/* What keeps dead rows and history from being removed */
extern void jobq_health_check_horizon(JobqHealth *health);
extern void jobq_health_check_prepared(JobqHealth *health);
extern void jobq_health_check_history(JobqHealth *health);
extern void jobq_health_check_sync_replication(JobqHealth *health);
extern void jobq_health_check_logical(JobqHealth *health);

#endif							/* JOBQ_HEALTH_SERVER_H */
