/*-------------------------------------------------------------------------
 *
 * health_schedule.c
 *	  Schedules that do not run, for the view jobq.health.
 *
 * A schedule is late if the time of its next run has passed and the run has
 * not been enqueued.  One that waits for the end of its previous run's job
 * does so on purpose, and is reported as such.
 *
 * IDENTIFICATION
 *	  src/health/health_schedule.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_schedule.h"

#include "base/home.h"
#include "base/statement.h"
#include "queue/queue_list.h"
#include "schedule/schedule_history.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* Columns of the query. */
enum
{
	COL_NAME = 1,
	COL_OWNER,
	COL_AT_HOME,
	COL_NEXT_RUN,
	COL_DISABLED_REASON,
	COL_WAITS_FOR
};

/*
 * $1 is the identity of this database's cluster, $2 its OID, $3 the time
 * before which a next_run is late; $4 says that the reader may see all
 * schedules, $5 lists the roles whose schedules the reader may see.
 */
static const char query[] =
"SELECT s.name, s.owner::pg_catalog.oid,"
" s.system_identifier OPERATOR(pg_catalog.=) $1"
" AND s.database OPERATOR(pg_catalog.=) $2 AS at_home,"
" s.next_run, s.disabled_reason,"
" CASE WHEN s.overlap OPERATOR(pg_catalog.=) 'queue' THEN"
" (SELECT j.id FROM jobq_store.job AS j"
" WHERE j.id OPERATOR(pg_catalog.=) s.last_job) END AS waits_for"
" FROM jobq_store.schedule AS s"
" WHERE ($4 OR s.owner OPERATOR(pg_catalog.=) ANY ($5))"
" AND (s.disabled_reason IS NOT NULL"
" OR s.next_run OPERATOR(pg_catalog.<) $3"
" OR s.system_identifier OPERATOR(pg_catalog.<>) $1"
" OR s.database OPERATOR(pg_catalog.<>) $2"
" OR ($4 AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r"
" WHERE r.oid OPERATOR(pg_catalog.=) s.owner)))"
" ORDER BY s.name";

/* How many there are of each kind. */
typedef struct Counts
{
	int			ownerless;
	int			disabled;
	int			late;
	int			waiting;
} Counts;

static Datum
column(uint64 row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 number, isnull);
}

/* Reports a schedule without an owner, even one that came with a copy. */
static void
report_no_owner(JobqHealth *health, const char *name, Counts *counts)
{
	if (counts->ownerless++ < JOBQ_HEALTH_MAX_OBJECTS)
		jobq_health_add(health,
						.severity = JOBQ_WARNING,
						.topic = "schedule owner",
						.object = name,
						.message = "the schedule has no owner, and cannot run: that role was dropped, or was missing when a dump was restored",
						.hint = "Remove it with jobq.unschedule(), or replace it with one of your own using jobq.schedule().");
}

/* Looks at one row of the query's result. */
static void
check_schedule(JobqHealth *health, uint64 row, Oid owner, Counts *counts)
{
	char	   *name = SPI_getvalue(SPI_tuptable->vals[row],
									SPI_tuptable->tupdesc, COL_NAME);
	char	   *reason = SPI_getvalue(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc,
									  COL_DISABLED_REASON);
	bool		isnull;
	bool		at_home = DatumGetBool(column(row, COL_AT_HOME, &isnull));
	TimestampTz next_run;
	int64		waits_for;

	if (!at_home)
		health->foreign_schedules++;
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owner)))
	{
		report_no_owner(health, name, counts);
		return;
	}
	if (!at_home)
		return;
	if (reason != NULL)
	{
		if (counts->disabled++ < JOBQ_HEALTH_MAX_OBJECTS)
			jobq_health_add(health,
							.severity = JOBQ_WARNING,
							.topic = "schedule disabled",
							.object = name,
							.message = psprintf("the schedule cannot run and was disabled: %s",
												reason),
							.hint = "After fixing the cause, use jobq.enable_schedule().");
		return;
	}
	next_run = DatumGetTimestampTz(column(row, COL_NEXT_RUN, &isnull));
	waits_for = DatumGetInt64(column(row, COL_WAITS_FOR, &isnull));
	if (!isnull)
	{
		if (counts->waiting++ < JOBQ_HEALTH_MAX_OBJECTS)
			jobq_health_add(health,
							.severity = JOBQ_INFO,
							.topic = "schedule waits",
							.object = name,
							.message = psprintf("a run is waiting for the end of job " INT64_FORMAT,
												waits_for),
							.hint = "Give the job a timeout, or cancel it with jobq.cancel().",
							.since = next_run);
	}
	else if (counts->late++ < JOBQ_HEALTH_MAX_OBJECTS)
		jobq_health_add(health,
						.severity = JOBQ_WARNING,
						.topic = "schedule late",
						.object = name,
						.message = "a run is due and has not been enqueued",
						.hint = "Check the critical findings and the server log.",
						.since = next_run);
}

/* Adds one row for those that are not named. */
static void
report_rest(JobqHealth *health, JobqSeverity severity, const char *topic,
			int count)
{
	if (count > JOBQ_HEALTH_MAX_OBJECTS)
		jobq_health_add(health,
						.severity = severity,
						.topic = topic,
						.message = psprintf("there are %d more such schedules",
											count - JOBQ_HEALTH_MAX_OBJECTS),
						.hint = "See jobq.schedules.");
}

static Datum
roles_array(List *roles)
{
	Datum	   *elements = palloc(list_length(roles) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, roles)
		elements[foreach_current_index(lc)] =
		ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, list_length(roles),
										   OIDOID, sizeof(Oid), true,
										   TYPALIGN_INT));
}

void
jobq_health_check_schedules(JobqHealth *health)
{
	Oid			types[] = {INT8OID, OIDOID, TIMESTAMPTZOID, BOOLOID, OIDARRAYOID};
	Datum		values[5];
	Counts		counts = {0};
	uint64		nrows;

	values[0] = Int64GetDatum(jobq_home_identifier());
	values[1] = ObjectIdGetDatum(MyDatabaseId);
	values[2] = TimestampTzGetDatum(health->now - JOBQ_SCHEDULE_LATE_AFTER);
	values[3] = BoolGetDatum(health->reads_all);
	values[4] = roles_array(jobq_roles_of(health->reader));
	SPI_connect();
	nrows = jobq_statement_query(query, lengthof(values), types, values);
	for (uint64 i = 0; i < nrows; i++)
	{
		bool		isnull;
		Oid			owner = DatumGetObjectId(column(i, COL_OWNER, &isnull));

		if (health->reads_all ||
			has_privs_of_role(health->reader, owner))
			check_schedule(health, i, owner, &counts);
	}
	report_rest(health, JOBQ_WARNING, "schedule owner", counts.ownerless);
	report_rest(health, JOBQ_WARNING, "schedule disabled", counts.disabled);
	report_rest(health, JOBQ_WARNING, "schedule late", counts.late);
	report_rest(health, JOBQ_INFO, "schedule waits", counts.waiting);
	SPI_finish();
}
