/*-------------------------------------------------------------------------
 *
 * run.c
 *	  Running one job.
 *
 * A job's row is locked from the moment it is found.  What may run in a
 * transaction block runs in a subtransaction of the transaction that holds
 * the lock; then the row is deleted, and everything is one commit.  What may
 * not (procedures, VACUUM) is claimed by a lease first, which ends with this
 * process, runs at top level, and is finished by a transaction of its own.
 *
 * Users' code runs between begin_user_code() and end_user_code() only.  There
 * and nowhere else cancels and timeouts are acted upon.  When it is through
 * the session is reset before anything is written down.
 *
 * An error of the job itself is an outcome.  One in finding, recording or
 * committing a job arrives in jobq_run_next(), which records it as the job's
 * failure in another transaction if a job had been run, so that a job that
 * cannot be committed uses up its attempts.
 *
 * IDENTIFICATION
 *	  bgworker/run.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "call.h"
#include "crash_note.h"
#include "current_job.h"
#include "guc.h"
#include "lease.h"
#include "outcome.h"
#include "queue.h"
#include "run.h"
#include "session.h"
#include "worker.h"
#include "xact.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

/* How often to look whether the extension is still there. */
#define CHECK_INTERVAL_MS 1000

/* After its timeout a job is interrupted again every so many milliseconds. */
#define TIMEOUT_REPEAT_MS 500

/* A backoff_function must not take longer. */
#define BACKOFF_TIMEOUT_MS 5000

/* The job at hand. */
typedef struct Run
{
	JobqOutcome outcome;
	JobqCall	call;
	MemoryContext context;		/* of all that belongs to the job */
	int64		timeout;		/* microseconds, 0: none */
	int64		lease;			/* 0: the row lock is the claim */
	bool		read_only;		/* as the role's settings have it */
	bool		code_was_run;
	ErrorContextCallback callback;
} Run;

static JobqWorkerRef worker_ref;
static Oid	worker_role = InvalidOid;
static TimeoutId job_timeout;
static MemoryContext run_context = NULL;
static volatile sig_atomic_t timed_out = false;
static bool in_user_code = false;
static TimestampTz checked_at = 0;	/* 0: not */

bool
jobq_run_is_in_user_code(void)
{
	return in_user_code;
}

/* The job has run long enough. */
static void
interrupt_job(void)
{
	timed_out = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

void
jobq_run_set_up(const JobqWorkerRef *worker, Oid role)
{
	worker_ref = *worker;
	worker_role = role;
	job_timeout = RegisterTimeout(USER_TIMEOUT, interrupt_job);
	run_context = AllocSetContextCreate(TopMemoryContext, "jobq job",
										ALLOCSET_DEFAULT_SIZES);
}

static void
add_context(void *arg)
{
	const Run  *run = arg;

	errcontext("job " INT64_FORMAT " of queue \"%s\"", run->outcome.job_id,
			   run->outcome.queue_name);
}

/* Copies what of the job is needed until its end. */
static Run *
make_run(const JobqFound *found)
{
	const JobqJob *job = &found->job;
	MemoryContext oldcontext = MemoryContextSwitchTo(run_context);
	Run		   *run = palloc0(sizeof(Run));

	run->context = run_context;
	run->outcome.job_id = job->id;
	run->outcome.attempt = jobq_job_current_attempt(job);
	run->outcome.queue = job->queue;
	run->outcome.queue_name = pstrdup(found->queue->name);
	run->outcome.started_at = job->started_at;
	run->timeout = jobq_job_timeout(job, found->queue);
	run->call.queue = job->queue;
	if (!job->nulls[Anum_job_command - 1])
		run->call.command =
			TextDatumGetCString(job->values[Anum_job_command - 1]);
	else if (found->queue->handler != NULL)
		run->call.handler = pstrdup(found->queue->handler);
	run->call.payload = PointerGetDatum(PG_DETOAST_DATUM_COPY(job->values[Anum_job_payload - 1]));
	MemoryContextSwitchTo(oldcontext);
	return run;
}

/*
 * There seem to be more jobs than this one: has another executor look, unless
 * one is about to.
 */
static void
ask_for_help(const JobqFound *found)
{
	JobqWorkerCounts counts;

	if (!found->more)
		return;
	if (jobq_worker_wake(MyDatabaseId, worker_role))
		return;
	if (found->queue->state == NULL ||
		pg_atomic_exchange_u32(&found->queue->state->work, 1) != 0)
	{
		/*
		 * whoever set the flag has woken the coordinator; but it waits for an
		 * executor that starts to ask for the next one
		 */
		jobq_worker_count(MyDatabaseId, worker_role, &counts);
		if (counts.starting > 0 || counts.total >= jobq_max_workers)
			return;
	}
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_WORK);
}

/*
 * From here on the job can be cancelled.  True if somebody has woken this
 * process since it looked for jobs: for another job, then.
 */
static bool
publish(Run *run)
{
	timed_out = false;
	jobq_session_drop_lock_timeout();
	return jobq_worker_begin_job(&worker_ref, run->outcome.queue,
								 run->outcome.job_id, run->outcome.attempt);
}

/* The job's own code comes next. */
static void
begin_user_code(Run *run)
{
	char		activity[NAMEDATALEN + 40];

	run->code_was_run = true;
	in_user_code = true;
	run->callback.callback = add_context;
	run->callback.arg = run;
	run->callback.previous = error_context_stack;
	error_context_stack = &run->callback;

	snprintf(activity, sizeof(activity), "%s job " INT64_FORMAT,
			 run->outcome.queue_name, run->outcome.job_id);
	set_ps_display(activity);
	debug_query_string = run->call.command != NULL ? run->call.command :
		run->call.handler;
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	if (run->timeout > 0)
		enable_timeout_every(job_timeout,
							 GetCurrentTimestamp() + run->timeout,
							 TIMEOUT_REPEAT_MS);
	jobq_session_allow_cancel();
}

/*
 * The job's own code is through, by return or by error: nobody can cancel it
 * any more, nor what comes after it.
 */
static void
end_user_code(Run *run)
{
	in_user_code = false;
	jobq_session_forbid_cancel();
	if (run->timeout > 0)
		disable_timeout(job_timeout, false);
	run->outcome.timed_out = timed_out;
	run->outcome.cancelled = jobq_worker_end_job(&worker_ref);
	run->outcome.retry_in = jobq_current_job_retry_in();
	jobq_session_drop_cancel();
	jobq_current_job_end();
	error_context_stack = run->callback.previous;
	debug_query_string = NULL;
}

/* Takes over the error that is being handled. */
static void
catch_error(Run *run)
{
	MemoryContextSwitchTo(run->context);
	run->outcome.error = CopyErrorData();
	FlushErrorState();
}

/* SET CONSTRAINTS ALL IMMEDIATE: what is left to do is the job's affair. */
static void
fire_deferred_triggers(void)
{
	ConstraintsSetStmt *statement = makeNode(ConstraintsSetStmt);

	statement->constraints = NIL;
	statement->deferred = false;
	AfterTriggerSetState(statement);
}

/*
 * Runs a job in a subtransaction.  False if it cannot be run in a transaction
 * at all: then nothing has been done.
 */
static bool
run_in_subtransaction(Run *run)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	volatile bool needs_top_level = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	XactReadOnly = run->read_only;
	begin_user_code(run);
	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
		if (jobq_call_needs_top_level(&run->call))
			needs_top_level = true;
		else
		{
			run->outcome.has_result =
				jobq_call_in_transaction(&run->call, run->context,
										 &run->outcome.result);
			fire_deferred_triggers();
			CHECK_FOR_INTERRUPTS();
		}
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
	if (!needs_top_level)
	{
		end_user_code(run);
		return true;
	}
	if (run->timeout > 0)
		disable_timeout(job_timeout, false);
	error_context_stack = run->callback.previous;
	run->code_was_run = false;
	in_user_code = false;
	return false;
}

/* Commits, and says how it ended. */
static void
commit(Run *run)
{
	CommitTransactionCommand();
	jobq_session_release_locks();
	if (run != NULL)
		jobq_outcome_log(&run->outcome);
}

/* Runs a job outside any transaction. */
static void
run_at_top_level(Run *run)
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
 * Claims a job by a lease that ends with this process.  The claim's commit
 * comes before its code.
 */
static void
claim(Run *run, JobqFound *found)
{
	run->lease = jobq_lease_new();
	jobq_job_claim(found->jobs, &found->job, run->lease, JOBQ_NEVER,
				   psprintf("pid %d", MyProcPid));
	(void) jobq_current_job_row();
	jobq_table_close(found->jobs);
	commit(NULL);
}

/* Starts a transaction of jobq's own: the role's settings do not matter. */
static void
begin_bookkeeping(void)
{
	jobq_worker_begin();
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	XactDeferrable = false;
}

/* Finishes a job that was run, in the current transaction. */
static void
record(Run *run, JobqTable *jobs, bool may_run_functions)
{
	JobqJob		job;
	const JobqQueue *queue;

	if (jobq_job_lock(jobs, run->outcome.job_id, JOBQ_WAIT, &job) !=
		JOBQ_FOUND)
		return;					/* the job has finished itself */
	if (run->lease != 0 ?
		job.state != JOBQ_STATE_RUNNING || job.lease != run->lease :
		job.state != JOBQ_STATE_PENDING ||
		jobq_job_current_attempt(&job) != run->outcome.attempt)
		return;					/* or somebody else has taken it over */
	queue = jobq_queue_by_id(job.queue);
	if (queue == NULL)
		return;
	if (run->lease == 0)
		job.started_at = run->outcome.started_at;
	if (!may_run_functions || run->outcome.error == NULL ||
		queue->backoff_function == NULL)
	{
		jobq_outcome_record(&run->outcome, jobs, &job, queue, false);
		return;
	}

	/*
	 * The owner's backoff_function is not to run for ever.  If it is
	 * interrupted, jobq_run_next() records the job without it.
	 */
	enable_timeout_after(job_timeout, BACKOFF_TIMEOUT_MS);
	jobq_session_allow_cancel();
	jobq_outcome_record(&run->outcome, jobs, &job, queue, true);
	jobq_session_forbid_cancel();
	disable_timeout(job_timeout, false);
	jobq_session_drop_cancel();
}

/* Records a job in a transaction of its own. */
static void
record_afresh(Run *run, bool may_run_functions)
{
	JobqTable  *jobs;

	begin_bookkeeping();
	if (jobq_worker_lock_extension() == JOBQ_INSTALLED)
	{
		jobq_session_reset();
		jobs = jobq_table_open(JOBQ_REL_JOB);
		record(run, jobs, may_run_functions);
		jobq_table_close(jobs);
	}
	commit(run);
}

/* Runs the job that was found, and finishes it. */
static void
run_found(Run *run, JobqFound *found)
{
	if (publish(run))
		found->more = true;
	ask_for_help(found);
	jobq_current_job_begin(&found->job, found->queue, run->context);
	jobq_crash_note_write(run->outcome.job_id, run->outcome.attempt,
						  run->outcome.started_at);
	if (run_in_subtransaction(run))
	{
		XactReadOnly = false;
		jobq_session_reset();
		record(run, found->jobs, true);
		jobq_table_close(found->jobs);
		commit(run);
		return;
	}
	jobq_crash_note_clear();
	claim(run, found);
	run_at_top_level(run);
	record_afresh(run, true);
}

/*
 * jobq's own code has failed.  If a job has been run that is its failure,
 * unless that cannot be written down either.
 */
static bool
recover(Run *volatile run)
{
	volatile bool result = false;

	AbortOutOfAnyTransaction();
	checked_at = 0;
	(void) jobq_worker_end_job(&worker_ref);
	disable_timeout(job_timeout, false);
	jobq_session_drop_cancel();
	jobq_current_job_end();
	jobq_session_release_locks();
	if (run == NULL || !run->code_was_run)
		return false;
	PG_TRY();
	{
		record_afresh(run, false);
		result = true;
	}
	PG_CATCH();
	{
		jobq_session_forbid_cancel();
		MemoryContextSwitchTo(TopMemoryContext);
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
	}
	PG_END_TRY();
	return result;
}

/*
 * Whether the extension is there, and this library's.  Not asked for each
 * job: the lock on the jobs keeps it from being dropped, and if it has been
 * that is an error, after which this is asked again.
 */
static bool
is_installed(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(checked_at, now, CHECK_INTERVAL_MS))
		return true;
	checked_at = 0;
	if (jobq_worker_lock_extension() != JOBQ_INSTALLED)
		return false;
	checked_at = now;
	return true;
}

/* Finds a job and runs it. */
static JobqRunResult
find_and_run(Run *volatile *run)
{
	JobqFound	found;
	bool		read_only;

	jobq_worker_begin();
	read_only = XactReadOnly;
	XactReadOnly = false;
	if (!is_installed())
	{
		CommitTransactionCommand();
		return JOBQ_RUN_NOT_INSTALLED;
	}
	if (!jobq_find_job(worker_role, &found))
	{
		CommitTransactionCommand();
		return found.counted ? JOBQ_RUN_DONE : JOBQ_RUN_NOTHING;
	}
	*run = make_run(&found);
	(*run)->read_only = read_only;
	run_found(*run, &found);
	return JOBQ_RUN_DONE;
}

/* Runs the next job of the role, if there is one. */
JobqRunResult
jobq_run_next(void)
{
	Run		   *volatile run = NULL;
	volatile JobqRunResult result = JOBQ_RUN_FAILED;
	ErrorContextCallback *callbacks = error_context_stack;

	MemoryContextReset(run_context);
	MemoryContextSwitchTo(run_context);
	PG_TRY();
	{
		result = find_and_run(&run);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		jobq_session_forbid_cancel();
		error_context_stack = callbacks;
		MemoryContextSwitchTo(run_context);
		error = CopyErrorData();
		if (run == NULL || !run->code_was_run)
			EmitErrorReport();
		FlushErrorState();
		if (run != NULL && run->outcome.error == NULL)
			run->outcome.error = error;
		result = recover(run) ? JOBQ_RUN_DONE : JOBQ_RUN_FAILED;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	return result;
}
