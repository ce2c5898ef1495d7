/*-------------------------------------------------------------------------
 *
 * session.c
 *	  The session in which an executor runs jobs.
 *
 * Session user and current user are the role that owns the jobs.  A job can change
 * them only while it runs, and the next job starts in a clean session.  Everything
 * that DISCARD ALL discards is discarded, except plans.  So are claims bound to the
 * session, the seed of random(), signal handlers, temporary replication slots, and
 * the replication origin.  State that languages and libraries keep themselves stays.
 *
 * IDENTIFICATION
 *	  bgworker/executor/session.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/session.h"

#include "base/seed.h"
#include "base/setting.h"
#include "base/signals.h"
#include "bgworker/executor/replication.h"
#include "bgworker/worker.h"
#include "compat.h"
#include "shared/lease_registry.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/async.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timeout.h"

static Oid	session_role = InvalidOid;

/* How signals are handled, and whether one may have been lost. */
static JobqSignals session_signals;
static bool termination_lost = false;

/*
 * The libraries of this size in all, by their names, run no code that could
 * change that.
 */
static Size harmless_libraries = 0;

/* See jobq_session_watch_claims(). */
static uint64 claims_before = 0;
static int64 own_lease = 0;

/* Whether session and current user are the role itself. */
static bool
is_role_itself(void)
{
	Oid			userid;
	int			sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	return userid == session_role && sec_context == 0 &&
		GetSessionUserId() == session_role;
}

/*
 * Whether the libraries that the process has loaded are these two only.  A list
 * of names, each with a zero byte, and an empty one.
 */
static bool
libraries_are_harmless(Size size)
{
	char	   *names = palloc0(size);
	bool		result = true;

	SerializeLibraryState(size, names);
	for (const char *name = names; name[0] != '\0'; name += strlen(name) + 1)
	{
		const char *file = last_dir_separator(name);
		int			length;

		file = file != NULL ? file + 1 : name;
		length = strcspn(file, ".");
		if ((length != 4 || strncmp(file, "jobq", 4) != 0) &&
			(length != 7 || strncmp(file, "plpgsql", 7) != 0))
			result = false;
	}
	pfree(names);
	return result;
}

/*
 * A job's code has run.  Restores how signals are handled if a language or library
 * other than PL/pgSQL is loaded that could have changed it: ten system calls of 50 ns
 * or so.  Otherwise it costs a walk along the list of libraries.
 */
void
jobq_session_restore_signals(void)
{
	Size		size = EstimateLibraryStateSpace();

	if (size == harmless_libraries)
		return;
	if (libraries_are_harmless(size))
		harmless_libraries = size;
	else if (jobq_signals_restore(&session_signals))
		termination_lost = true;
}

/*
 * Whether the process must run no other job: one has redirected SIGTERM, so the
 * process may have been told to end without noticing, or has left the session in
 * backup mode.
 */
bool
jobq_session_must_end(void)
{
	return termination_lost || jobq_replication_is_backup();
}

/* Called after connecting as the role. */
void
jobq_session_set_up(Oid role)
{
	session_role = role;
	jobq_signals_save(&session_signals);

	/* ignore ALTER ROLE ...  SET role = ... */
	SetConfigOption("role", "none", PGC_SUSET, PGC_S_OVERRIDE);

	/* transactions are jobq's, with several jobs; those have timeouts */
	jobq_worker_pin_exits();
	if (!is_role_itself())
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("jobq could not become role with OID %u", role)));
	jobq_session_forbid_cancel();
}

/* Costs something only where transactions are read only. */
bool
jobq_session_is_frozen(void)
{
	if (!DefaultXactReadOnly)
		return false;
	return jobq_setting_find("default_transaction_read_only",
							 PGC_BOOL)->source <= PGC_S_DATABASE;
}

/*
 * Undoes what a job has done to the session, but for temporary objects.  Portals
 * are dropped before the commit, which would otherwise run the query of a cursor
 * WITH HOLD.  Exits if the session does not belong to the role afterwards.
 */
void
jobq_session_reset(void)
{
	SetPGVariable("session_authorization", NIL, false);
	SetPGVariable("role", NIL, false);
	ResetAllOptions();
	jobq_session_tidy(false);
}

/*
 * The same after a job whose settings have been undone already, as they are
 * at the end of jobq_session_end_settings().  `objects`: it may have created
 * some.
 */
void
jobq_session_tidy(bool objects)
{
	PortalHashTableDeleteAll();
	DropAllPreparedStatements();
	Async_UnlistenAll();
	if (objects)
		ResetTempTableNamespace();
	ResetSequenceCaches();
	if (jobq_seed_was_set())
		(void) DirectFunctionCall1(setseed,
								   Float8GetDatum(pg_prng_double(&pg_global_prng_state)));
	jobq_replication_reset();
	if (!is_role_itself())
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a job has changed the role of its session")));
}

/*
 * Settings changed between these two by SET or SET LOCAL, including role and
 * session user, are restored.  Costs nothing if none was changed.  The same
 * happens if the subtransaction rolls back.
 */
int
jobq_session_begin_settings(void)
{
	return NewGUCNestLevel();
}

void
jobq_session_end_settings(int level)
{
	AtEOXact_GUC(false, level);
}

void
jobq_session_watch_claims(int64 lease)
{
	own_lease = lease;
	claims_before = jobq_leases_bound();
}

bool
jobq_session_has_claims(void)
{
	return jobq_leases_bound() != claims_before;
}

/*
 * Advisory locks: those of the transaction are held until it ends.  Claims:
 * the commit has bound them to the session.
 */
void
jobq_session_release(void)
{
	LockReleaseAll(USER_LOCKMETHOD, true);
	if (!jobq_session_has_claims())
		return;
	jobq_leases_of_process_end(JOBQ_MY_PROC_NUMBER, own_lease);
	claims_before = jobq_leases_bound();
}

/*
 * Both may be called when an error has set the counter to 0.
 */
void
jobq_session_allow_cancel(void)
{
	QueryCancelHoldoffCount = 0;
}

void
jobq_session_forbid_cancel(void)
{
	QueryCancelHoldoffCount = 1;
}

void
jobq_session_log_error(void)
{
	jobq_session_forbid_cancel();
	MemoryContextSwitchTo(TopMemoryContext);
	EmitErrorReport();
	FlushErrorState();
	AbortOutOfAnyTransaction();
}

/*
 * Discards a cancel that came too late.  The caller has ensured, under
 * JOBQ_LOCK_WORKERS, that no more are sent; a signal already sent is delivered
 * at the latest when a system call returns.
 */
void
jobq_session_drop_cancel(bool was_sent)
{
	if (was_sent)
		(void) getppid();
	QueryCancelPending = false;
}

/*
 * The role's lock_timeout may have run out while jobq itself waited for a
 * lock.  Do not give up for that, or fail the next job.
 */
void
jobq_session_drop_lock_timeout(void)
{
	if (get_timeout_indicator(LOCK_TIMEOUT, true))
		QueryCancelPending = false;
}
