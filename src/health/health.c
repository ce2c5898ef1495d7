/*-------------------------------------------------------------------------
 *
 * health.c
 *	  The view jobq.health: problems that an operator should know about, a row
 *	  for each finding and none if all is well.
 *
 * The function behind the view goes through a table of checks and sorts what
 * they found.  The checks of the service, its workers and dispatch are
 * here, the others in files of their own; health.h says how to add one.
 *
 * Nothing here counts jobs.  What costs most is one index descent for each
 * queue and priority that is in use.
 *
 * IDENTIFICATION
 *	  src/health/health.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health.h"

#include "base/extension.h"
#include "base/rights.h"
#include "compat.h"
#include "guc.h"
#include "health/health_finding.h"
#include "health/health_job.h"
#include "health/health_late.h"
#include "health/health_limit.h"
#include "health/health_lost.h"
#include "health/health_memory.h"
#include "health/health_queue.h"
#include "health/health_schedule.h"
#include "health/health_server.h"
#include "health/health_slots.h"
#include "job/crash_file.h"
#include "job/unread_note.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "service/service.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/queue_state.h"
#include "shared/slot.h"
#include "shared/termination.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_health_findings);

/* Queues of others that are looked at, for a reader with privileges on them. */
#define MAX_GRANTED 500

/* Columns of health_findings(). */
enum
{
	COL_SEVERITY,
	COL_TOPIC,
	COL_OBJECT,
	COL_MESSAGE,
	COL_HINT,
	COL_SINCE,
	NCOLS
};

static void check_service(JobqHealth *health);
static void check_outcomes(JobqHealth *health);
static void check_copies(JobqHealth *health);
static void check_dispatch(JobqHealth *health);

/*
 * The order matters: check_service sets what others use, and check_copies
 * reports what they have counted.
 */
static const struct
{
	void		(*check) (JobqHealth *health);
	bool		on_standby;
}			checks[] = {
	{check_service, true},
	{jobq_health_check_late, false},
	{jobq_health_check_executors, false},
	{jobq_health_check_slots, false},
	{check_outcomes, false},
	{jobq_health_check_queues, false},
	{jobq_health_check_limits, false},
	{jobq_health_check_lost_queues, false},
	{jobq_health_check_jobs, false},
	{jobq_health_check_schedules, false},
	{check_copies, false},
	{jobq_health_check_memory, false},
	{check_dispatch, false},
	{jobq_health_check_horizon, false},
	{jobq_health_check_prepared, false},
	{jobq_health_check_history, false},
	{jobq_health_check_sync_replication, false},
	{jobq_health_check_logical, false},
};

/* What this database's entry in shared memory says; zeroes if it has none. */
static void
read_database(JobqDatabase *database, bool *has_launcher)
{
	JobqDatabase *entry = jobq_database();

	memset(database, 0, sizeof(*database));
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	database->state = entry->state;
	database->coordinator_pid = entry->coordinator_pid;
	database->wanted = entry->wanted;
	database->holds = entry->holds;
	database->stoppers = entry->stoppers;
	database->stopper_pid = entry->stopper_pid;
	*has_launcher = jobq_shared->launcher_proc != JOBQ_NO_PROCESS;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}

/*
 * Whether notes of jobs that were running cannot be read (job/unread_note.c), or copied
 * (job/uncounted.c).
 */
static void
report_unread(JobqHealth *health)
{
	TimestampTz since = jobq_unread_since();
	bool		nameless = jobq_terminations_nameless() != 0;
	const char *error = strerror(jobq_unread_errno());

	if (since == 0)
		return;
	jobq_health_add(health,
					.severity = JOBQ_CRITICAL,
					.topic = "unrecorded",
					.message = nameless ?
					psprintf("attempts of SQL jobs that have ended are not counted yet, and cannot be noted in \"%s\" (%s), so no jobs are started",
							 JOBQ_NOTES_DIRECTORY, error) :
					psprintf("notes of SQL jobs that were running cannot be read in \"%s\" (%s), so no jobs are started",
							 JOBQ_NOTES_DIRECTORY, error),
					.hint = nameless ?
					"See the server log for the file. Jobs continue when these attempts are counted." :
					"See the server log for the file. Jobs continue within seconds once it can be read again, or is removed: then the jobs that it names may run twice.",
					.since = since);
}

/*
 * Whether outcomes of jobs, or notes of running jobs, cannot be written
 * (bgworker/executor/unrecorded.c), or notes of before a crash cannot be read
 * (job/unread_note.c).
 */
static void
check_outcomes(JobqHealth *health)
{
	JobqDatabase *database = jobq_database();
	TimestampTz since =
	(TimestampTz) pg_atomic_read_u64(&database->unrecorded_since);
	int			code = (int) pg_atomic_read_u32(&database->unrecorded_code);

	report_unread(health);
	if (since == 0)
		return;
	if (code != 0)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "unrecorded",
						.message = psprintf("outcomes of SQL jobs cannot be recorded (SQLSTATE %s), so no jobs are started",
											unpack_sql_state(code)),
						.hint = "See the server log for the error. Jobs continue within seconds once rows can be written again.",
						.since = since);
	else
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "unrecorded",
						.message = psprintf("attempts of SQL jobs cannot be noted in \"%s\" (%s), so no jobs are started",
											JOBQ_NOTES_DIRECTORY,
											strerror((int) pg_atomic_read_u32(&database->unrecorded_errno))),
						.hint = "See the server log for the error. Jobs continue within seconds once files in that directory of the data directory can be written again.",
						.since = since);
}

/* Reports that the server has no slot for the launcher or a coordinator. */
static void
report_no_process(JobqHealth *health, const char *message)
{
	jobq_health_add(health,
					.severity = JOBQ_CRITICAL,
					.topic = "coordinator",
					.object = "max_worker_processes",
					.message = message,
					.hint = psprintf("Increase max_worker_processes, which is %d, and restart the server.",
									 max_worker_processes));
}

/* Reports why there is no coordinator although there should be one. */
static void
report_no_coordinator(JobqHealth *health, bool has_launcher)
{
	bool		no_slots;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	no_slots = jobq_shared->no_slots;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	if (!jobq_shared->has_launcher)
		report_no_process(health,
						  "the server had no free background worker slot for the launcher when it started");
	else if (!has_launcher)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "coordinator",
						.message = "neither a coordinator nor the launcher is running",
						.hint = "The launcher is started again within seconds; otherwise, see the server log.");
	else if (no_slots)
		report_no_process(health,
						  psprintf("no coordinator is running in this database: all %d background worker slots of the server are in use%s",
								   max_worker_processes,
								   jobq_health_slots_of_coordinators(health)));
	else
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "coordinator",
						.message = "no coordinator is running in this database",
						.hint = "It is started again within a minute if the database accepts connections and is not a template; otherwise, see the server log.");
}

/* Reports why there are no workers in this database. */
static void
check_coordinator(JobqHealth *health, const JobqDatabase *database,
				  bool has_launcher)
{
	const char *database_name = get_database_name(MyDatabaseId);

	if (!jobq_enabled)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "disabled",
						.object = "jobq.enabled",
						.message = "jobq is turned off on this server",
						.hint = "Set jobq.enabled to on and reload the configuration.");
	else if (!jobq_serves_database(database_name))
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "disabled",
						.object = "jobq.databases",
						.message = "this database is not one of those that jobq serves",
						.hint = psprintf("Add %s to jobq.databases%s, and reload the configuration.",
										 quote_identifier(database_name),
										 strcmp(quote_identifier(database_name),
												database_name) == 0 ? "" :
										 ", with the double quotes (unquoted names are folded to lower case)"));
	else if (database->holds > 0)
		jobq_health_add(health,
						.severity = JOBQ_INFO,
						.topic = "coordinator",
						.message = "a utility command is keeping the workers out of this database");
	else if (database->coordinator_pid == 0 &&
			 database->state != JOBQ_COORDINATOR_STARTING &&
			 (database->wanted || database->state != JOBQ_COORDINATOR_RESTING))
		report_no_coordinator(health, has_launcher);
}

/* Whether anything runs at all. */
static void
check_service(JobqHealth *health)
{
	JobqDatabase database;
	bool		has_launcher;
	bool		stopped;
	TimestampTz since = JOBQ_NEVER;

	if (RecoveryInProgress())
	{
		jobq_health_add(health,
						.severity = JOBQ_INFO,
						.topic = "standby",
						.message = "this server is a standby, so no jobs run");
		return;
	}
	read_database(&database, &has_launcher);
	stopped = jobq_service_is_stopped(&since);
	health->runs_jobs = !stopped && database.stoppers == 0 &&
		database.coordinator_pid != 0;
	if (stopped)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "stopped",
						.message = "jobq is stopped in this database",
						.hint = "Use jobq.start() to start it.",
						.since = since);
	else if (database.stoppers > 0)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "stopped",
						.object = health->sees_sessions && database.stopper_pid != 0 ?
						psprintf("pid %d", (int) database.stopper_pid) : NULL,
						.message = "jobq is stopped in this database by an open transaction that has called jobq.stop()",
						.hint = "End that transaction; if it rolls back, the workers continue.");
	check_coordinator(health, &database, has_launcher);
}

/* Whether queues and schedules came here with a copy of a database. */
static void
check_copies(JobqHealth *health)
{
	if (health->foreign_queues == 0 && health->foreign_schedules == 0)
		return;
	jobq_health_add(health,
					.severity = JOBQ_CRITICAL,
					.topic = "copy",
					.message = psprintf("queues (%d) and schedules (%d) that came with a copy or a dump of another database are inactive",
										health->foreign_queues,
										health->foreign_schedules),
					.hint = "Use jobq.start() to make them this database's own. If the original is in use, their jobs may be running there.");
}

/* Reports that not all queues on which the reader has privileges are looked at. */
static void
report_cut(JobqHealth *health)
{
	jobq_health_add(health,
					.severity = JOBQ_INFO,
					.topic = "grants",
					.message = psprintf("you have privileges on very many queues of others: only those of the first %d grants are looked at",
										MAX_GRANTED),
					.hint = "Let a role that watches all queues do so with jobq.grant_usage(role, may_read => true).");
}

/* Whether claims find jobs through the lanes, and find all of them. */
static void
check_dispatch(JobqHealth *health)
{
	uint64		swept = pg_atomic_read_u64(&jobq_database()->swept);
	ListCell   *lc;

	if (swept > 0)
		jobq_health_add(health,
						.severity = JOBQ_WARNING,
						.topic = "sweep",
						.message = psprintf("jobs missing from shared memory that the sweep has recovered since the server started: " UINT64_FORMAT,
											swept),
						.hint = "Change and lock rows of jobq_store only through jobq's functions.");
	foreach(lc, health->queues)
	{
		JobqQueueState *state = jobq_queue_state_find(lfirst_int(lc));
		const JobqQueue *queue;

		if (state == NULL || !state->stream.crowded ||
			state->stream.nlanes < JOBQ_MAX_LANES)
			continue;
		queue = jobq_queue_by_id(lfirst_int(lc));
		if (queue == NULL)
			continue;
		jobq_health_add(health,
						.severity = JOBQ_INFO,
						.topic = "priorities",
						.object = queue->name,
						.message = "the queue has jobs of too many priorities, so claims search the index from its start",
						.hint = psprintf("Use at most %d priorities per queue.",
										 JOBQ_MAX_LANES));
	}
}

/* Worst first; then by topic and object, so that the order is stable. */
static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const JobqFinding *first = lfirst(a);
	const JobqFinding *second = lfirst(b);
	int			result = (int) first->severity - (int) second->severity;

	if (result == 0)
		result = strcmp(first->topic, second->topic);
	/* a row for the rest of a topic has no object and comes last */
	if (result == 0)
		result = (first->object == NULL) - (second->object == NULL);
	if (result == 0 && first->object != NULL)
		result = strcmp(first->object, second->object);
	return result != 0 ? result : strcmp(first->message, second->message);
}

static void
put_finding(ReturnSetInfo *rsinfo, const JobqFinding *finding)
{
	static const char *const severities[] = {
		[JOBQ_CRITICAL] = "critical",
		[JOBQ_WARNING] = "warning",
		[JOBQ_INFO] = "info",
	};
	Datum		values[NCOLS] = {0};
	bool		nulls[NCOLS] = {0};

	values[COL_SEVERITY] =
		CStringGetTextDatum(severities[finding->severity]);
	values[COL_TOPIC] = CStringGetTextDatum(finding->topic);
	values[COL_MESSAGE] = CStringGetTextDatum(finding->message);
	nulls[COL_OBJECT] = finding->object == NULL;
	if (finding->object != NULL)
		values[COL_OBJECT] = CStringGetTextDatum(finding->object);
	nulls[COL_HINT] = finding->hint == NULL;
	if (finding->hint != NULL)
		values[COL_HINT] = CStringGetTextDatum(finding->hint);
	nulls[COL_SINCE] = finding->since == JOBQ_NEVER;
	values[COL_SINCE] = TimestampTzGetDatum(finding->since);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* health_findings(): the findings that the current user may see. */
Datum
jobq_health_findings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	JobqHealth	health = {0};
	bool		standby = RecoveryInProgress();
	bool		is_cut;
	ListCell   *lc;

	jobq_require_shmem();
	PreventCommandIfParallelMode("jobq.health");
	InitMaterializedSRF(fcinfo, 0);
	health.context = CurrentMemoryContext;
	health.now = jobq_now();
	health.reader = GetUserId();
	health.reads_all = jobq_reads_all(health.reader);
	health.sees_sessions = jobq_is_administrator(health.reader) ||
		has_privs_of_role(health.reader, ROLE_PG_READ_ALL_STATS);

	if (!jobq_version_matches())
	{
		/* the tables may differ from what the checks expect */
		jobq_health_add(&health,
						.severity = JOBQ_CRITICAL,
						.topic = "version",
						.object = JOBQ_VERSION,
						.message = "the extension's version differs from the library's",
						.hint = jobq_version_hint());
		put_finding(rsinfo, linitial(health.findings));
		return (Datum) 0;
	}

	/* rows restored from a dump are not announced */
	jobq_queue_cache_forget_all();
	health.queues = jobq_queues_known(health.reader, MAX_GRANTED, &is_cut);
	if (is_cut)
		report_cut(&health);
	for (int i = 0; i < lengthof(checks); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (checks[i].on_standby || !standby)
			checks[i].check(&health);
	}
	list_sort(health.findings, compare_findings);
	foreach(lc, health.findings)
		put_finding(rsinfo, lfirst(lc));
	return (Datum) 0;
}
