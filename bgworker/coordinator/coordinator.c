/*-------------------------------------------------------------------------
 *
 * coordinator.c
 *	  The coordinator: one process per database that sees to timers, leases,
 *	  schedules, history, NOTIFY and executors, and never runs users' code.
 *
 * Commits tell it of what they did through shared memory (xact.c); it sleeps
 * until that happens or the earliest thing it knows of is due.  Each piece of
 * work is a task with a transaction of its own.  A task that fails is tried
 * again later and does not keep the others from running.
 *
 * JobqDatabase.next_due is the time this process sleeps until, so that only a
 * commit with something earlier wakes it.  When the time has come it is set
 * to "never" before the tasks look, and afterwards to what they returned,
 * unless a commit has set it to something earlier meanwhile.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/coordinator.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/coordinator.h"

#include "base/catalog.h"
#include "bgworker/bgworker.h"
#include "bgworker/coordinator/activation.h"
#include "bgworker/coordinator/attempt_count.h"
#include "bgworker/coordinator/notifier.h"
#include "bgworker/executor/unrecorded.h"
#include "bgworker/worker.h"
#include "compat.h"
#include "dispatch/due.h"
#include "dispatch/expire.h"
#include "dispatch/lease.h"
#include "dispatch/sweep.h"
#include "guc.h"
#include "job/cancel.h"
#include "job/retention.h"
#include "job/undone.h"
#include "schedule/schedule_fire.h"
#include "service/service.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/late.h"
#include "shared/wake.h"
#include "shared/worker_slot.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* So many jobs are dealt with in one transaction of a task. */
#define BATCH 500

/*
 * Tasks wait for no lock that a user's transaction can hold: they pass over
 * what is locked, and come back.  Should one run into such a lock all the
 * same, it gives up after this time, and is tried again; before the deadlock
 * check, so that it is always this process that gives way.
 */
#define LOCK_TIMEOUT "500ms"
#define MAX_LOCK_BACKOFF 4

/*
 * How often to look at cancel requests that could not be carried out; and that
 * to look at all of them takes such a part of the time at most.  Transactions
 * that take longer than that to ask for one and commit have it found then.
 */
#define CANCEL_RETRY_FIRST (50 * INT64CONST(1000))
#define CANCEL_RETRY_MAX (5 * USECS_PER_SEC)
#define CANCEL_SHARE 20
#define CANCEL_COMMIT_TIME (10 * USECS_PER_SEC)

/* Shared memory is full: how often to look at all queues at most. */
#define RESYNC_INTERVAL (100 * INT64CONST(1000))

/*
 * The longest sleep: the clock may be set, or the machine be suspended, and
 * what is due comes at the wrong time for so long.  Waking up runs no query.
 */
#define MAX_SLEEP USECS_PER_MINUTE

/* Reasons for which nearly every task wants to look. */
#define WAKE_ALL (JOBQ_WAKE_CONFIG | JOBQ_WAKE_RESYNC)

/* Something that is done when woken for one of some reasons, or at a time. */
typedef struct Task
{
	/* in a transaction; returns when to run again; *more: at once */
	TimestampTz (*run) (bool *more);
	uint32		reasons;		/* JOBQ_WAKE_ */
	bool		timed;			/* next_due may be meant for it */
	TimestampTz next;			/* DT_NOBEGIN: now */
	int			backoff;		/* seconds, after an error */
	TimestampTz failing_since;	/* since when, if it is not 0 */
	char		last_error[128];
} Task;

static TimestampTz run_config(bool *more);
static TimestampTz run_notes(bool *more);
static TimestampTz run_undone(bool *more);
static TimestampTz run_leases_load(bool *more);
static TimestampTz run_leases_expire(bool *more);
static TimestampTz run_jobs_expire(bool *more);
static TimestampTz run_wake_due(bool *more);
static TimestampTz run_cancel(bool *more);
static TimestampTz run_terminate(bool *more);
static TimestampTz run_schedules(bool *more);
static TimestampTz run_notify(bool *more);
static TimestampTz run_activation(bool *more);
static TimestampTz run_retention(bool *more);
static TimestampTz run_sweep(bool *more);

static Task tasks[JOBQ_NUM_TASKS] = {
	[JOBQ_TASK_CONFIG] = {run_config, WAKE_ALL, false},
	[JOBQ_TASK_NOTES] = {run_notes, JOBQ_WAKE_NOTES, false},
	[JOBQ_TASK_UNDONE] = {run_undone, JOBQ_WAKE_UNDONE, false},
	[JOBQ_TASK_LEASES_LOAD] = {run_leases_load, 0, false},
	[JOBQ_TASK_LEASES_EXPIRE] =
	{run_leases_expire, JOBQ_WAKE_LEASES | WAKE_ALL, true},
	[JOBQ_TASK_JOBS_EXPIRE] = {run_jobs_expire, WAKE_ALL, true},
	[JOBQ_TASK_SCHEDULES] =
	{run_schedules, JOBQ_WAKE_SCHEDULES | WAKE_ALL, true},
	[JOBQ_TASK_CANCEL] = {run_cancel, JOBQ_WAKE_CANCEL | WAKE_ALL, false},
	[JOBQ_TASK_TERMINATE] = {run_terminate, JOBQ_WAKE_INTERRUPT, false},
	[JOBQ_TASK_WAKE_DUE] = {run_wake_due, JOBQ_WAKE_NO_ROOM | WAKE_ALL, true},
	[JOBQ_TASK_NOTIFY] = {run_notify, JOBQ_WAKE_NOTIFY | WAKE_ALL, false},
	[JOBQ_TASK_ACTIVATION] =
	{run_activation, JOBQ_WAKE_WORK | JOBQ_WAKE_SLOTS | WAKE_ALL, false},
	[JOBQ_TASK_RETENTION] =
	{run_retention, JOBQ_WAKE_RETENTION | WAKE_ALL, false},
	[JOBQ_TASK_SWEEP] = {run_sweep, 0, true},
};

static MemoryContext loop_context = NULL;
static bool look_at_all = true; /* queues, not only those that are due */
static bool look_without_room = false;	/* at queues without room, too */
static TimestampTz last_resync = DT_NOBEGIN;
static TimestampTz resync_at = JOBQ_NEVER;
static bool extension_gone = false;

/*
 * Enters this process in databases[].  False if there is another coordinator,
 * or nobody may be here now.
 */
static bool
sign_on(Oid dboid)
{
	JobqDatabase *database = jobq_allocate_database(dboid);
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
 * The process exits.  The launcher starts another one unless the extension
 * is not there; and even then if somebody wants something of the coordinator,
 * who may have created the extension a moment ago.
 */
static void
sign_off(int code, Datum arg)
{
	JobqDatabase *database = jobq_find_database(DatumGetObjectId(arg));

	if (database == NULL || database->coordinator_pid != MyProcPid)
		return;
	(void) jobq_worker_reap(database->dboid, JOBQ_NEVER, true);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	if (database->starving)
		jobq_shared->starving--;
	database->starving = false;
	database->capped_role = InvalidOid;
	database->coordinator_pid = 0;
	database->coordinator_proc = JOBQ_NO_PROCESS;
	database->state = extension_gone ? JOBQ_COORDINATOR_ABSENT :
		JOBQ_COORDINATOR_NONE;
	if (code == 0)
		database->retry_at = DT_NOBEGIN;
	database->wanted = !extension_gone ||
		pg_atomic_read_u32(&database->wake) != 0;
	/* CREATE EXTENSION may come at any moment, and nothing has failed */
	if (extension_gone)
		database->retry_at = DT_NOBEGIN;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	jobq_wake_launcher();
}

/*
 * Settings of the database or the bootstrap superuser must not lead this
 * process astray; autovacuum does the same.
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
	jobq_pin_transaction_timeout();
}

/* There is nothing to do here (any more): exits. */
static void
leave_database(JobqInstallation installation)
{
	if (installation == JOBQ_OTHER_VERSION)
		ereport(LOG,
				(errmsg("jobq does not work in database \"%s\": the extension's version is not the library's, %s",
						get_database_name(MyDatabaseId), JOBQ_VERSION),
				 errhint("%s", jobq_version_hint())));
	jobq_workers_leave(MyDatabaseId);
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

/* ---------------------------------------------------------------- tasks */

/* Reads whether stop() is in force. */
static TimestampTz
run_config(bool *more)
{
	(void) more;
	if (jobq_service_refresh())
		jobq_workers_leave(MyDatabaseId);
	return JOBQ_NEVER;
}

/* Counts the attempts that ended with an executor, or with the server. */
static TimestampTz
run_notes(bool *more)
{
	return jobq_count_attempts(more);
}

/* Writes down the jobs that were through in vain. */
static TimestampTz
run_undone(bool *more)
{
	(void) more;
	jobq_undone_record_all();
	return JOBQ_NEVER;
}

static TimestampTz
run_leases_load(bool *more)
{
	JobqDatabase *database = jobq_database();

	(void) more;
	if (!database->leases_loaded)
	{
		jobq_leases_load();
		database->leases_loaded = true;
	}
	return JOBQ_NEVER;
}

static TimestampTz
run_leases_expire(bool *more)
{
	return jobq_leases_expire(BATCH, more);
}

static TimestampTz
run_jobs_expire(bool *more)
{
	return jobq_jobs_expire(BATCH, more);
}

/* Looks at all queues if it is told to, else at those whose time has come. */
static TimestampTz
run_wake_due(bool *more)
{
	bool		all = look_at_all;
	TimestampTz next;

	(void) more;
	if (all)
		last_resync = jobq_now();
	next = jobq_queues_wake_due(all, look_without_room,
								jobq_notify_without_room);
	look_at_all = false;
	look_without_room = false;
	return next;
}

/*
 * Requests that cannot be carried out now are looked at again.  If there are
 * many of them, a new one has only those looked at that are as new.
 */
static TimestampTz
run_cancel(bool *more)
{
	static TimestampTz looked_at = DT_NOBEGIN;	/* at all of them */
	static int64 cost = 0;
	static int64 delay = 0;
	TimestampTz now = jobq_now();
	bool		all = now < looked_at || now >= looked_at + cost * CANCEL_SHARE;

	(void) more;
	if (!jobq_cancel_requests_process(all ? DT_NOBEGIN :
									  looked_at - CANCEL_COMMIT_TIME))
	{
		cost = delay = 0;
		return JOBQ_NEVER;
	}
	if (all)
	{
		looked_at = now;
		cost = jobq_now() - now;
		delay = Min(Max(delay * 2, CANCEL_RETRY_FIRST), CANCEL_RETRY_MAX);
	}
	else
		delay = CANCEL_RETRY_FIRST;
	return looked_at + Max(delay, cost * CANCEL_SHARE);
}

static TimestampTz
run_terminate(bool *more)
{
	(void) more;
	return jobq_workers_terminate_stubborn();
}

static TimestampTz
run_schedules(bool *more)
{
	if (jobq_service_holds())
		return JOBQ_NEVER;
	return jobq_schedules_fire(BATCH, more);
}

static TimestampTz
run_notify(bool *more)
{
	(void) more;
	return jobq_notify_queues();
}

static TimestampTz
run_activation(bool *more)
{
	(void) more;
	return jobq_activate_executors();
}

static TimestampTz
run_retention(bool *more)
{
	(void) more;
	return jobq_retention_run();
}

static TimestampTz
run_sweep(bool *more)
{
	(void) more;
	return jobq_sweep();
}

/* ------------------------------------------------------------- the loop */

/* An error in a task: logs it unless that was done, and comes back later. */
static void
note_error(Task *task)
{
	ErrorData  *error;

	MemoryContextSwitchTo(loop_context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(loop_context);
	if (task->run == run_notify)
		jobq_notify_undo();
	if (task->run == run_notes)
	{
		jobq_count_undo();
		jobq_unrecorded_note(error->sqlerrcode);
	}
	if (task->backoff == 0)
		task->failing_since = jobq_now();
	if (strncmp(task->last_error, error->message,
				sizeof(task->last_error) - 1) != 0)
	{
		strlcpy(task->last_error, error->message, sizeof(task->last_error));
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("jobq failed in %s: %s",
						jobq_task_name((JobqTask) (task - tasks)),
						error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0));
	}
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		task->backoff = Min(task->backoff, MAX_LOCK_BACKOFF / 2);
	task->next = jobq_worker_back_off(&task->backoff);
	jobq_late_note(task->failing_since, task->next, JOBQ_TASK_FAILS);
	FreeErrorData(error);
}

/* Runs a task once.  Whether it wants to be run again at once. */
static bool
run_task(Task *task)
{
	JobqTask	number = (JobqTask) (task - tasks);
	volatile bool more = false;

	pgstat_report_activity(STATE_RUNNING, jobq_task_name(number));
	jobq_late_begin();
	PG_TRY();
	{
		bool		wants_more = false;
		TimestampTz next;

		begin_transaction();
		next = task->run(&wants_more);
		CommitTransactionCommand();
		task->next = next;
		task->backoff = 0;
		task->last_error[0] = '\0';
		more = wants_more;
	}
	PG_CATCH();
	{
		note_error(task);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(loop_context);
	jobq_late_publish(number);
	return more;
}

/* Notes whom the reasons for which the process was woken are meant for. */
static void
assign_reasons(uint32 reasons, TimestampTz now)
{
	bool		timed = false;
	uint64		due = pg_atomic_read_u64(&jobq_database()->next_due);

	if ((TimestampTz) due <= now)
	{
		pg_atomic_write_u64(&jobq_database()->next_due, (uint64) JOBQ_NEVER);
		pg_memory_barrier();
		timed = true;
	}
	if (reasons & WAKE_ALL)
		look_at_all = true;
	if (reasons & JOBQ_WAKE_NO_ROOM)
		look_without_room = true;
	if ((reasons & JOBQ_WAKE_RESYNC) && (reasons & JOBQ_WAKE_LEASES))
		jobq_database()->leases_loaded = false;
	for (int i = 0; i < lengthof(tasks); i++)
	{
		Task	   *task = &tasks[i];
		TimestampTz next = task->next;

		if ((task->reasons & reasons) || (timed && task->timed))
			next = DT_NOBEGIN;
		if (task->run == run_leases_load &&
			!jobq_database()->leases_loaded)
			next = DT_NOBEGIN;
		/* what keeps failing, and what finds no room, must not spin */
		if (task->backoff == 0)
			task->next = next;
	}
}

/*
 * Where shared memory has no room for a queue each commit asks for a look at
 * all queues.  Not so often: what is put off is done a little later.
 */
static uint32
limit_resyncs(uint32 reasons)
{
	TimestampTz now = jobq_now();

	if (resync_at <= now)
		reasons |= JOBQ_WAKE_RESYNC;
	else if (!(reasons & JOBQ_WAKE_RESYNC) || (reasons & JOBQ_WAKE_CONFIG))
		return reasons;
	else if (last_resync != DT_NOBEGIN && last_resync <= now &&
			 last_resync + RESYNC_INTERVAL > now)
	{
		resync_at = last_resync + RESYNC_INTERVAL;
		return reasons & ~JOBQ_WAKE_RESYNC;
	}
	resync_at = JOBQ_NEVER;
	return reasons;
}

/*
 * When to wake up.  What of it commits may have to be earlier than is put
 * into shared memory: they leave out what comes later, since every task that
 * looks at what they did is run then.
 */
static TimestampTz
next_due(void)
{
	JobqDatabase *database = jobq_database();
	TimestampTz next = JOBQ_NEVER;
	TimestampTz own = resync_at;
	uint64		noted;

	for (int i = 0; i < lengthof(tasks); i++)
	{
		if (tasks[i].timed)
			next = Min(next, tasks[i].next);
		else
			own = Min(own, tasks[i].next);
	}
	noted = pg_atomic_read_u64(&database->next_due);
	while (next < (TimestampTz) noted &&
		   !pg_atomic_compare_exchange_u64(&database->next_due, &noted,
										   (uint64) next))
		;
	next = Min(next, (TimestampTz) noted);
	return Min(next, own);
}

/*
 * If the clock has been set back since the last call the times at which tasks
 * want to be run may be too far away: they say anew.
 */
static void
follow_clock(void)
{
	static TimestampTz last = DT_NOBEGIN;
	TimestampTz now = jobq_now();

	if (now < last)
	{
		for (int i = 0; i < lengthof(tasks); i++)
			tasks[i].next = DT_NOBEGIN;
		look_at_all = true;
		if (resync_at != JOBQ_NEVER)
			resync_at = now;
	}
	last = now;
}

/* Runs every task that is due, once. */
static void
run_due_tasks(void)
{
	for (int i = 0; i < lengthof(tasks); i++)
	{
		Task	   *task = &tasks[i];
		bool		more;

		if (task->next > jobq_now())
			continue;
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(loop_context);
		more = run_task(task);
		/* what was counted goes before an executor writes in its place */
		while (more && task->run == run_notes)
			more = run_task(task);
		if (more)
			task->next = DT_NOBEGIN;
	}
}

/* Goes on only where the settings let jobq work. */
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
		jobq_workers_leave(MyDatabaseId);
		proc_exit(0);
	}
	/* jobq.max_workers may have changed */
	pg_atomic_fetch_or_u32(&jobq_database()->wake, JOBQ_WAKE_SLOTS);
}

/* Looks whether the extension is there; exits if it is not. */
static void
check_extension(void)
{
	JobqDatabase *database = jobq_database();

	(void) pg_atomic_exchange_u32(&database->wake, 0);
	begin_transaction();
	CommitTransactionCommand();
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	database->state = JOBQ_COORDINATOR_RUNNING;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	jobq_wake_launcher();
	for (int i = 0; i < lengthof(tasks); i++)
		tasks[i].next = DT_NOBEGIN;
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

	for (;;)
	{
		TimestampTz until;
		uint32		reasons;

		CHECK_FOR_INTERRUPTS();
		check_settings();
		follow_clock();
		reasons = pg_atomic_exchange_u32(&jobq_database()->wake, 0);
		if (reasons & JOBQ_WAKE_SLOTS)
			jobq_note_free_slot();
		if (jobq_check_executors())
			reasons |= JOBQ_WAKE_SLOTS;
		assign_reasons(limit_resyncs(reasons), jobq_now());
		run_due_tasks();
		until = next_due();
		pgstat_report_stat(true);
		pgstat_report_activity(STATE_IDLE, NULL);
		jobq_worker_wait(Min(until, jobq_now() + MAX_SLEEP),
						 JOBQ_WAIT_EVENT_COORDINATOR);
	}
}
