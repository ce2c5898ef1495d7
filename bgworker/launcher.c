/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The launcher: keeps a coordinator in each database that has jobq.
 *
 * It is not connected to a database.  When it starts, it starts a coordinator
 * in each database, a few at a time; a coordinator that does not find the
 * extension reports that and exits.  After that the launcher sleeps until a
 * commit requests a coordinator for its database, a coordinator has exited,
 * a database has been altered, or the configuration has changed.
 *
 * All its state is in shared memory, so that it survives a restart of the
 * launcher: coordinators enter and leave databases[] themselves.
 *
 * IDENTIFICATION
 *	  bgworker/launcher.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/bgworker.h"
#include "bgworker/worker.h"
#include "compat.h"
#include "guc.h"
#include "job/crash_directory.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/slot.h"
#include "shared/startup.h"
#include "shared/termination.h"

#include <signal.h>

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker_internals.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/syscache.h"

/* Delay before the launcher is started again, in seconds. */
#define RESTART_SECONDS 1

/* Maximum number of coordinators starting at the same time. */
#define MAX_STARTING 3

/* A coordinator that ran at least this long may be started again at once. */
#define GOOD_LIFE (10 * USECS_PER_SEC)

/* Time within which a registered coordinator must have started. */
#define START_TIMEOUT (30 * USECS_PER_SEC)

/*
 * How often to check whether pg_database has changed: a database may be opened
 * by an UPDATE.
 */
#define CHANGES_INTERVAL (30 * USECS_PER_SEC)

/*
 * How soon to look at pg_database again if a coordinator is wanted in a database that is
 * not known yet.  It may have been requested during the last look, which may reset the
 * latch.
 */
#define UNKNOWN_DELAY (1 * USECS_PER_SEC)

/*
 * What the launcher knows about databases[i].  The entry can pass to another
 * database at any moment, when this one is dropped: call is_mine() under the
 * lock before changing the entry or signalling its coordinator.
 */
typedef struct Known
{
	Oid			dboid;			/* InvalidOid: nothing */
	bool		served;			/* may have a coordinator */
	BackgroundWorkerHandle *handle; /* of the one being started, or NULL */
	TimestampTz started_at;		/* the last one */
	int			backoff;		/* seconds */
} Known;

static Known known[JOBQ_MAX_DATABASES];
static JobqWorkerSlots slots = {0, DT_NOBEGIN};

/*
 * Registers the launcher; called by _PG_init.  If workers registered earlier
 * have used up max_worker_processes, the postmaster only logs that; it can be
 * detected because the list of workers has no new head.
 */
void
jobq_launcher_register(void)
{
	const void *head = BackgroundWorkerList.head.next;
	BackgroundWorker worker;

	jobq_worker_describe(&worker, "jobq launcher", "jobq launcher",
						 "jobq_launcher_main");
	worker.bgw_restart_time = RESTART_SECONDS;
	RegisterBackgroundWorker(&worker);
	jobq_launcher_is_registered = BackgroundWorkerList.head.next != head;
}

static void
lock_databases(LWLockMode mode)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), mode);
}

static void
unlock_databases(void)
{
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}

/* Whether databases[i] still belongs to the database of known[i]. */
static bool
is_mine(int i)
{
	return OidIsValid(known[i].dboid) &&
		jobq_shared->databases[i].dboid == known[i].dboid;
}

static void
sign_off(int code, Datum arg)
{
	lock_databases(LW_EXCLUSIVE);
	if (jobq_shared->launcher_proc == JOBQ_MY_PROC_NUMBER)
		jobq_shared->launcher_proc = JOBQ_NO_PROCESS;
	unlock_databases();
}

/* A database that exists; it is served if the settings say so. */
static void
enter_database(Oid dboid, bool served)
{
	JobqDatabase *database = jobq_database_allocate(dboid);
	Known	   *entry;

	if (database == NULL)
		return;
	entry = &known[database - jobq_shared->databases];
	if (entry->dboid != dboid)
	{
		memset(entry, 0, sizeof(*entry));
		entry->dboid = dboid;
		entry->started_at = DT_NOBEGIN;
	}
	if (served && !entry->served)
	{
		/* new here, or allowed again: have a look */
		lock_databases(LW_EXCLUSIVE);
		if (database->dboid == dboid && database->coordinator_pid == 0)
			database->wanted = true;
		unlock_databases();
	}
	entry->served = served;
}

/*
 * Forgets the databases in `before` that are not in `existing`.  The former
 * had an entry before the latter were read, so a database created meanwhile is
 * not affected.
 */
static void
forget_dropped(const List *before, const List *existing)
{
	ListCell   *lc;

	foreach(lc, before)
	{
		if (!list_member_oid(existing, lfirst_oid(lc)))
			jobq_startup_forget_database(lfirst_oid(lc));
	}
	lock_databases(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		if (!is_mine(i))
			known[i].dboid = InvalidOid;
	}
	unlock_databases();
}

/* Reads the list of databases. */
static void
look_at_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *before;
	List	   *existing = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	jobq_worker_begin();
	before = jobq_databases_known();
	pgstat_report_activity(STATE_RUNNING, "looking for databases");
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		existing = lappend_oid(existing, form->oid);
		enter_database(form->oid,
					   form->datallowconn && !form->datistemplate &&
					   form->datconnlimit != JOBQ_DATCONNLIMIT_INVALID &&
					   jobq_serves_database(NameStr(form->datname)));
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	forget_dropped(before, existing);
	jobq_crash_directory_prune(existing);
	jobq_terminations_prune(existing);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* A database has been changed, perhaps in a way that no command told of. */
static bool databases_changed = false;

static void
note_change(Datum arg, int cacheid, uint32 hashvalue)
{
	databases_changed = true;
}

/*
 * Whether pg_database has been changed since the last time.  A transaction takes
 * note of that when it begins, without reading anything.
 */
static bool
any_changed(void)
{
	bool		result;

	jobq_worker_begin();
	CommitTransactionCommand();
	result = databases_changed;
	databases_changed = false;
	return result;
}

/* Whether a coordinator is wanted in a database. */
static bool
any_wanted(void)
{
	bool		result = false;

	lock_databases(LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_DATABASES && !result; i++)
		result = OidIsValid(jobq_shared->databases[i].dboid) &&
			jobq_shared->databases[i].wanted;
	unlock_databases();
	return result;
}

/* Records in shared memory whether worker slots are used up. */
static void
set_no_slots(bool no_slots)
{
	lock_databases(LW_EXCLUSIVE);
	jobq_shared->no_slots = no_slots;
	unlock_databases();
}

/*
 * Frees the entry of a coordinator that never started, so that another one can be
 * started: at once if this one has not failed.
 */
static void
give_up_start(int i, bool failed)
{
	JobqDatabase *database = &jobq_shared->databases[i];

	lock_databases(LW_EXCLUSIVE);
	if (is_mine(i) && database->state == JOBQ_COORDINATOR_STARTING &&
		database->coordinator_pid == 0)
	{
		database->state = JOBQ_COORDINATOR_NONE;
		database->wanted = true;
		if (!failed)
			database->retry_at = DT_NOBEGIN;
	}
	unlock_databases();
}

/* Starts the coordinator of databases[i]. */
static void
start_coordinator(int i)
{
	JobqDatabase *database = &jobq_shared->databases[i];
	BackgroundWorker worker;
	TimestampTz now = jobq_now();

	jobq_worker_describe(&worker, "jobq coordinator", "jobq coordinator",
						 "jobq_coordinator_main");
	worker.bgw_main_arg = ObjectIdGetDatum(known[i].dboid);
	worker.bgw_notify_pid = MyProcPid;

	lock_databases(LW_EXCLUSIVE);
	if (!is_mine(i))
	{
		unlock_databases();
		return;
	}
	database->state = JOBQ_COORDINATOR_STARTING;
	database->wanted = false;
	if (database->retry_at != DT_NOBEGIN &&
		known[i].started_at > now - GOOD_LIFE)
		database->retry_at = jobq_worker_back_off(&known[i].backoff);
	else
	{
		known[i].backoff = 0;
		database->retry_at = now + USECS_PER_SEC;
	}
	known[i].started_at = now;
	unlock_databases();
	if (!jobq_worker_start(&worker, &known[i].handle))
	{
		give_up_start(i, false);
		jobq_worker_note_no_slots(&slots, "Increase max_worker_processes.");
		set_no_slots(true);
		return;
	}
	if (slots.backoff > 0)
		set_no_slots(false);
	slots.backoff = 0;
	slots.retry_at = DT_NOBEGIN;
}

/* Checks the state of coordinators that were started. */
static void
check_started(int i, TimestampTz now)
{
	JobqDatabase *database = &jobq_shared->databases[i];
	pid_t		pid;

	if (known[i].handle != NULL)
	{
		if (GetBackgroundWorkerPid(known[i].handle, &pid) != BGWH_STOPPED)
			return;
		pfree(known[i].handle);
		known[i].handle = NULL;
		give_up_start(i, true);
	}
	else if (database->state == JOBQ_COORDINATOR_STARTING &&
			 known[i].started_at < now - START_TIMEOUT)
	{
		/* one that an earlier launcher has registered */
		if (known[i].started_at == DT_NOBEGIN)
			known[i].started_at = now;
		else
			give_up_start(i, true);
	}
}

/*
 * Terminates the coordinator of a database that is no longer served.  That is an
 * orderly exit, which does not delay the start of the next one.
 */
static void
end_coordinator(int i)
{
	JobqDatabase *database = &jobq_shared->databases[i];

	lock_databases(LW_EXCLUSIVE);
	if (is_mine(i) && database->coordinator_pid != 0)
	{
		(void) kill(database->coordinator_pid, SIGTERM);
		database->retry_at = DT_NOBEGIN;
	}
	unlock_databases();
	jobq_slots_leave(known[i].dboid);
}

/*
 * Starts the coordinators that are wanted and may be started.  Returns when to
 * look again.
 */
static TimestampTz
tend_coordinators(void)
{
	TimestampTz now = jobq_now();
	TimestampTz again = JOBQ_NEVER;
	int			starting = 0;

	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		if (!OidIsValid(known[i].dboid))
			continue;
		check_started(i, now);
		if (is_mine(i) &&
			jobq_shared->databases[i].state == JOBQ_COORDINATOR_STARTING)
		{
			starting++;
			again = Min(again, now + START_TIMEOUT);
		}
	}
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];
		TimestampTz retry_at;

		if (!is_mine(i))
		{
			if (OidIsValid(database->dboid) && database->wanted)
				again = Min(again, now + UNKNOWN_DELAY);
			continue;
		}
		if (!known[i].served)
		{
			if (database->coordinator_pid != 0)
				end_coordinator(i);
			continue;
		}
		if (!database->wanted || database->holds > 0 ||
			database->coordinator_pid != 0 ||
			database->state == JOBQ_COORDINATOR_STARTING)
			continue;
		retry_at = Max(database->retry_at, slots.retry_at);
		if (jobq_worker_backs_off(retry_at))
			again = Min(again, retry_at);
		else if (starting < MAX_STARTING)
		{
			start_coordinator(i);
			starting++;
			again = Min(again, slots.backoff > 0 ? slots.retry_at :
						now + START_TIMEOUT);
		}
		/* else: woken when one of those is up */
	}
	return again;
}

void
jobq_launcher_main(Datum main_arg)
{
	bool		look = true;

	before_shmem_exit(sign_off, (Datum) 0);
	jobq_worker_set_up_signals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	jobq_worker_pin_exits();
	pgstat_report_appname("jobq launcher");
	jobq_crash_directory_make();
	lock_databases(LW_EXCLUSIVE);
	jobq_shared->launcher_proc = JOBQ_MY_PROC_NUMBER;
	unlock_databases();
	CacheRegisterSyscacheCallback(DATABASEOID, note_change, (Datum) 0);

	for (;;)
	{
		TimestampTz again;

		if (jobq_worker_reload_settings() || any_changed())
			look = true;
		if (look || any_wanted())
			look_at_databases();
		look = false;
		again = Min(tend_coordinators(), jobq_now() + CHANGES_INTERVAL);
		jobq_worker_wait(again, JOBQ_WAIT_EVENT_LAUNCHER);
	}
}
