/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  jobq's settings (docs/reference.md describes them).
 *
 * IDENTIFICATION
 *	  src/guc.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GUC_H
#define JOBQ_GUC_H

#include "utils/guc.h"

/* The limit of jobq.max_workers. */
#define JOBQ_MAX_WORKER_SLOTS 256

typedef enum JobqLogJobs
{
	JOBQ_LOG_NONE,
	JOBQ_LOG_FAILURES,
	JOBQ_LOG_ALL
} JobqLogJobs;

extern bool jobq_enabled;
extern int	jobq_max_workers;
extern int	jobq_max_workers_per_role;
extern int	jobq_worker_idle_timeout;	/* milliseconds */
extern int	jobq_notify_interval;	/* milliseconds */
extern int	jobq_shared_commit_time;	/* milliseconds, 0: none */
extern int	jobq_shared_memory; /* kilobytes */
extern int	jobq_sweep_interval;	/* milliseconds, 0: no sweeps */
extern bool jobq_async_claims;
extern char *jobq_timezone;		/* empty: the server's */
extern int	jobq_catch_up_window;	/* seconds */
extern int	jobq_health_transaction_age;	/* seconds */
extern int	jobq_log_jobs;		/* a JobqLogJobs */

/*
 * Defines the settings; called once, by _PG_init.  The function checks values of
 * jobq.timezone.
 */
extern void jobq_guc_init(GucStringCheckHook check_timezone);

/* Whether jobq.enabled and jobq.databases let it work in a database. */
extern bool jobq_serves_database(const char *name);

#endif							/* JOBQ_GUC_H */
