/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  Utility commands that jobq must handle.
 *
 * DROP DATABASE, ALTER DATABASE RENAME and SET TABLESPACE, and CREATE DATABASE
 * with the database as its template require that nobody is connected.  The
 * workers are not user sessions, so they step aside: while there is a hold on
 * a database, no process of jobq is started there, and running ones are
 * terminated with their jobs, which become ready again.  DROP EXTENSION does
 * the same to its own database, and ALTER EXTENSION waits for running jobs to
 * end, for up to HOLD_TIMEOUT.  TRUNCATE of the table of jobs leaves leases, which the
 * coordinator is told of.
 *
 * A hold lasts for one command.  If the command fails, even with the session,
 * the workers return at once.
 *
 * IDENTIFICATION
 *	  src/service/hooks.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "service/hooks.h"

#include "base/extension.h"
#include "base/sandbox_rules.h"
#include "compat.h"
#include "job/current_job.h"
#include "jobq.h"
#include "service/prepared.h"
#include "shared/database.h"
#include "shared/note.h"
#include "shared/slot.h"
#include "shared/startup.h"
#include "shared/wake.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* How long to wait for the workers to leave, and how often to look. */
#define HOLD_TIMEOUT_MS 5000
#define HOLD_CHECK_INTERVAL_MS 10

/* What a command requires of the workers. */
typedef enum Disturbance
{
	DISTURBS_NOBODY,
	TERMINATES_WORKERS,			/* of .dboid */
	LETS_WORKERS_LEAVE			/* of .dboid */
} Disturbance;

typedef struct Effect
{
	Disturbance kind;
	Oid			dboid;
	bool		drops_database;
	bool		drops_extension;
} Effect;

static ProcessUtility_hook_type previous_process_utility = NULL;

static const char *
string_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *element = lfirst_node(DefElem, lc);

		if (strcmp(element->defname, name) == 0 && element->arg != NULL)
			return defGetString(element);
	}
	return NULL;
}

/*
 * Handles a command that needs exclusive use of a database.  If the user may
 * not run it, does nothing, since the command will fail.
 */
static void
wants_database(Effect *effect, const char *name, bool as_template)
{
	Oid			dboid = get_database_oid(name, true);
	HeapTuple	tuple;
	bool		allowed;

	if (!OidIsValid(dboid))
		return;
	allowed = jobq_owns_database(dboid, GetUserId());
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	if (!HeapTupleIsValid(tuple))
		return;
	if (as_template)
	{
		allowed = allowed ||
			((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		if (allowed && !superuser())
		{
			HeapTuple	role = SearchSysCache1(AUTHOID,
											   ObjectIdGetDatum(GetUserId()));

			allowed = HeapTupleIsValid(role) &&
				((Form_pg_authid) GETSTRUCT(role))->rolcreatedb;
			if (HeapTupleIsValid(role))
				ReleaseSysCache(role);
		}
	}
	ReleaseSysCache(tuple);
	if (allowed)
	{
		effect->kind = TERMINATES_WORKERS;
		effect->dboid = dboid;
	}
}

/* Whether a DROP might drop the extension. */
static bool
drops_extension(const DropStmt *statement)
{
	ListCell   *lc;

	if (statement->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, statement->objects)
	{
		if (strcmp(strVal(lfirst(lc)), JOBQ_EXTENSION) == 0)
			return true;
	}
	return false;
}

/* Whether jobq works in this database. */
static bool
works_here(void)
{
	JobqDatabase *database = jobq_database_find(MyDatabaseId);

	return database != NULL &&
		database->state != JOBQ_COORDINATOR_ABSENT;
}

/*
 * Whether everything that the extension's owner owns is about to be dropped.
 */
static bool
drops_owner(const DropOwnedStmt *statement)
{
	ListCell   *lc;

	if (!works_here() || !jobq_is_installed())
		return false;
	foreach(lc, statement->roles)
	{
		if (get_rolespec_oid(lfirst_node(RoleSpec, lc), true) ==
			jobq_extension_owner())
			return true;
	}
	return false;
}

/*
 * The database that a command needs for itself, NULL: none.  *as_template is
 * set if the command copies it.
 */
static const char *
database_needed(const Node *statement, bool *as_template)
{
	*as_template = IsA(statement, CreatedbStmt);
	if (IsA(statement, DropdbStmt))
		return ((const DropdbStmt *) statement)->dbname;
	if (IsA(statement, RenameStmt) &&
		((const RenameStmt *) statement)->renameType == OBJECT_DATABASE)
		return ((const RenameStmt *) statement)->subname;
	if (IsA(statement, AlterDatabaseStmt) &&
		string_option(((const AlterDatabaseStmt *) statement)->options,
					  "tablespace") != NULL)
		return ((const AlterDatabaseStmt *) statement)->dbname;
	if (IsA(statement, CreatedbStmt))
		return string_option(((const CreatedbStmt *) statement)->options,
							 "template");
	return NULL;
}

/* What a command does to the workers. */
static void
judge(const Node *statement, Effect *effect)
{
	bool		as_template;
	const char *database = database_needed(statement, &as_template);

	memset(effect, 0, sizeof(*effect));
	if (database != NULL)
	{
		wants_database(effect, database, as_template);
		effect->drops_database = IsA(statement, DropdbStmt) &&
			effect->kind != DISTURBS_NOBODY;
		return;
	}
	switch (nodeTag(statement))
	{
		case T_DropStmt:
			if (drops_extension((const DropStmt *) statement) &&
				works_here() && superuser())
			{
				effect->kind = TERMINATES_WORKERS;
				effect->dboid = MyDatabaseId;
				effect->drops_extension = true;
			}
			break;
		case T_DropOwnedStmt:
			if (drops_owner((const DropOwnedStmt *) statement) && superuser())
			{
				effect->kind = LETS_WORKERS_LEAVE;
				effect->dboid = MyDatabaseId;
			}
			break;
		case T_AlterExtensionStmt:
			if (strcmp(((const AlterExtensionStmt *) statement)->extname,
					   JOBQ_EXTENSION) == 0 && works_here() && superuser())
			{
				effect->kind = LETS_WORKERS_LEAVE;
				effect->dboid = MyDatabaseId;
			}
			break;
		default:
			break;
	}
}

/* A database with a hold. */
typedef struct Hold
{
	JobqDatabase *database;		/* NULL: none */
	uint64		tenancy;		/* of its entry */
} Hold;

/*
 * Ends a hold; also runs when the session dies.  A remaining coordinator has
 * started no executors meanwhile, and commits do not notify it twice, so it
 * must look again.  If the database has been dropped meanwhile, by this or
 * another command, its entry belongs to another one.
 */
static void
end_hold(int code, Datum arg)
{
	const Hold *hold = (const Hold *) DatumGetPointer(arg);

	if (jobq_database_release(hold->database, hold->tenancy))
		jobq_wake_coordinator(hold->database,
							  JOBQ_WAKE_WORK | JOBQ_WAKE_NO_ROOM);
	jobq_wake_launcher();
}

/*
 * Waits, with a timeout, until the coordinator (a PID, 0: none) and the
 * executors of the database have exited.
 */
static void
wait_until_gone(Oid dboid, pid_t coordinator)
{
	TimestampTz start = GetCurrentTimestamp();

	/* a job may give the command: it does not wait for itself */
	int			mine = dboid == MyDatabaseId &&
	jobq_current_job_row() != (Datum) 0 ? 1 : 0;

	while ((coordinator != 0 && BackendPidGetProc(coordinator) != NULL) ||
		   jobq_slots_of_database(dboid, false) > mine)
	{
		CHECK_FOR_INTERRUPTS();
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   HOLD_TIMEOUT_MS))
			return;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 HOLD_CHECK_INTERVAL_MS, JOBQ_WAIT_EVENT_WORKERS);
		ResetLatch(MyLatch);
	}
}

/*
 * Terminates the coordinator of a database, under the lock that it takes to
 * sign off, so that no other process gets the signal.  Returns its PID, or 0
 * if there is none.
 */
static pid_t
terminate_coordinator(Oid dboid)
{
	pid_t		pid = 0;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_DATABASES && pid == 0; i++)
	{
		if (jobq_shared->databases[i].dboid == dboid)
			pid = jobq_shared->databases[i].coordinator_pid;
	}
	if (pid != 0)
		(void) kill(pid, SIGTERM);
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return pid;
}

/* Makes the workers of a database leave. */
static void
clear_database(const Effect *effect)
{
	pid_t		coordinator = 0;

	if (effect->kind == TERMINATES_WORKERS)
	{
		coordinator = terminate_coordinator(effect->dboid);
		jobq_slots_terminate(effect->dboid);
	}
	else
		jobq_slots_leave(effect->dboid);
	wait_until_gone(effect->dboid, coordinator);
}

/* The table of jobs, if the database has jobq. */
static Oid
table_of_jobs(void)
{
	Oid			schema = get_namespace_oid(JOBQ_STORE_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid("job", schema) : InvalidOid;
}

/*
 * Whether a TRUNCATE that has been carried out has emptied the table of jobs.  The
 * leases of its jobs are listed, and they have tickets, until they are looked at;
 * procedures that were among them go on until they are interrupted.
 */
static bool
has_emptied_jobs(const TruncateStmt *command)
{
	ListCell   *lc;

	foreach(lc, command->relations)
	{
		const RangeVar *name = lfirst_node(RangeVar, lc);
		Oid			relid;

		if (strcmp(name->relname, "job") != 0)
			continue;
		relid = RangeVarGetRelid(name, NoLock, true);
		if (OidIsValid(relid) && relid == table_of_jobs())
			return true;
	}
	return false;
}

/*
 * DROP EXTENSION locks the relations in an order of its own.  Transactions
 * that work with jobs lock the table of jobs first, so waiting there for all
 * of them keeps DROP EXTENSION from deadlocks with them.
 */
static void
lock_jobs(void)
{
	Oid			relid = table_of_jobs();

	if (OidIsValid(relid))
		LockRelationOid(relid, AccessExclusiveLock);
}

/*
 * Whether the command has dropped that very database: when the workers had
 * exited, its name may have belonged to another one.
 */
static bool
is_dropped(Oid dboid)
{
	CommandCounterIncrement();
	return !SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(dboid));
}

static void
run_command(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest,
			QueryCompletion *qc)
{
	if (previous_process_utility)
		previous_process_utility(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

/*
 * Commit, of a note that a database was altered: it may have workers now, or no
 * more.  It makes no mark if the transaction is prepared: the database may be one
 * without the extension, where marks cannot be kept, and the launcher notices any
 * change soon by itself.
 */
static void
tell_launcher(const JobqNote *note, TimestampTz now)
{
	jobq_wake_launcher();
}

static const JobqNoteKind altered_kind = {
	.commit = {[JOBQ_NOTE_WAKES] = tell_launcher}
};

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest,
				QueryCompletion *qc)
{
	Effect		effect;
	Hold		hold = {NULL, 0};
	bool		truncates = IsA(pstmt->utilityStmt, TruncateStmt);

	jobq_sandbox_check(pstmt->utilityStmt);
	judge(pstmt->utilityStmt, &effect);
	if (effect.kind != DISTURBS_NOBODY)
		hold.database = jobq_database_hold(effect.dboid, &hold.tenancy);
	if (hold.database != NULL)
	{
		PG_ENSURE_ERROR_CLEANUP(end_hold, PointerGetDatum(&hold));
		{
			clear_database(&effect);
			if (effect.drops_extension)
				lock_jobs();
			run_command(pstmt, queryString, readOnlyTree, context, params,
						queryEnv, dest, qc);
		}
		PG_END_ENSURE_ERROR_CLEANUP(end_hold, PointerGetDatum(&hold));
		if (effect.drops_database && is_dropped(effect.dboid))
			jobq_startup_forget_database(effect.dboid);
		end_hold(0, PointerGetDatum(&hold));
		return;
	}

	if (IsA(pstmt->utilityStmt, TransactionStmt))
		jobq_prepared_follow((const TransactionStmt *) pstmt->utilityStmt);
	if (IsA(pstmt->utilityStmt, AlterDatabaseStmt))
		(void) jobq_note_add(&altered_kind);
	run_command(pstmt, queryString, readOnlyTree, context, params, queryEnv,
				dest, qc);
	/* other commands, such as ROLLBACK, may have freed pstmt */
	if (truncates && has_emptied_jobs((const TruncateStmt *) pstmt->utilityStmt))
		jobq_at_commit_wake(JOBQ_WAKE_EMPTIED | JOBQ_WAKE_TAKEN_AWAY);
}

/* Called by _PG_init. */
void
jobq_hooks_init(void)
{
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
