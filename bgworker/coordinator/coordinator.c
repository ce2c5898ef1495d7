/*-------------------------------------------------------------------------
 *
 * coordinator.c
 *	  The coordinator: one process per database that handles timers, leases,
 *	  schedules, history, NOTIFY and executors, and never runs users' code.
 *
 * Commits notify it through shared memory (wake.c); it sleeps until that
 * happens or the next task is due.  Each piece of work is a task (tasks.c),
 * run by task_loop.c.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/coordinator.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/coordinator.h"

#include "base/extension.h"
#include "bgworker/bgworker.h"
#include "bgworker/coordinator/activation.h"
#include "bgworker/coordinator/rest.h"
#include "bgworker/coordinator/task_loop.h"
#include "bgworker/worker.h"
#include "compat.h"
#include "guc.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/promise.h"
#include "shared/slot.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/*
 * Tasks do not wait for locks that a user's transaction can hold: they skip
 * what is locked and come back later.  If a task does meet such a lock, it
 * gives up after this time and is retried.  This is shorter than the deadlock
 * check, so that this process always gives way.
 */
#define LOCK_TIMEOUT "500ms"

/*
 * The longest sleep.  If the clock is set or the machine is suspended, due
 * tasks may be late by up to this time.  Waking up runs no query.
 */
#define MAX_SLEEP USECS_PER_MINUTE

static MemoryContext loop_context = NULL;
static bool extension_gone = false;

/* Why this process was woken before it could run tasks (JOBQ_WAKE_). */
static uint32 early_reasons = 0;

/*
 * Enters this process in databases[].  Returns false if there is another
 * coordinator, or if no worker may be in this database now.
 */
static bool
sign_on(Oid dboid)
{
	JobqDatabase *database = jobq_database_allocate(dboid);
	bool		result = false;

	if (database == NULL)
		return false;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	if (database->coordinator_pid == 0 && database->holds == 0)
	{
		database->state = JOBQ_COORDINATOR_STARTING;
		database->coordinator_pid = MyProcPid;
		database->coordinator_proc = JOBQ_MY_PROC_NUMBER;
		database->wanted = false;
		result = true;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/*
 * Exit callback.  The launcher starts another coordinator unless none is needed,
 * and even then if this one was woken, since the extension, or the first queue,
 * may just have been created.
 */
static void
sign_off(int code, Datum arg)
{
	JobqDatabase *database = jobq_database_find(DatumGetObjectId(arg));
	bool		needless = extension_gone || jobq_rest_has_begun();

	if (database == NULL || database->coordinator_pid != MyProcPid)
		return;
	(void) jobq_slots_reap(database->dboid, JOBQ_NEVER, true);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	if (database->starving)
		jobq_shared->starving--;
	database->starving = false;
	database->no_process = false;
	database->capped_role = InvalidOid;
	database->coordinator_pid = 0;
	database->coordinator_proc = JOBQ_NO_PROCESS;
	database->state = extension_gone ? JOBQ_COORDINATOR_ABSENT :
		needless ? JOBQ_COORDINATOR_RESTING : JOBQ_COORDINATOR_NONE;
	database->wanted = !needless || pg_atomic_read_u32(&database->wake) != 0;
	/* the next one may be needed at any moment, and nothing has failed */
	if (code == 0 || needless)
		database->retry_at = DT_NOBEGIN;
	for (int i = 0; i < JOBQ_NUM_TASKS && needless; i++)
		database->tasks[i].since = JOBQ_NEVER;
	/* terminated before it could act on that: the next one does */
	if (!needless)
		pg_atomic_fetch_or_u32(&database->wake, early_reasons);
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	jobq_promises_end();
	jobq_wake_launcher();
}

/*
 * Overrides settings of the database or the bootstrap superuser, as autovacuum
 * does.
 */
static void
pin_settings(void)
{
	static const char *const pins[][2] = {
		{"role", "none"},
		{"search_path", "pg_catalog, pg_temp"},
		{"zero_damaged_pages", "false"},
		{"statement_timeout", "0"},
		{"lock_timeout", LOCK_TIMEOUT},
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"session_replication_role", "origin"},
		{"synchronous_commit", "on"},
		{"row_security", "off"},
	};

	for (int i = 0; i < lengthof(pins); i++)
		SetConfigOption(pins[i][0], pins[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	jobq_worker_pin_exits();
}

/* Exits, since there is nothing to do here (any more). */
static void
leave_database(JobqInstallation installation)
{
	if (installation == JOBQ_OTHER_VERSION)
		ereport(LOG,
				(errmsg("jobq is inactive in database \"%s\": the extension's version differs from the library's, %s",
						get_database_name(MyDatabaseId), JOBQ_VERSION),
				 errhint("%s", jobq_version_hint())));
	jobq_slots_leave(MyDatabaseId);
	extension_gone = true;
	proc_exit(0);
}

/* Starts a transaction, if the extension is there. */
static void
begin_transaction(void)
{
	JobqInstallation installation;

	jobq_worker_begin();
	installation = jobq_worker_lock_extension();
	if (installation != JOBQ_INSTALLED)
	{
		AbortCurrentTransaction();
		jobq_worker_begin();
		leave_database(installation);
	}
}

/* Continues only if the settings let jobq work. */
static void
check_settings(void)
{
	bool		served;

	if (!jobq_worker_reload_settings())
		return;
	jobq_worker_begin();
	served = jobq_serves_database(get_database_name(MyDatabaseId));
	CommitTransactionCommand();
	MemoryContextSwitchTo(loop_context);
	if (!served)
	{
		jobq_slots_leave(MyDatabaseId);
		proc_exit(0);
	}
	/* jobq.max_workers, or when to sweep, may have changed */
	pg_atomic_fetch_or_u32(&jobq_database()->wake, JOBQ_WAKE_SLOTS);
	(void) jobq_wake_lower_time(&jobq_database()->next_due, jobq_now());
}

/* Checks whether the extension exists; exits if it does not. */
static void
check_extension(void)
{
	JobqDatabase *database = jobq_database();

	early_reasons = pg_atomic_exchange_u32(&database->wake, 0);
	begin_transaction();
	CommitTransactionCommand();
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	database->state = JOBQ_COORDINATOR_RUNNING;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	jobq_wake_launcher();
}

/*
 * Whether there is something to do that the tasks may have missed: they may wait for
 * locks or I/O, which resets the latch.
 */
static bool
is_called(void)
{
	return ConfigReloadPending ||
		pg_atomic_read_u32(&jobq_database()->wake) != 0 ||
		jobq_activation_any_executor_stopped();
}

void
jobq_coordinator_main(Datum main_arg)
{
	Oid			dboid = DatumGetObjectId(main_arg);

	before_shmem_exit(sign_off, ObjectIdGetDatum(dboid));
	jobq_worker_set_up_signals();
	if (!sign_on(dboid))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	pin_settings();
	pgstat_report_appname("jobq coordinator");
	loop_context = AllocSetContextCreate(TopMemoryContext, "jobq coordinator",
										 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(loop_context);
	check_extension();
	jobq_task_loop_begin(loop_context, begin_transaction);

	for (;;)
	{
		TimestampTz until;
		TimestampTz promised_until;
		bool		broken;
		uint32		reasons;

		CHECK_FOR_INTERRUPTS();
		check_settings();
		reasons = pg_atomic_exchange_u32(&jobq_database()->wake, 0) |
			early_reasons;
		early_reasons = 0;
		if (reasons & JOBQ_WAKE_SLOTS)
			jobq_activation_note_free_slot();
		if (jobq_activation_check_executors())
			reasons |= JOBQ_WAKE_SLOTS;
		promised_until = jobq_promises_check(&broken);
		if (broken)
			reasons |= JOBQ_WAKE_LIMITS;
		until = Min(jobq_task_loop_run(reasons), promised_until);
		pgstat_report_stat(true);
		pgstat_report_activity(STATE_IDLE, NULL);
		if (!is_called())
			jobq_worker_wait(Min(until, jobq_now() + MAX_SLEEP),
							 JOBQ_WAIT_EVENT_COORDINATOR);
	}
}
