/*-------------------------------------------------------------------------
 *
 * schedule_import.c
 *	  import_pg_cron(): creating schedules from the jobs of extension pg_cron.
 *
 * pg_cron's table is read but not changed.  It is read as the extension's
 * owner and thus with all privileges, so it must be the table that belongs to
 * that extension, not one that another user has created.
 *
 * Each job is imported in a subtransaction, as the role that pg_cron runs it
 * as, by the function behind schedule().  If that raises an error, the error
 * is the reason why the job was not imported.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_import.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/rights.h"
#include "base/subtransaction.h"
#include "common/cron.h"
#include "compat.h"
#include "schedule/schedule_form.h"
#include "schedule/schedule_row.h"
#include "shared/note.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "postmaster/postmaster.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(jobq_import_pg_cron);

extern PGDLLEXPORT Datum jobq_schedule(PG_FUNCTION_ARGS);

/* pg_cron's time zone if cron.timezone is not set, or does not exist. */
#define PG_CRON_TIMEZONE "GMT"

/* A row of cron.job.  Strings are NULL for NULL. */
typedef struct CronJob
{
	int64		id;
	char	   *name;			/* the schedule's: never NULL */
	char	   *schedule;
	char	   *command;
	char	   *host;
	int			port;
	char	   *database;
	char	   *username;
	bool		active;
} CronJob;

/* What has become of it. */
typedef struct Import
{
	const CronJob *job;
	const char *timezone;
	bool		both;			/* day and weekday must match, not either */
	bool		imported;
	char	   *reason;			/* may be NULL if imported */
} Import;

enum
{
	COL_JOBID,
	COL_NAME,
	COL_IMPORTED,
	COL_REASON,
	NCOLS
};

/* Columns of the query that reads cron.job. */
enum
{
	CRON_ID = 1,
	CRON_NAME,
	CRON_SCHEDULE,
	CRON_COMMAND,
	CRON_HOST,
	CRON_PORT,
	CRON_DATABASE,
	CRON_USERNAME,
	CRON_ACTIVE
};

/* Older versions lack jobname. */
static const char read_query[] =
"SELECT j.jobid, pg_catalog.to_jsonb(j.*) OPERATOR(pg_catalog.->>) 'jobname',"
" j.schedule, j.command, j.nodename, j.nodeport, j.database, j.username,"
" j.active"
" FROM cron.job AS j ORDER BY j.jobid";

/* Raises 55000 unless pg_cron's table is there. */
static void
require_pg_cron(void)
{
	Oid			extension = get_extension_oid("pg_cron", true);
	Oid			schema = get_namespace_oid("cron", true);
	Oid			relid = OidIsValid(schema) ?
	get_relname_relid("job", schema) : InvalidOid;

	if (!OidIsValid(extension) || !OidIsValid(relid) ||
		get_rel_relkind(relid) != RELKIND_RELATION ||
		getExtensionOfObject(RelationRelationId, relid) != extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is not installed in this database",
						"pg_cron"),
				 errhint("Its jobs are in the database named by cron.database_name.")));
}

static char *
string_column(HeapTuple tuple, TupleDesc desc, int column)
{
	return SPI_getvalue(tuple, desc, column);
}

static void
read_job(CronJob *job, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;

	job->id = DatumGetInt64(SPI_getbinval(tuple, desc, CRON_ID, &isnull));
	job->name = string_column(tuple, desc, CRON_NAME);
	if (job->name == NULL || job->name[0] == '\0')
		job->name = psprintf("pg_cron job " INT64_FORMAT, job->id);
	job->schedule = string_column(tuple, desc, CRON_SCHEDULE);
	job->command = string_column(tuple, desc, CRON_COMMAND);
	job->host = string_column(tuple, desc, CRON_HOST);
	job->port = DatumGetInt32(SPI_getbinval(tuple, desc, CRON_PORT, &isnull));
	job->database = string_column(tuple, desc, CRON_DATABASE);
	job->username = string_column(tuple, desc, CRON_USERNAME);
	job->active = DatumGetBool(SPI_getbinval(tuple, desc, CRON_ACTIVE,
											 &isnull));
}

/* Reads cron.job, into the current memory context. */
static List *
read_jobs(void)
{
	MemoryContext caller = CurrentMemoryContext;
	JobqElevation elevation;
	List	   *jobs = NIL;

	jobq_elevate(&elevation);
	SPI_connect();
	if (SPI_execute(read_query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\"", read_query);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CronJob    *job = palloc(sizeof(CronJob));

		read_job(job, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		jobs = lappend(jobs, job);
	}
	SPI_finish();
	jobq_restore(&elevation);
	return jobs;
}

/* Whether pg_cron runs the job on this server, as far as can be told. */
static bool
runs_here(const CronJob *job)
{
	return job->port == PostPortNumber &&
		(job->host == NULL || job->host[0] == '\0' || job->host[0] == '/' ||
		 pg_strcasecmp(job->host, "localhost") == 0 ||
		 strcmp(job->host, "127.0.0.1") == 0 ||
		 strcmp(job->host, "::1") == 0);
}

/*
 * Converts pg_cron's schedule to a cron expression.  Sets *cut if it has more
 * than pg_cron reads.  With `both`, day of month and day of week must match.
 */
static char *
convert_schedule(const char *text, bool both, bool *cut)
{
	size_t		size = strlen(text) + JOBQ_CRON_IMPORT_MORE;
	char	   *result = palloc(size);

	(void) jobq_cron_import(text, both, result, size, cut);
	return result;
}

/*
 * Whether there already is a schedule with the job's name.  If so, stores what
 * that means for the job.
 */
static bool
is_there(Import *import, Oid owner)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_SCHEDULE);
	JobqScheduleRow row;
	bool		found;

	found = jobq_schedule_find(table, jobq_table_slot(table),
							   import->job->name, &row);
	if (found &&
		DatumGetObjectId(row.values[Anum_schedule_owner - 1]) == owner &&
		!row.nulls[Anum_schedule_command - 1] &&
		strcmp(TextDatumGetCString(row.values[Anum_schedule_command - 1]),
			   import->job->command) == 0)
		import->reason = "a schedule with this name and command already exists";
	else if (found)
		import->reason = "another schedule with this name already exists";
	jobq_table_close(table);
	return found;
}

/* Calls schedule() as the given role. */
static void
call_schedule(const Import *import, const char *cron, Oid owner)
{
	static const NullableDatum null_argument = {.value = (Datum) 0,
	.isnull = true};
	const CronJob *job = import->job;

	LOCAL_FCINFO(arguments, JOBQ_SCHEDULE_NARGS);
	Oid			userid;
	int			sec_context;

	InitFunctionCallInfoData(*arguments, NULL, JOBQ_SCHEDULE_NARGS,
							 InvalidOid, NULL, NULL);
	for (int i = 0; i < JOBQ_SCHEDULE_NARGS; i++)
		arguments->args[i] = null_argument;
#define SET_ARGUMENT(number, datum) \
	(arguments->args[number] = (NullableDatum) {datum, false})
	SET_ARGUMENT(JOBQ_SCHEDULE_NAME, CStringGetTextDatum(job->name));
	SET_ARGUMENT(JOBQ_SCHEDULE_CRON, CStringGetTextDatum(cron));
	SET_ARGUMENT(JOBQ_SCHEDULE_COMMAND, CStringGetTextDatum(job->command));
	SET_ARGUMENT(JOBQ_SCHEDULE_TIMEZONE,
				 CStringGetTextDatum(import->timezone));
	SET_ARGUMENT(JOBQ_SCHEDULE_ENABLED, BoolGetDatum(job->active));
	/* as in pg_cron: one at a time, and once */
	SET_ARGUMENT(JOBQ_SCHEDULE_OVERLAP, CStringGetTextDatum("queue"));
	SET_ARGUMENT(JOBQ_SCHEDULE_MAX_ATTEMPTS, Int32GetDatum(1));
#undef SET_ARGUMENT

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(owner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	(void) jobq_schedule(arguments);
	SetUserIdAndSecContext(userid, sec_context);
}

/*
 * Whether the user may create schedules for the role; stores the reason if
 * not.  Only a superuser may for a superuser.
 */
static bool
may_import_for(Import *import, Oid owner)
{
	if (superuser() || !superuser_arg(owner))
		return true;
	import->reason = psprintf("it runs as superuser \"%s\"",
							  import->job->username);
	return false;
}

/* Raises 42501 unless the user may do everything. */
static void
require_administrator(void)
{
	jobq_require_administrator("import the jobs of pg_cron");
}

/* Imports a job.  For jobq_subtransaction(). */
static void
import_job(void *arg)
{
	Import	   *import = arg;
	const CronJob *job = import->job;
	Oid			owner;
	char	   *cron;
	bool		cut;

	if (strcmp(job->database, get_database_name(MyDatabaseId)) != 0)
	{
		import->reason = psprintf("it runs in database \"%s\"", job->database);
		return;
	}
	if (!runs_here(job))
	{
		import->reason = psprintf("it runs on another server, host \"%s\", port %d",
								  job->host != NULL ? job->host : "",
								  job->port);
		return;
	}
	owner = get_role_oid(job->username, false);
	if (!may_import_for(import, owner) || is_there(import, owner))
		return;
	if (list_length(raw_parser(job->command, RAW_PARSE_DEFAULT)) > 1)
	{
		import->reason = "the command has more than one statement; put them "
			"into a DO block or a procedure";
		return;
	}
	cron = convert_schedule(job->schedule, import->both, &cut);
	call_schedule(import, cron, owner);

	/* that may have waited for others */
	require_administrator();
	if (!may_import_for(import, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg_internal("%s", import->reason)));
	import->imported = true;
	if (cut)
		import->reason = psprintf("the text after \"%s\" was left out because pg_cron ignores it",
								  cron);
}

/* An error as one text. */
static char *
error_text(const ErrorData *error)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, error->message);
	if (error->detail != NULL)
		appendStringInfo(&text, "; %s", error->detail);
	if (error->hint != NULL)
		appendStringInfo(&text, "; %s", error->hint);
	return text.data;
}

static void
put_row(ReturnSetInfo *rsinfo, const Import *import)
{
	Datum		values[NCOLS] = {0};
	bool		nulls[NCOLS] = {0};

	values[COL_JOBID] = Int64GetDatum(import->job->id);
	values[COL_NAME] = CStringGetTextDatum(import->job->name);
	values[COL_IMPORTED] = BoolGetDatum(import->imported);
	nulls[COL_REASON] = import->reason == NULL;
	if (import->reason != NULL)
		values[COL_REASON] = CStringGetTextDatum(import->reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* import_pg_cron(): a row for each of pg_cron's jobs. */
Datum
jobq_import_pg_cron(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *timezone;
	const char *and_logic;
	bool		both = false;
	ListCell   *lc;

	jobq_begin_write("jobq.import_pg_cron()");
	require_administrator();
	require_pg_cron();
	InitMaterializedSRF(fcinfo, 0);
	timezone = GetConfigOption("cron.timezone", true, false);
	if (timezone == NULL || timezone[0] == '\0')
		timezone = PG_CRON_TIMEZONE;
	/* pg_cron 1.6.8 */
	and_logic = GetConfigOption("cron.dom_dow_and_logic", true, false);
	if (and_logic != NULL)
		(void) parse_bool(and_logic, &both);
	foreach(lc, read_jobs())
	{
		Import		import = {
			.job = lfirst(lc),.timezone = timezone,.both = both
		};
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		error = jobq_subtransaction(import_job, &import);
		if (error != NULL)
		{
			import.imported = false;
			import.reason = error_text(error);
		}
		put_row(rsinfo, &import);
	}
	PG_RETURN_VOID();
}
