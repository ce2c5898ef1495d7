/*-------------------------------------------------------------------------
 *
 * task_loop.c
 *	  Running the tasks of a coordinator when they are due.
 *
 * A task that fails is retried later and does not keep others from running.
 *
 * JobqDatabase.next_due is the time this process sleeps until, so that only a
 * commit with something earlier wakes it.  When the time has come it is set
 * to "never" before the tasks look, and afterwards to what they returned,
 * unless a commit has set it to something earlier meanwhile.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/task_loop.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/task_loop.h"

#include "bgworker/coordinator/tasks.h"
#include "bgworker/worker.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/late.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

/* Longest delay after a lock was not available, in seconds. */
#define MAX_LOCK_BACKOFF 4

/* Minimum time between looks at all queues while shared memory is full. */
#define RESYNC_INTERVAL (100 * INT64CONST(1000))

/* State of a task. */
typedef struct TaskState
{
	TimestampTz next;			/* DT_NOBEGIN: now */
	int			backoff;		/* seconds, after an error */
	TimestampTz failing_since;	/* since when, if that is not 0 */
	char		last_error[128];
} TaskState;

static TaskState states[JOBQ_NUM_TASKS];

static MemoryContext loop_context = NULL;
static void (*begin_transaction) (void) = NULL;
static TimestampTz resync_at = JOBQ_NEVER;

static JobqTask
number_of(const TaskState *state)
{
	return (JobqTask) (state - states);
}

static const JobqCoordinatorTask *
task_of(const TaskState *state)
{
	return &jobq_tasks[number_of(state)];
}

void
jobq_task_loop_begin(MemoryContext context, void (*begin) (void))
{
	loop_context = context;
	begin_transaction = begin;
	for (int i = 0; i < JOBQ_NUM_TASKS; i++)
		states[i].next = DT_NOBEGIN;
}

/*
 * Handles an error in a task: logs it unless that was done, and retries later.
 */
static void
note_error(TaskState *state)
{
	ErrorData  *error;

	MemoryContextSwitchTo(loop_context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(loop_context);
	if (task_of(state)->undo != NULL)
		task_of(state)->undo(error->sqlerrcode);
	if (state->backoff == 0)
		state->failing_since = jobq_now();
	if (strncmp(state->last_error, error->message,
				sizeof(state->last_error) - 1) != 0)
	{
		strlcpy(state->last_error, error->message, sizeof(state->last_error));
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("jobq failed in %s: %s",
						jobq_late_task_name(number_of(state)),
						error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0));
	}
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		state->backoff = Min(state->backoff, MAX_LOCK_BACKOFF / 2);
	state->next = jobq_worker_back_off(&state->backoff);
	jobq_late_note(state->failing_since, state->next, JOBQ_TASK_FAILS);
	FreeErrorData(error);
}

/* Runs a task once; returns whether to run it again at once. */
static bool
run_task(TaskState *state)
{
	JobqTask	number = number_of(state);
	volatile bool more = false;

	pgstat_report_activity(STATE_RUNNING, jobq_late_task_name(number));
	jobq_late_begin();
	PG_TRY();
	{
		bool		wants_more = false;
		TimestampTz next;

		begin_transaction();
		next = task_of(state)->run(&wants_more);
		CommitTransactionCommand();
		state->next = next;
		state->backoff = 0;
		state->last_error[0] = '\0';
		more = wants_more;
	}
	PG_CATCH();
	{
		note_error(state);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(loop_context);
	jobq_late_publish(number);
	return more;
}

/* Notes which tasks the reasons for waking this process concern. */
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
	jobq_tasks_note_reasons(reasons);
	for (int i = 0; i < JOBQ_NUM_TASKS; i++)
	{
		const JobqCoordinatorTask *task = &jobq_tasks[i];
		TaskState  *state = &states[i];
		TimestampTz next = state->next;

		if ((task->reasons & reasons) || (timed && task->timed))
			next = DT_NOBEGIN;
		if (task->is_wanted != NULL && task->is_wanted())
			next = DT_NOBEGIN;
		/* a task that keeps failing or finds no room must not spin */
		if (state->backoff == 0)
			state->next = next;
	}
}

/*
 * If shared memory has no room for a queue, each commit requests a look at all
 * queues.  Limits how often that is done; a postponed look is made a little
 * later.
 */
static uint32
limit_resyncs(uint32 reasons)
{
	TimestampTz now = jobq_now();
	TimestampTz last_look = jobq_tasks_last_look();

	if (resync_at <= now)
		reasons |= JOBQ_WAKE_RESYNC;
	else if (!(reasons & JOBQ_WAKE_RESYNC) || (reasons & JOBQ_WAKE_CONFIG))
		return reasons;
	else if (last_look != DT_NOBEGIN && last_look <= now &&
			 last_look + RESYNC_INTERVAL > now)
	{
		resync_at = last_look + RESYNC_INTERVAL;
		return reasons & ~JOBQ_WAKE_RESYNC;
	}
	resync_at = JOBQ_NEVER;
	return reasons;
}

/*
 * Computes when to wake up.  The part of it that commits may advance is stored
 * in shared memory: a commit with a later time need not wake this process,
 * since every task concerned is run by then.
 */
static TimestampTz
next_due(void)
{
	JobqDatabase *database = jobq_database();
	TimestampTz next = JOBQ_NEVER;
	TimestampTz own = resync_at;
	uint64		noted;

	for (int i = 0; i < JOBQ_NUM_TASKS; i++)
	{
		if (jobq_tasks[i].timed)
			next = Min(next, states[i].next);
		else
			own = Min(own, states[i].next);
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
 * If the clock has been set back since the last call, the due times of tasks
 * may be too far away: runs all tasks to compute them again.
 */
static void
follow_clock(void)
{
	static TimestampTz last = DT_NOBEGIN;
	TimestampTz now = jobq_now();

	if (now < last)
	{
		pg_atomic_fetch_add_u32(&jobq_database()->clock_steps, 1);
		for (int i = 0; i < JOBQ_NUM_TASKS; i++)
			states[i].next = DT_NOBEGIN;
		jobq_tasks_look_at_all();
		if (resync_at != JOBQ_NEVER)
			resync_at = now;
	}
	last = now;
}

/* Runs every task that is due, once. */
static void
run_due_tasks(void)
{
	for (int i = 0; i < JOBQ_NUM_TASKS; i++)
	{
		TaskState  *state = &states[i];
		bool		more;

		if (state->next > jobq_now())
			continue;
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(loop_context);
		more = run_task(state);
		while (more && jobq_tasks[i].exhaustive)
			more = run_task(state);
		if (more)
			state->next = DT_NOBEGIN;
	}
}

TimestampTz
jobq_task_loop_run(uint32 reasons)
{
	follow_clock();
	assign_reasons(limit_resyncs(reasons), jobq_now());
	run_due_tasks();
	return next_due();
}
