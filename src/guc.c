/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  jobq's settings.
 *
 * Settings that affect the workers belong to the server's configuration; users
 * cannot change them in a session.  They can change jobq.async_claims, as they
 * can synchronous_commit.
 *
 * IDENTIFICATION
 *	  src/guc.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"

#include <limits.h>

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/guc.h"
#include "utils/varlena.h"

bool		jobq_enabled = true;
static char *databases = NULL;	/* "*", or names separated by commas */
int			jobq_max_workers = 4;
int			jobq_max_workers_per_role = 0;
int			jobq_worker_idle_timeout = 10000;
int			jobq_notify_interval = 5;
int			jobq_shared_commit_time = 5;
int			jobq_shared_memory = 16384;
int			jobq_sweep_interval = 60000;
bool		jobq_async_claims = true;
char	   *jobq_timezone = NULL;
int			jobq_catch_up_window = SECS_PER_DAY;
int			jobq_health_transaction_age = 10 * SECS_PER_MINUTE;
int			jobq_log_jobs = JOBQ_LOG_FAILURES;

static const struct config_enum_entry log_jobs_options[] = {
	{"none", JOBQ_LOG_NONE, false},
	{"failures", JOBQ_LOG_FAILURES, false},
	{"all", JOBQ_LOG_ALL, false},
	{NULL, 0, false}
};

static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names = NIL;
	bool		valid;

	valid = strcmp(copy, "*") == 0 ||
		SplitIdentifierString(copy, ',', &names);
	if (!valid)
		GUC_check_errdetail("It must be \"*\" or a comma-separated list of names.");
	list_free(names);
	pfree(copy);
	return valid;
}

static void
define_service_settings(void)
{
	DefineCustomBoolVariable("jobq.enabled",
							 "Enables jobq's background workers.",
							 "Turn this off on a clone of a server before starting it.",
							 &jobq_enabled, true, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("jobq.databases",
							   "Sets the databases that jobq's background workers serve.",
							   "\"*\" means all databases that have the extension.",
							   &databases, "*", PGC_SIGHUP,
							   GUC_LIST_INPUT, check_databases, NULL, NULL);
	DefineCustomIntVariable("jobq.max_workers",
							"Sets the maximum number of SQL jobs that run at the same time.",
							"The limit is for the whole server; each worker uses one of max_worker_processes.",
							&jobq_max_workers, 4, 0, JOBQ_MAX_WORKER_SLOTS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("jobq.max_workers_per_role",
							"Sets the maximum number of SQL jobs of one role that run at the same time.",
							"The limit is for the whole server; 0 means no limit other than jobq.max_workers.",
							&jobq_max_workers_per_role, 0, 0,
							JOBQ_MAX_WORKER_SLOTS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("jobq.worker_idle_timeout",
							"Sets the time after which a worker without jobs exits.",
							NULL,
							&jobq_worker_idle_timeout, 10000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("jobq.notify_interval",
							"Sets the time between two notifications for the same queue.",
							NULL,
							&jobq_notify_interval, 5, 0, 60000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("jobq.sweep_interval",
							"Sets the time between two searches for jobs missing from shared memory.",
							"0 turns the search off.",
							&jobq_sweep_interval, 60000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("jobq.shared_commit_time",
							"Sets how long short jobs may share a transaction.",
							"0 gives each job a transaction of its own.",
							&jobq_shared_commit_time, 5, 0, 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}

static void
define_schedule_settings(GucStringCheckHook check_timezone)
{
	DefineCustomStringVariable("jobq.timezone",
							   "Sets the time zone of schedules that do not name one.",
							   "An empty string means the time zone in the server's configuration.",
							   &jobq_timezone, "", PGC_SIGHUP, 0,
							   check_timezone, NULL, NULL);
	DefineCustomIntVariable("jobq.catch_up_window",
							"Sets how late a missed run may still be started.",
							"This applies to schedules without a catch_up_window of their own.",
							&jobq_catch_up_window, SECS_PER_DAY, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

/* See guc.h. */
void
jobq_guc_init(GucStringCheckHook check_timezone)
{
	define_service_settings();
	define_schedule_settings(check_timezone);
	DefineCustomBoolVariable("jobq.async_claims",
							 "Lets transactions that only claim jobs commit without waiting for the disk.",
							 "If a server crash loses such a claim, the job is ready again.",
							 &jobq_async_claims, true, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("jobq.shared_memory",
							"Sets the amount of shared memory for queues, candidates and leases.",
							"When it is exhausted, jobq keeps working, but more slowly.",
							&jobq_shared_memory, 16384, 1024, MAX_KILOBYTES,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomEnumVariable("jobq.log_jobs",
							 "Sets which finished jobs are logged.",
							 NULL,
							 &jobq_log_jobs, JOBQ_LOG_FAILURES,
							 log_jobs_options,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("jobq.health_transaction_age",
							"Sets the age from which jobq.health reports open transactions.",
							NULL,
							&jobq_health_transaction_age,
							10 * SECS_PER_MINUTE, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	MarkGUCPrefixReserved("jobq");
}

bool
jobq_serves_database(const char *name)
{
	char	   *copy;
	List	   *names;
	ListCell   *lc;
	bool		found = false;

	if (!jobq_enabled)
		return false;
	if (strcmp(databases, "*") == 0)
		return true;
	copy = pstrdup(databases);
	if (SplitIdentifierString(copy, ',', &names))
	{
		foreach(lc, names)
			found = found || strcmp(lfirst(lc), name) == 0;
		list_free(names);
	}
	pfree(copy);
	return found;
}
