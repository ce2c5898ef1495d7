/*-------------------------------------------------------------------------
 *
 * health_slots.c
 *	  Why SQL jobs find no worker, for the view jobq.health.
 *
 * IDENTIFICATION
 *	  src/health/health_slots.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_slots.h"

#include "guc.h"
#include "shared/database.h"
#include "shared/slot.h"

#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/acl.h"

/* Databases that a message names at most. */
#define MAX_NAMES 10

/*
 * Reports that all executors of the server are busy.  Names the role for which
 * most of them work if the reader may see its sessions.
 */
static void
report_busy_workers(JobqHealth *health)
{
	Oid			role;
	int			most = jobq_slots_role_with_most(&role);
	char	   *name = NULL;

	if (OidIsValid(role) &&
		(health->sees_sessions || has_privs_of_role(health->reader, role)))
		name = GetUserNameFromId(role, true);
	jobq_health_add(health,
					.severity = JOBQ_WARNING,
					.topic = "worker slots",
					.object = "jobq.max_workers",
					.message = psprintf("jobs are waiting, and %s%s",
										jobq_max_workers == 1 ?
										"the only worker of the server is busy" :
										psprintf("all %d workers of the server are busy",
												 jobq_max_workers),
										name == NULL ? "" :
										psprintf(", %d of them with jobs of role \"%s\"",
												 most, name)),
					.hint = "Increase jobq.max_workers and, if necessary, max_worker_processes; jobq.max_workers_per_role keeps one role from taking all workers.");
}

/*
 * Reports that jobs of a role wait because all executors that it may have are
 * busy in other databases.
 */
static void
report_capped_role(JobqHealth *health, Oid role)
{
	JobqWorkerCounts counts;
	char	   *name = NULL;

	jobq_slots_count(MyDatabaseId, role, &counts);
	if (jobq_max_workers_per_role == 0 ||
		counts.of_role < jobq_max_workers_per_role)
		return;
	if (health->sees_sessions || has_privs_of_role(health->reader, role))
		name = GetUserNameFromId(role, true);
	jobq_health_add(health,
					.severity = JOBQ_WARNING,
					.topic = "worker slots",
					.object = "jobq.max_workers_per_role",
					.message = name != NULL ?
					psprintf("jobs are waiting, but role \"%s\" already has its maximum number of workers, all in other databases: %d",
							 name, counts.of_role) :
					"jobs are waiting, but their role already has its maximum number of workers, all in other databases",
					.hint = "Increase jobq.max_workers_per_role and reload the configuration.");
}

const char *
jobq_health_slots_of_coordinators(const JobqHealth *health)
{
	Oid			databases[JOBQ_MAX_DATABASES];
	int			n = 0;
	StringInfoData names;

	if (!health->sees_sessions)
		return "";
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		if (jobq_shared->databases[i].coordinator_pid != 0)
			databases[n++] = jobq_shared->databases[i].dboid;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	initStringInfo(&names);
	for (int i = 0; i < Min(n, MAX_NAMES); i++)
	{
		const char *name = get_database_name(databases[i]);

		if (name != NULL)
			appendStringInfo(&names, "%s \"%s\"", names.len > 0 ? "," : "", name);
	}
	if (n > MAX_NAMES)
		appendStringInfoString(&names, " and others");
	return n == 0 ? "" :
		psprintf("; %d of them by the coordinators of databases%s", n, names.data);
}

void
jobq_health_check_slots(JobqHealth *health)
{
	JobqDatabase *database = jobq_database();
	JobqWorkerCounts counts;
	Oid			capped_role;
	bool		starving;
	bool		no_process;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	capped_role = database->capped_role;
	starving = database->starving;
	no_process = database->no_process;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	if (OidIsValid(capped_role))
		report_capped_role(health, capped_role);
	if (!starving)
		return;
	jobq_slots_count(MyDatabaseId, InvalidOid, &counts);
	if (counts.total >= jobq_max_workers)
		report_busy_workers(health);
	else if (no_process)
		jobq_health_add(health,
						.severity = JOBQ_WARNING,
						.topic = "worker slots",
						.object = "max_worker_processes",
						.message = psprintf("jobs are waiting, but the server has no free background worker slot: all %d are in use%s",
											max_worker_processes,
											jobq_health_slots_of_coordinators(health)),
						.hint = "Increase max_worker_processes and restart the server, or reduce other uses of background workers.");
}
