/*-------------------------------------------------------------------------
 *
 * health_late.c
 *	  Findings about work that is late, and which transactions block the
 *	  coordinator or executors.
 *
 * The coordinator reports what it has skipped (late.c).  What it is currently
 * doing, and for which session it waits, is in the server's statistics.  Jobs
 * that executors skip because they are locked are found by the checks of
 * queues (health_queue.c).
 *
 * Sessions of other roles are not described unless the reader may see them in
 * pg_stat_activity.
 *
 * IDENTIFICATION
 *	  src/health/health_late.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_late.h"

#include "base/statement.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "shared/database.h"
#include "shared/late.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#define TOPIC "late"

/* $1 is a PID. */
static const char session_query[] =
"SELECT pg_catalog.format('pid %s (role \"%s\", application \"%s\", %s)',"
" a.pid, a.usename, a.application_name, coalesce(a.state, a.backend_type)),"
" a.usesysid,"
" CASE WHEN w.job_id IS NOT NULL"
" THEN pg_catalog.format('Cancel its job with jobq.cancel(%s).', w.job_id)"
" ELSE pg_catalog.format('End it, if necessary with pg_terminate_backend(%s).', a.pid) END"
" FROM pg_catalog.pg_stat_activity AS a"
" LEFT JOIN jobq_store.worker_slots() AS w ON w.pid = a.pid"
" WHERE a.pid = $1";

/* The oldest prepared transaction of this database. */
static const char prepared_query[] =
"SELECT pg_catalog.format('prepared transaction \"%s\" (role \"%s\")', p.gid, p.owner),"
" r.oid,"
" 'Use COMMIT PREPARED or ROLLBACK PREPARED for it and for later ones in pg_prepared_xacts.'"
" FROM pg_catalog.pg_prepared_xacts AS p"
" LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = p.owner"
" WHERE p.database = pg_catalog.current_database()"
" ORDER BY p.prepared LIMIT 1";

/* $1 is a PID, $2 the time before which a transaction is a long one. */
static const char age_query[] =
"SELECT FROM pg_catalog.pg_stat_activity AS a"
" WHERE a.pid = $1 AND a.xact_start < $2";

/*
 * $1 is a PID, $2 the time at which a transaction of it was in the way.  When
 * that began is not known if track_activities is off.
 */
static const char since_query[] =
"SELECT FROM pg_catalog.pg_stat_activity AS a"
" WHERE a.pid = $1 AND (a.xact_start <= $2 OR a.state = 'disabled')";

/* $1 is the coordinator's PID, $2 the time before which a task is a long one. */
static const char task_query[] =
"SELECT a.query, a.state_change,"
" pg_catalog.concat_ws(': ', a.wait_event_type, a.wait_event),"
" (pg_catalog.pg_blocking_pids(a.pid))[1]"
" FROM pg_catalog.pg_stat_activity AS a"
" WHERE a.pid = $1 AND a.state = 'active' AND a.state_change < $2";

/* $1 is the PID of an executor, $2 the time before which a wait is a long one. */
static const char wait_query[] =
"SELECT l.waitstart, (pg_catalog.pg_blocking_pids(l.pid))[1]"
" FROM pg_catalog.pg_locks AS l"
" WHERE l.pid = $1 AND NOT l.granted AND l.waitstart < $2";

/*
 * Describes a blocking transaction, as far as it is known and the reader may
 * know it.  *hint says what can be done about it.
 */
static const char *
describe_session(const JobqHealth *health, int pid, const char **hint)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(pid);
	bool		isnull;
	bool		prepared = pid == JOBQ_HOLDER_PREPARED;
	Datum		role;

	*hint = "It continues when that transaction ends.";
	if (pid == 0 ||
		(prepared ? jobq_statement_query(prepared_query, 0, NULL, NULL) :
		 jobq_statement_query(session_query, 1, &type, &value)) != 1)
		return "a transaction";
	role = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
						 &isnull);
	if (!health->sees_sessions &&
		(isnull || !has_privs_of_role(health->reader, DatumGetObjectId(role))))
	{
		*hint = "Members of pg_read_all_stats can see whose it is.";
		return "a transaction";
	}
	*hint = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
	return psprintf(prepared ? "%s" : "the transaction of %s",
					SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
								 1));
}

/* What was skipped: names the job if there is one that the reader may see. */
static const char *
describe_skipped(const JobqHealth *health, const JobqTaskReport *report)
{
	const JobqQueue *queue = report->job_id == 0 ? NULL :
	jobq_queue_by_id(report->queue);

	if (queue == NULL ||
		!jobq_queue_allows(queue, health->reader,
						   JOBQ_PRIV_READ | JOBQ_PRIV_CONSUME |
						   JOBQ_PRIV_MANAGE))
		return "part of the task is late";
	return psprintf("part of the task, job " INT64_FORMAT " of queue \"%s\", is late",
					report->job_id, queue->name);
}

/* Whether what a task has skipped may still be in somebody's hands. */
static bool
is_in_the_way(const JobqTaskReport *report)
{
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(report->pid),
	TimestampTzGetDatum(report->seen_at)};

	if (report->pid == JOBQ_TASK_FAILS || report->pid == 0)
		return true;
	if (report->pid == JOBQ_HOLDER_PREPARED)
		return jobq_statement_query(prepared_query, 0, NULL, NULL) > 0;
	return jobq_statement_query(since_query, lengthof(values), types,
								values) > 0;
}

/* Reports a task of which the coordinator has skipped something. */
static void
report_task(JobqHealth *health, const char *name,
			const JobqTaskReport *report)
{
	const char *hint = "See the server log for the reason.";
	const char *message;

	if (report->since > health->now - JOBQ_HEALTH_LATE_AFTER ||
		report->until < health->now - JOBQ_HEALTH_LATE_AFTER ||
		!is_in_the_way(report))
		return;
	if (report->pid == JOBQ_TASK_FAILS)
		message = "the task is failing and is retried";
	else
		message = psprintf("%s because %s is in the way",
						   describe_skipped(health, report),
						   describe_session(health, report->pid, &hint));
	jobq_health_add(health,
					.severity = JOBQ_WARNING,
					.topic = TOPIC,
					.object = name,
					.message = message,
					.hint = hint,
					.since = report->since);
}

/* Reports what the coordinator is doing if that takes long. */
static void
report_long_task(JobqHealth *health, int pid)
{
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(pid),
	TimestampTzGetDatum(GetCurrentTimestamp() - JOBQ_HEALTH_LATE_AFTER)};
	HeapTuple	tuple;
	TupleDesc	desc;
	const char *name;
	const char *waits_for;
	const char *hint = NULL;
	char	   *message;
	TimestampTz since;
	Datum		blocker;
	bool		isnull;

	if (jobq_statement_query(task_query, lengthof(values), types, values) != 1)
		return;
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	name = SPI_getvalue(tuple, desc, 1);
	since = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2, &isnull));
	waits_for = SPI_getvalue(tuple, desc, 3);
	message = psprintf("the coordinator is busy with this task and does nothing else%s%s",
					   waits_for[0] != '\0' ? "; it waits for " : "",
					   waits_for);
	blocker = SPI_getbinval(tuple, desc, 4, &isnull);
	if (!isnull)
		message = psprintf("%s, held by %s", message,
						   describe_session(health, DatumGetInt32(blocker),
											&hint));
	jobq_health_add(health,
					.severity = JOBQ_CRITICAL,
					.topic = TOPIC,
					.object = name,
					.message = message,
					.hint = hint,
					.since = since);
}

/*
 * Reports an executor that must record a job which another transaction has
 * locked.
 */
static void
report_waiting_executor(JobqHealth *health, const JobqWorker *slot,
						const JobqQueue *queue)
{
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(slot->pid),
	TimestampTzGetDatum(GetCurrentTimestamp() - JOBQ_HEALTH_LATE_AFTER)};
	TimestampTz since;
	const char *message;
	const char *hint;
	int			blocker;
	bool		isnull;

	if (jobq_statement_query(wait_query, lengthof(values), types, values) != 1)
		return;
	since = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
	blocker = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 2, &isnull));
	message = psprintf("process %d, which has run a job, waits for a lock held by %s",
					   (int) slot->pid,
					   describe_session(health, isnull ? 0 : blocker, &hint));
	jobq_health_add(health,
					.severity = JOBQ_WARNING,
					.topic = "stuck",
					.object = queue->name,
					.message = message,
					.hint = hint,
					.since = since);
}

/* Whether executors wait for others, of queues that the reader may see. */
void
jobq_health_check_executors(JobqHealth *health)
{
	JobqWorker *slots = palloc(JOBQ_MAX_WORKER_SLOTS * sizeof(JobqWorker));
	int			nslots = 0;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->state == JOBQ_WORKER_BUSY &&
			slot->job_id == 0 && slot->queue != JOBQ_NO_QUEUE)
			slots[nslots++] = *slot;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));

	SPI_connect();
	for (int i = 0; i < nslots; i++)
	{
		const JobqQueue *queue = jobq_queue_by_id(slots[i].queue);

		if (queue != NULL &&
			jobq_queue_allows(queue, health->reader,
							  JOBQ_PRIV_READ | JOBQ_PRIV_CONSUME |
							  JOBQ_PRIV_MANAGE))
			report_waiting_executor(health, &slots[i], queue);
	}
	SPI_finish();
	pfree(slots);
}

/*
 * Reports a role that has more schedules due than the coordinator can fire, to
 * readers who may see its sessions with its name.
 */
static void
report_behind(JobqHealth *health, Oid role, TimestampTz since)
{
	char	   *name = NULL;

	if (!OidIsValid(role) || since > health->now - JOBQ_HEALTH_LATE_AFTER)
		return;
	if (health->sees_sessions || has_privs_of_role(health->reader, role))
		name = GetUserNameFromId(role, true);
	jobq_health_add(health,
					.severity = JOBQ_WARNING,
					.topic = TOPIC,
					.object = jobq_late_task_name(JOBQ_TASK_SCHEDULES),
					.message = psprintf("%s has more schedules due than can be fired in time",
										name == NULL ? "a role" :
										psprintf("role \"%s\"", name)),
					.hint = "Let these schedules run less often, or give their jobs shorter payloads. Those of other roles have their turns in between.",
					.since = since);
}

/* Whether a task of the coordinator is late. */
void
jobq_health_check_late(JobqHealth *health)
{
	JobqDatabase *database = jobq_database();
	JobqTaskReport reports[JOBQ_NUM_TASKS];
	Oid			behind_role;
	TimestampTz behind_since;
	int			pid;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	memcpy(reports, database->tasks, sizeof(reports));
	behind_role = database->behind_role;
	behind_since = database->behind_since;
	pid = database->coordinator_pid;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	if (pid == 0)
		return;

	SPI_connect();
	for (int i = 0; i < JOBQ_NUM_TASKS; i++)
		report_task(health, jobq_late_task_name((JobqTask) i), &reports[i]);
	report_behind(health, behind_role, behind_since);
	report_long_task(health, pid);
	SPI_finish();
}

/* Whether a session's transaction has been open for some time. */
static bool
is_long(int pid)
{
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(pid),
	TimestampTzGetDatum(GetCurrentTimestamp() - JOBQ_HEALTH_LATE_AFTER)};

	return pid == JOBQ_HOLDER_PREPARED ||
		jobq_statement_query(age_query, lengthof(values), types, values) > 0;
}

/*
 * Reports a ready job that a long transaction has locked and keeps from
 * executors.
 */
void
jobq_health_report_held_job(JobqHealth *health, const JobqQueue *queue,
							const JobqHeldJob *job)
{
	const char *hint;

	if (health->held_jobs >= JOBQ_HEALTH_MAX_OBJECTS)
		return;
	SPI_connect();
	if (is_long(job->pid))
	{
		char	   *message =
		psprintf("job " INT64_FORMAT " is ready but locked by %s",
				 job->job_id, describe_session(health, job->pid, &hint));

		health->held_jobs++;
		jobq_health_add(health,
						.severity = JOBQ_WARNING,
						.topic = TOPIC,
						.object = queue->name,
						.message = message,
						.hint = hint,
						.since = job->run_at);
	}
	SPI_finish();
}
