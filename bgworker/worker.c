/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  Functions used by all of jobq's background workers.
 *
 * IDENTIFICATION
 *	  bgworker/worker.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/worker.h"

#include "base/extension.h"
#include "compat.h"
#include "shared/clock.h"
#include "shared/shmem.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_WAIT_MS (INT64CONST(24) * 60 * 60 * 1000)
#define MAX_BACKOFF_SECONDS 60

/* The same while all worker slots are in use: nobody tells when one becomes free. */
#define MAX_SLOTS_BACKOFF_SECONDS 4

/*
 * Settings of the server, the database or the role do not make an error, or just time, the
 * end of the process.  Called after connecting.
 */
void
jobq_worker_pin_exits(void)
{
	SetConfigOption("exit_on_error", "false", PGC_USERSET, PGC_S_OVERRIDE);
	jobq_pin_transaction_timeout();
}

/*
 * SIGTERM ends the process at the next CHECK_FOR_INTERRUPTS(), with exit code
 * 1, so that the postmaster starts the launcher again.
 */
void
jobq_worker_set_up_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

/* Fills in the fields common to all registered workers. */
void
jobq_worker_describe(BackgroundWorker *worker, const char *name,
					 const char *type, const char *function)
{
	memset(worker, 0, sizeof(*worker));
	strlcpy(worker->bgw_name, name, BGW_MAXLEN);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	strlcpy(worker->bgw_library_name, "jobq", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION | JOBQ_BGWORKER_INTERRUPTIBLE;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
}

/*
 * Starts a worker.  *handle is allocated in TopMemoryContext; it is NULL if all
 * worker slots are in use.
 */
bool
jobq_worker_start(BackgroundWorker *worker, BackgroundWorkerHandle **handle)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	bool		registered = RegisterDynamicBackgroundWorker(worker, handle);

	MemoryContextSwitchTo(oldcontext);
	if (!registered)
		*handle = NULL;
	return registered;
}

/* All worker slots are in use: logs that, with a hint, and backs off. */
void
jobq_worker_note_no_slots(JobqWorkerSlots *slots, const char *hint)
{
	static TimestampTz logged_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (TimestampDifferenceExceeds(logged_at, now, JOBQ_COMPLAINT_MS))
	{
		logged_at = now;
		ereport(LOG,
				(errmsg("jobq found no free background worker slot"),
				 errhint("%s", hint)));
	}
	slots->backoff = Min(slots->backoff, MAX_SLOTS_BACKOFF_SECONDS / 2);
	slots->retry_at = jobq_worker_back_off(&slots->backoff);
}

/* Reloads the configuration if requested; returns whether it did. */
bool
jobq_worker_reload_settings(void)
{
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

/*
 * Sleeps until the given time by jobq's clock, or until the latch is set, and
 * resets the latch.  The caller must look for work afterwards.  Waiting for a lock,
 * or for another process's I/O, resets the latch as well, so a caller that has done so
 * since it last looked must look again before it sleeps.
 */
void
jobq_worker_wait(TimestampTz until, uint32 wait_event)
{
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
	int64		timeout = -1;

	if (until != JOBQ_NEVER)
	{
		TimestampTz now = jobq_now();

		/* rounded up, so as not to wake up before it is time */
		timeout = until <= now ? 0 :
			Min((until - now + 999) / 1000, MAX_WAIT_MS);
		events |= WL_TIMEOUT;
	}
	CHECK_FOR_INTERRUPTS();
	(void) WaitLatch(MyLatch, events, (long) timeout, wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Starts a transaction. */
void
jobq_worker_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

/*
 * Whether the extension exists and has the library's version.  Locks it
 * against being dropped until the end of the transaction, unless another
 * session holds its lock or waits for it.  Any user can do that with ALTER
 * FUNCTION ...  DEPENDS ON EXTENSION, so this never waits.  DROP EXTENSION has
 * already terminated the workers (hooks.c).
 */
JobqInstallation
jobq_worker_lock_extension(void)
{
	static Oid	known = InvalidOid; /* what it was last time */
	Oid			extension;
	bool		version_matches;

	for (;;)
	{
		bool		locked = OidIsValid(known) &&
		ConditionalLockDatabaseObject(ExtensionRelationId, known, 0,
									  AccessShareLock);

		/* it may have been replaced or dropped before it was locked */
		extension = jobq_extension_read(&version_matches);
		if (extension == known)
			break;
		if (locked)
			UnlockDatabaseObject(ExtensionRelationId, known, 0,
								 AccessShareLock);
		known = extension;
	}
	if (!OidIsValid(extension))
		return JOBQ_NOT_INSTALLED;
	return version_matches ? JOBQ_INSTALLED : JOBQ_OTHER_VERSION;
}

/* When to retry after a failure: after 1 second, 2, 4, ... 60. */
TimestampTz
jobq_worker_back_off(int *delay_seconds)
{
	*delay_seconds = *delay_seconds <= 0 ? 1 :
		Min(*delay_seconds * 2, MAX_BACKOFF_SECONDS);
	return jobq_now() + *delay_seconds * USECS_PER_SEC;
}

/*
 * Whether such a time is still in the future.  A time further away than
 * possible was computed before the clock was set back.
 */
bool
jobq_worker_backs_off(TimestampTz until)
{
	TimestampTz now = jobq_now();

	return until > now && until <= now + MAX_BACKOFF_SECONDS * USECS_PER_SEC;
}
