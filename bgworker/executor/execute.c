/*-------------------------------------------------------------------------
 *
 * execute.c
 *	  Running a job's own code.
 *
 * Users' code runs only between begin_user_code() and end_user_code().
 * Cancels and timeouts are handled only there.
 *
 * Code that catches these errors and continues could occupy the process
 * forever.  JOBQ_PATIENCE after the timeout the process sends itself SIGTERM,
 * whose error cannot be caught; after a cancel the coordinator sends it.
 *
 * IDENTIFICATION
 *	  bgworker/executor/execute.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/execute.h"

#include "bgworker/executor/batch_result.h"
#include "bgworker/executor/session.h"
#include "bgworker/executor/watch.h"
#include "job/current_job.h"
#include "shared/clock.h"
#include "shared/slot.h"
#include "shared/slot_job.h"

#include <signal.h>

#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/ps_status.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

/*
 * Interval between repeated interrupts of a job after its timeout, in
 * milliseconds, and their number before the process is terminated.
 */
#define TIMEOUT_REPEAT_MS 500
#define MAX_TIMEOUTS (JOBQ_PATIENCE / (TIMEOUT_REPEAT_MS * 1000))

static JobqWorkerRef worker_ref;
static TimeoutId job_timeout;
static volatile sig_atomic_t timeouts = 0;
static volatile bool limited = false;	/* see jobq_execute_begin_limit() */
static const JobqRun *volatile running = NULL;

const JobqRun *
jobq_execute_running(void)
{
	return running;
}

bool
jobq_execute_is_limited(void)
{
	return limited;
}

bool
jobq_execute_is_overdue(void)
{
	return running != NULL && timeouts > 0;
}

/* Called when the running code has used up its time. */
static void
interrupt_job(void)
{
	if (timeouts++ == MAX_TIMEOUTS)
		(void) kill(MyProcPid, SIGTERM);
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

void
jobq_execute_set_up(const JobqWorkerRef *worker)
{
	worker_ref = *worker;
	job_timeout = RegisterTimeout(USER_TIMEOUT, interrupt_job);
	jobq_watch_set_up();
}

static void
add_context(void *arg)
{
	const JobqRun *run = arg;

	jobq_current_job_check_error();
	if (jobq_run_is_batch(run))
		errcontext("batch of %d jobs of queue \"%s\"", run->nparts,
				   run->outcome.queue_name);
	else
		errcontext("job " INT64_FORMAT " of queue \"%s\"",
				   run->outcome.job_id, run->outcome.queue_name);
}

/*
 * Reports the job to pg_stat_activity and ps.  For jobs that share
 * transactions ps shows only the queue, since setting the title for each of
 * them costs too much.
 */
static void
report(const JobqRun *run)
{
	static char shown[NAMEDATALEN + 40];
	char		activity[NAMEDATALEN + 40];

	debug_query_string = run->call.command != NULL ? run->call.command :
		run->call.handler;
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	if (!update_process_title)
		return;
	if (run->may_share)
		strlcpy(activity, run->outcome.queue_name, sizeof(activity));
	else
		snprintf(activity, sizeof(activity), "%s job " INT64_FORMAT,
				 run->outcome.queue_name, run->outcome.job_id);
	if (strcmp(activity, shown) == 0)
		return;
	strlcpy(shown, activity, sizeof(shown));
	set_ps_display(activity);
}

/* The job's own code comes next. */
static void
begin_user_code(JobqRun *run)
{
	timeouts = 0;
	run->code_was_run = true;
	running = run;
	run->callback.callback = add_context;
	run->callback.arg = run;
	run->callback.previous = error_context_stack;
	error_context_stack = &run->callback;
	report(run);
	if (run->timeout > 0)
		enable_timeout_every(job_timeout,
							 GetCurrentTimestamp() + run->timeout,
							 TIMEOUT_REPEAT_MS);
	jobq_watch_begin();
	jobq_session_allow_cancel();
}

/*
 * The job's own code has ended, normally or by error: neither it nor what
 * follows can be cancelled any more.
 */
static void
end_user_code(JobqRun *run)
{
	bool		failed = run->outcome.error != NULL;
	JobqInterruption interruption;

	running = NULL;
	jobq_session_forbid_cancel();
	jobq_session_restore_signals();
	jobq_watch_end();
	run->noticed = jobq_watch_noticed() || jobq_session_has_claims();
	if (run->timeout > 0)
		disable_timeout(job_timeout, false);
	interruption = jobq_slot_end_job(&worker_ref);
	run->outcome.timed_out = timeouts > 0 && failed;
	run->outcome.cancelled = interruption == JOBQ_CANCELLED;
	run->outcome.evicted = interruption == JOBQ_EVICTED && failed;
	run->outcome.finished_at = jobq_now();
	run->outcome.delay = !failed ? -1 :
		jobq_current_job_delay(run->outcome.error->sqlerrcode);
	jobq_session_drop_cancel(interruption != JOBQ_NOT_INTERRUPTED);
	jobq_current_job_end();
	error_context_stack = run->callback.previous;
	debug_query_string = NULL;
}

/* Called when it turns out that the job cannot be run now. */
static void
withdraw(JobqRun *run)
{
	running = NULL;
	jobq_watch_end();
	if (run->timeout > 0)
		disable_timeout(job_timeout, false);
	error_context_stack = run->callback.previous;
	run->code_was_run = false;
}

/* Whether code has tried to end its transaction, in whichever language. */
static bool
is_termination(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_INVALID_TRANSACTION_TERMINATION ||
		(error->sqlerrcode == ERRCODE_EXTERNAL_ROUTINE_EXCEPTION &&
		 strstr(error->message, "invalid transaction termination") != NULL);
}

/* Takes over the current error, which has ended the job's code. */
static void
catch_error(JobqRun *run)
{
	ErrorData  *error;

	MemoryContextSwitchTo(run->context);
	error = CopyErrorData();
	FlushErrorState();
	jobq_current_job_recognize(error);
	if (run->lease == 0 && error->hint == NULL && is_termination(error))
		error->hint = run->call.handler != NULL ?
			"Make the handler a procedure; it is called outside a transaction block and may use COMMIT and ROLLBACK." :
			"Give jobq.run() a CALL of a procedure; it is run outside a transaction block and may use COMMIT and ROLLBACK.";
	run->outcome.error = error;
}

/*
 * SET CONSTRAINTS ALL IMMEDIATE: deferred checks are part of the job.  Lasts
 * until the end of the transaction.
 */
static void
fire_deferred_triggers(void)
{
	ConstraintsSetStmt *statement = makeNode(ConstraintsSetStmt);

	statement->constraints = NIL;
	statement->deferred = false;
	AfterTriggerSetState(statement);
}

/* Runs the job's own code and its deferred checks. */
static void
run_code(JobqRun *run)
{
	int			settings = jobq_session_begin_settings();

	XactReadOnly = run->read_only;
	CHECK_FOR_INTERRUPTS();
	run->outcome.has_result =
		jobq_call_in_transaction(&run->call, run->context,
								 &run->outcome.result);
	if (jobq_run_is_batch(run) && run->outcome.has_result)
		run->results = jobq_batch_results(run->outcome.result, run->nparts,
										  run->context);
	if (jobq_watch_noticed())
		fire_deferred_triggers();
	CHECK_FOR_INTERRUPTS();
	jobq_session_forbid_cancel();
	jobq_session_end_settings(settings);
}

bool
jobq_execute_in_subtransaction(JobqRun *run)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	volatile bool needs_top_level = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	begin_user_code(run);
	PG_TRY();
	{
		if (jobq_call_needs_top_level(&run->call))
			needs_top_level = true;
		else
			run_code(run);
		jobq_session_forbid_cancel();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		jobq_session_forbid_cancel();
		catch_error(run);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	if (needs_top_level)
		withdraw(run);
	else
		end_user_code(run);
	return !needs_top_level;
}

void
jobq_execute_at_top_level(JobqRun *run)
{
	MemoryContextSwitchTo(run->context);
	begin_user_code(run);
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
		jobq_call_at_top_level(&run->call, run->context);
	}
	PG_CATCH();
	{
		jobq_session_forbid_cancel();
		catch_error(run);
		AbortOutOfAnyTransaction();
	}
	PG_END_TRY();
	end_user_code(run);
	if (IsTransactionState())
		AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(run->context);
}

/*
 * Lets cancels and a time limit interrupt the code that follows, which is not
 * the job itself but runs on its behalf.  The caller handles the error; if the
 * process is terminated during this code, the job's attempt counts.
 */
void
jobq_execute_begin_limit(const JobqRun *run, int milliseconds)
{
	limited = true;
	running = run;
	timeouts = 0;
	enable_timeout_every(job_timeout,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 milliseconds),
						 TIMEOUT_REPEAT_MS);
	jobq_session_allow_cancel();
}

void
jobq_execute_end_limit(void)
{
	jobq_session_forbid_cancel();
	disable_timeout(job_timeout, false);
	jobq_session_drop_cancel(true);
	running = NULL;
	limited = false;
}

void
jobq_execute_clean_up(void)
{
	running = NULL;
	limited = false;
	jobq_watch_end();
	(void) jobq_slot_end_job(&worker_ref);
	jobq_slot_forget_job(&worker_ref);
	disable_timeout(job_timeout, false);
	jobq_session_drop_cancel(true);
	jobq_current_job_end();
}
