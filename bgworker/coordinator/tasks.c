/*-------------------------------------------------------------------------
 *
 * tasks.c
 *	  The tasks of a coordinator: what is done, when, and in which order.
 *
 * To add one: its number in shmem.h (the order in which tasks are run), its name
 * in late.c, and a function and a line in the table here.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/tasks.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/tasks.h"

#include "bgworker/coordinator/activation.h"
#include "bgworker/coordinator/attempt_count.h"
#include "bgworker/coordinator/cancel_pass.h"
#include "bgworker/coordinator/lease_pass.h"
#include "bgworker/coordinator/notifier.h"
#include "bgworker/coordinator/rest.h"
#include "bgworker/executor/unrecorded.h"
#include "dispatch/due.h"
#include "dispatch/expire.h"
#include "dispatch/lease.h"
#include "dispatch/sweep.h"
#include "dispatch/taken_away.h"
#include "job/retention.h"
#include "job/undone.h"
#include "schedule/schedule_fire.h"
#include "service/prepared.h"
#include "service/service.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lease_doubt.h"
#include "shared/slot.h"
#include "shared/slot_job.h"

#include "miscadmin.h"

/* Maximum number of jobs handled in one transaction of a task. */
#define BATCH 500

/* How long jobs that could not be recorded are left alone. */
#define UNDONE_RETRY (60 * USECS_PER_SEC)

static bool look_at_all = true; /* queues, not only those that are due */
static bool look_without_room = false;	/* at queues without room, too */
static TimestampTz last_look = DT_NOBEGIN;	/* at all of them */

/* A prepared transaction, or one before the start, has taken jobs away. */
static bool look_at_executors = true;

/* An error has rolled back the recording of jobs, or has left some out. */
static bool undone_has_failed = false;

/* Reads whether jobq is stopped. */
static TimestampTz
run_config(bool *more)
{
	if (jobq_service_refresh())
		jobq_slots_leave(MyDatabaseId);
	return JOBQ_NEVER;
}

/* Counts the attempts that ended with an executor, or with the server. */
static TimestampTz
run_notes(bool *more)
{
	return jobq_attempt_count_run(more);
}

/* Records finished jobs that were rolled back. */
static TimestampTz
run_undone(bool *more)
{
	undone_has_failed = !jobq_undone_record_all(undone_has_failed, more);
	return undone_has_failed ? jobq_now() + UNDONE_RETRY : JOBQ_NEVER;
}

/* Lists running jobs that the registry of leases does not have. */
static TimestampTz
run_leases_load(bool *more)
{
	return jobq_lease_pass_run(more);
}

static TimestampTz
run_leases_expire(bool *more)
{
	return jobq_leases_expire(BATCH, more);
}

static TimestampTz
run_jobs_expire(bool *more)
{
	return jobq_expire_jobs(BATCH, more);
}

/* Looks at all queues if requested, otherwise at those that are due. */
static TimestampTz
run_wake_due(bool *more)
{
	bool		all = look_at_all;
	TimestampTz next;

	if (all)
		last_look = jobq_now();
	next = jobq_due_wake_queues(all, look_without_room,
								jobq_notify_without_room,
								jobq_activation_request);
	look_at_all = false;
	look_without_room = false;
	return next;
}

static TimestampTz
run_cancel(bool *more)
{
	return jobq_cancel_pass_run(more);
}

/* Interrupts executors whose jobs were taken away, and ends those that go on. */
static TimestampTz
run_terminate(bool *more)
{
	TimestampTz next = JOBQ_NEVER;
	TimestampTz patience;

	if (look_at_executors)
	{
		next = jobq_taken_away_interrupt();
		look_at_executors = next != JOBQ_NEVER;
	}
	patience = jobq_slots_terminate_stubborn();
	return Min(next, patience);
}

static TimestampTz
run_schedules(bool *more)
{
	if (jobq_service_holds())
		return JOBQ_NEVER;
	return jobq_schedule_fire_due(BATCH, more);
}

static TimestampTz
run_notify(bool *more)
{
	return jobq_notifier_notify(more);
}

static TimestampTz
run_activation(bool *more)
{
	return jobq_activation_start_executors();
}

static TimestampTz
run_retention(bool *more)
{
	return jobq_retention_run();
}

static TimestampTz
run_sweep(bool *more)
{
	jobq_prepared_look();
	return jobq_sweep(more);
}

/* Ends this process if nothing needs it. */
static TimestampTz
run_rest(bool *more)
{
	return jobq_rest_run();
}

static void
undo_notes(int sqlerrcode)
{
	jobq_attempt_count_undo();
	jobq_unrecorded_note(sqlerrcode);
}

static void
undo_undone(int sqlerrcode)
{
	undone_has_failed = true;
}

static void
undo_leases_load(int sqlerrcode)
{
	jobq_lease_pass_undo();
}

static void
undo_cancel(int sqlerrcode)
{
	jobq_cancel_pass_undo();
}

static void
undo_notify(int sqlerrcode)
{
	jobq_notifier_undo();
}

static void
undo_rest(int sqlerrcode)
{
	jobq_rest_undo();
}

const JobqCoordinatorTask jobq_tasks[JOBQ_NUM_TASKS] = {
	[JOBQ_TASK_CONFIG] = {
		.run = run_config,.reasons = JOBQ_TASK_WAKE_ALL
	},
	[JOBQ_TASK_NOTES] = {
		.run = run_notes,.reasons = JOBQ_WAKE_NOTES,
		.undo = undo_notes,
		/* remove what was counted before an executor overwrites it */
		.exhaustive = true
	},
	[JOBQ_TASK_UNDONE] = {
		.run = run_undone,.reasons = JOBQ_WAKE_UNDONE,
		.undo = undo_undone
	},
	[JOBQ_TASK_LEASES_LOAD] = {
		.run = run_leases_load,.is_wanted = jobq_lease_pass_is_wanted,
		.reasons = JOBQ_WAKE_COUNT | JOBQ_WAKE_DOUBT | JOBQ_WAKE_EMPTIED,
		.timed = true,
		.undo = undo_leases_load
	},
	[JOBQ_TASK_LEASES_EXPIRE] = {
		.run = run_leases_expire,
		.reasons = JOBQ_WAKE_LEASES | JOBQ_TASK_WAKE_ALL,.timed = true
	},
	[JOBQ_TASK_JOBS_EXPIRE] = {
		.run = run_jobs_expire,.reasons = JOBQ_TASK_WAKE_ALL,.timed = true
	},
	[JOBQ_TASK_SCHEDULES] = {
		.run = run_schedules,
		.reasons = JOBQ_WAKE_SCHEDULES | JOBQ_TASK_WAKE_ALL,.timed = true
	},
	[JOBQ_TASK_CANCEL] = {
		.run = run_cancel,.reasons = JOBQ_WAKE_CANCEL | JOBQ_TASK_WAKE_ALL,
		.undo = undo_cancel
	},
	[JOBQ_TASK_TERMINATE] = {
		.run = run_terminate,
		.reasons = JOBQ_WAKE_INTERRUPT | JOBQ_WAKE_TAKEN_AWAY
	},
	[JOBQ_TASK_WAKE_DUE] = {
		.run = run_wake_due,
		.reasons = JOBQ_WAKE_NO_ROOM | JOBQ_WAKE_LIMITS | JOBQ_TASK_WAKE_ALL,
		.timed = true
	},
	[JOBQ_TASK_NOTIFY] = {
		.run = run_notify,.reasons = JOBQ_WAKE_NOTIFY | JOBQ_TASK_WAKE_ALL,
		.undo = undo_notify
	},
	[JOBQ_TASK_ACTIVATION] = {
		.run = run_activation,
		.reasons = JOBQ_WAKE_WORK | JOBQ_WAKE_SLOTS | JOBQ_TASK_WAKE_ALL
	},
	[JOBQ_TASK_RETENTION] = {
		.run = run_retention,
		.reasons = JOBQ_WAKE_RETENTION | JOBQ_TASK_WAKE_ALL
	},
	[JOBQ_TASK_SWEEP] = {
		.run = run_sweep,.timed = true
	},
	[JOBQ_TASK_REST] = {
		.run = run_rest,.undo = undo_rest
	},
};

void
jobq_tasks_note_reasons(uint32 reasons)
{
	if (reasons & JOBQ_TASK_WAKE_ALL)
		look_at_all = true;
	if (reasons & (JOBQ_WAKE_CANCEL | JOBQ_TASK_WAKE_ALL))
		jobq_cancel_pass_request();
	if (reasons & JOBQ_WAKE_TAKEN_AWAY)
		look_at_executors = true;
	if (reasons & JOBQ_WAKE_NO_ROOM)
		look_without_room = true;
	if (reasons & JOBQ_WAKE_COUNT)
		jobq_lease_pass_count();
	if ((reasons & JOBQ_WAKE_RESYNC) && (reasons & JOBQ_WAKE_LEASES))
		jobq_lease_pass_restart();
	if (reasons & JOBQ_WAKE_EMPTIED)
		jobq_leases_doubt_all();
	if (reasons & (JOBQ_WAKE_DOUBT | JOBQ_WAKE_EMPTIED))
		jobq_lease_pass_verify();
}

void
jobq_tasks_look_at_all(void)
{
	look_at_all = true;
}

TimestampTz
jobq_tasks_last_look(void)
{
	return last_look;
}
