/*-------------------------------------------------------------------------
 *
 * executor.c
 *	  An executor: runs the jobs of one role in one database.
 *
 * It is connected as that role, so that no job can change the role.  It runs
 * one job after another, sleeps when there is none, and exits when it has not
 * been woken for jobq.worker_idle_timeout or when others need its slot.
 * README.md describes the states.
 *
 * IDENTIFICATION
 *	  bgworker/executor/executor.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/bgworker.h"
#include "bgworker/executor/blame.h"
#include "bgworker/executor/crash_note.h"
#include "bgworker/executor/find.h"
#include "bgworker/executor/run.h"
#include "bgworker/executor/session.h"
#include "bgworker/executor/temporary.h"
#include "bgworker/worker.h"
#include "compat.h"
#include "guc.h"
#include "service/service.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lease_registry.h"
#include "shared/slot.h"
#include "shared/slot_own.h"
#include "shared/wake.h"

#include <signal.h>
#include <unistd.h>

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"

/*
 * Minimum time for which an executor keeps its slot while others wait for one.
 */
#define FAIR_SHARE_MS 100

/* A process is replaced after an hour, since caches only grow. */
#define MAX_LIFE_MS (60 * 60 * 1000)

/* Maximum time between two checks whether outcomes can be recorded again. */
#define MAX_HELD_SECONDS 8

static JobqWorkerRef worker_ref;
static bool attached = false;
static bool attempt_counts = false; /* in which this process is terminated */
static bool owes_look = false;	/* it was woken, and has not looked since */

/* The sender of SIGTERM. */
static volatile sig_atomic_t server_stops = false;	/* the postmaster */
static volatile sig_atomic_t somebody_terminates = false;	/* others */

/* Tells all coordinators that a slot is free. */
static void
announce_free_slot(Oid dboid, uint32 more_reasons)
{
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];
		uint32		reasons = JOBQ_WAKE_SLOTS;

		if (!OidIsValid(database->dboid))
			continue;
		if (database->dboid == dboid)
			reasons |= more_reasons;
		else if (database->coordinator_proc == JOBQ_NO_PROCESS)
			continue;
		jobq_wake_coordinator(database, reasons);
	}
}

/*
 * Whether a command needs exclusive use of the database and terminates the workers, or
 * has terminated this one.
 */
static bool
is_dismissed(void)
{
	JobqDatabase *database = jobq_database();
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	result = database->holds > 0;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result || jobq_slot_is_dismissed(&worker_ref);
}

/*
 * Exit callback.  The transaction has been rolled back.  If this process still
 * had to look at the queues, or to record a job, the coordinator does that.  If the
 * postmaster has died, the server has crashed, and the note of the job is kept.
 */
static void
sign_off(int code, Datum arg)
{
	Oid			dboid;
	bool		was_recording;

	if (!attached)
		return;
	attached = false;
	dboid = jobq_shared->workers[worker_ref.slot].dboid;
	if (PostmasterIsAlive())
		jobq_crash_note_clear();
	was_recording = jobq_shared->workers[worker_ref.slot].recording;
	owes_look = jobq_slot_detach(&worker_ref) || owes_look;
	announce_free_slot(dboid, (owes_look ? JOBQ_WAKE_RESYNC : 0) |
					   (attempt_counts || was_recording ? JOBQ_WAKE_NOTES : 0));
}

/* SIGTERM handler: like die(), but remembers who sent it. */
static void
handle_termination(int signo, siginfo_t * info, void *context)
{
	if (info->si_pid == PostmasterPid)
		server_stops = true;
	else
		somebody_terminates = true;
	die(signo);
}

static void
set_up_termination(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handle_termination;
	action.sa_flags = SA_RESTART | SA_SIGINFO;
	sigemptyset(&action.sa_mask);
	(void) sigaction(SIGTERM, &action, NULL);
}

/*
 * The process has left shared memory.  Nothing is left to do but what languages
 * would have run then: END blocks of PL/Perl, which may never end, and which
 * nobody could see or stop.  (After an error PL/Perl runs none.)
 */
static void
exit_at_once(int code, Datum arg)
{
	_exit(code);
}

/*
 * Exit callback: notes that the process exits during a job.  This must happen
 * before the transaction is rolled back and others can claim the job, so the
 * callback is registered after connecting.  Terminations by DDL, or by the
 * postmaster at shutdown, do not count against the job.
 */
static void
note_termination(int code, Datum arg)
{
	static bool noted = false;

	if (!attached || noted)
		return;
	noted = true;
	jobq_blame_note_undone();
	attempt_counts = jobq_blame_note_termination(!is_dismissed() &&
												 (!server_stops || somebody_terminates));
}

/*
 * Before each job: registers the callback again, so that it is called first.  A job
 * may have loaded a library that registers one, or have made the session's first
 * temporary object, whose callback begins by rolling back.  The older registration
 * then does nothing.
 */
static void
exit_by_note(void)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		cancel_before_shmem_exit(note_termination, (Datum) 0);
	}
	PG_CATCH();
	{
		/* it is not the latest one */
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	before_shmem_exit(note_termination, (Datum) 0);
}

/* Applies changed settings; returns false if the process may not continue. */
static bool
follow_settings(void)
{
	bool		served;

	if (!jobq_worker_reload_settings())
		return true;
	jobq_worker_begin();
	served = jobq_serves_database(get_database_name(MyDatabaseId));
	CommitTransactionCommand();
	return served && !jobq_slot_is_too_many(&worker_ref);
}

/*
 * Whether to give way to another role or database that finds no slot.  Each of
 * them displaces one executor, and has a moment to take its slot before others
 * may (activation.c).
 */
static bool
gives_way(TimestampTz start)
{
	Oid			heir = jobq_shared->workers[worker_ref.slot].give_way_to;
	bool		result = false;

	if ((jobq_shared->starving == 0 && !OidIsValid(heir)) ||
		!TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									FAIR_SHARE_MS))
		return false;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	if (OidIsValid(heir))
	{
		jobq_shared->given_to = heir;
		jobq_shared->given_until = jobq_now() + JOBQ_GIFT_TIME;
		result = true;
	}
	for (int i = 0; i < JOBQ_MAX_DATABASES && !result; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];

		if (OidIsValid(database->dboid) && database->starving)
		{
			database->starving = false;
			jobq_shared->starving--;
			jobq_shared->given_to = database->dboid;
			jobq_shared->given_until = jobq_now() + JOBQ_GIFT_TIME;
			result = true;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/*
 * This process has become idle.  If an executor has seen more jobs than there are
 * slots for, the coordinator looks again whether an idle one can leave.
 */
static void
offer_slot(void)
{
	if (!jobq_slots_want_help(InvalidOid))
		return;
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];

		if (OidIsValid(database->dboid) &&
			jobq_slots_want_help(database->dboid))
			jobq_wake_coordinator(database, JOBQ_WAKE_WORK);
	}
}

/*
 * Sleeps until there may be work.  Returns false if this process has not been
 * woken for so long that it should exit.  The last look may have waited for a lock or
 * for I/O, which resets the latch, so this checks whether the process was called.
 */
static bool
sleep_until_woken(TimestampTz idle_since)
{
	TimestampTz until = idle_since +
	jobq_worker_idle_timeout * INT64CONST(1000);

	if (jobq_now() >= until && jobq_slot_set_leaving(&worker_ref))
		return false;
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	set_ps_display("idle");
	if (!ConfigReloadPending && !jobq_slot_is_called(&worker_ref))
		jobq_worker_wait(until, JOBQ_WAIT_EVENT_EXECUTOR);
	return true;
}

/*
 * Called after connecting.  If the role may only read because the database is
 * set to read-only transactions, its jobs wait, since they cannot be blamed
 * for that.  The process exits while its slot is still in state starting, so
 * that the coordinator retries later, with growing delays.
 */
static void
exit_if_frozen(Oid role)
{
	JobqDatabase *database = jobq_database();
	bool		frozen = jobq_session_is_frozen();
	bool		is_known;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	is_known = database->frozen_role == role;
	if (frozen)
	{
		database->frozen_role = role;
		database->frozen_at = jobq_now();
	}
	else if (is_known)
		database->frozen_role = InvalidOid;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	if (!frozen)
		return;
	if (!is_known)
		ereport(LOG,
				(errmsg("jobq does not run jobs while transactions are read-only by default"),
				 errdetail("The setting default_transaction_read_only of the database or the server is on."),
				 errhint("Jobs continue within a minute after it is turned off.")));
	proc_exit(0);
}

/* Waits after something went wrong, each time longer. */
static void
wait_after_failure(int *backoff)
{
	pgstat_report_activity(STATE_IDLE, NULL);
	jobq_worker_wait(jobq_worker_back_off(backoff), JOBQ_WAIT_EVENT_EXECUTOR);
}

/*
 * Waits while outcomes cannot be recorded.  Returns false if another role or
 * database wants the slot.
 */
static bool
wait_for_writes(int *backoff)
{
	if (gives_way(0))
		return false;
	*backoff = Min(*backoff, MAX_HELD_SECONDS / 2);
	wait_after_failure(backoff);
	return true;
}

/*
 * Waits until there may be a job.  The first time it only says that the
 * executor is idle, so that the caller looks once more after that.  *idle_since
 * is 0 while it is not idle.  False if it is time to exit.
 */
static bool
wait_for_jobs(TimestampTz *idle_since)
{
	int32		woken_for;

	if (gives_way(0))
		return false;
	if (*idle_since == 0)
	{
		*idle_since = jobq_now();
		jobq_crash_note_clear();
		(void) jobq_slot_set_idle(&worker_ref, &woken_for);
		offer_slot();
		return true;
	}
	if (!sleep_until_woken(*idle_since))
		return false;
	if (jobq_slot_set_idle(&worker_ref, &woken_for))
	{
		owes_look = true;
		jobq_find_owe(woken_for);
		*idle_since = jobq_now();
	}
	return true;
}

/* Runs jobs until it is time to exit. */
static void
work(void)
{
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz idle_since = 0;
	int			backoff = 0;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!follow_settings() || !jobq_service_allows_executors() ||
			jobq_slot_must_leave(&worker_ref) || jobq_temporary_is_left() ||
			jobq_session_must_end())
			return;
		switch (jobq_run_next())
		{
			case JOBQ_RUN_DONE:
				owes_look = false;
				idle_since = 0;
				backoff = 0;
				pgstat_report_stat(false);
				if (gives_way(start) ||
					TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
											   MAX_LIFE_MS))
					return;
				break;
			case JOBQ_RUN_NOTHING:
				owes_look = false;
				if (!wait_for_jobs(&idle_since))
					return;
				backoff = 0;
				break;
			case JOBQ_RUN_FAILED:
				wait_after_failure(&backoff);
				break;
			case JOBQ_RUN_HELD:
				if (!wait_for_writes(&backoff))
					return;
				break;
			case JOBQ_RUN_SPOILED:
				wait_after_failure(&backoff);
				return;
			case JOBQ_RUN_FROZEN:
			case JOBQ_RUN_NO_ROLE:
			case JOBQ_RUN_NOT_INSTALLED:
				return;
		}
	}
}

void
jobq_executor_main(Datum main_arg)
{
	Oid			dboid;
	Oid			role;

	worker_ref.slot = DatumGetInt32(main_arg);
	memcpy(&worker_ref.generation, MyBgworkerEntry->bgw_extra,
		   sizeof(worker_ref.generation));
	before_shmem_exit(sign_off, (Datum) 0);
	jobq_lease_watch_session();
	jobq_worker_set_up_signals();
	set_up_termination();
	if (!jobq_slot_attach(&worker_ref, &dboid, &role))
		proc_exit(0);
	attached = true;
	BackgroundWorkerInitializeConnectionByOid(dboid, role,
											  JOBQ_BYPASS_LOGIN_CHECK);
	exit_if_frozen(role);
	jobq_slot_set_busy(&worker_ref);
	jobq_session_set_up(role);
	pgstat_report_appname("jobq executor");
	jobq_crash_note_open(dboid, worker_ref.slot);
	before_shmem_exit(note_termination, (Datum) 0);
	jobq_run_set_up(&worker_ref, role, exit_by_note);
	work();

	/* last, so that it is called before the callbacks of all libraries */
	on_proc_exit(exit_at_once, (Datum) 0);
	proc_exit(0);
}
