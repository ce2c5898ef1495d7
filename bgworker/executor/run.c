/*-------------------------------------------------------------------------
 *
 * run.c
 *	  Running jobs, one or several in a transaction.
 *
 * A job's row is locked when the job is found.  Code that may run in a
 * transaction block runs in a subtransaction of the transaction that holds the
 * lock; then the row is deleted.  A job whose code may not (procedures,
 * VACUUM) is first claimed with a lease that ends with this process, then runs
 * at top level, and is finished in a transaction of its own.
 *
 * Short jobs share a transaction, and thus one commit: share.c decides which
 * jobs may share, and watch.c which job must be the last one.  The transaction
 * commits as soon as no other job may follow, and never waits for new jobs.
 *
 * Users' code runs only in execute.c; record.c records what came of it.  When
 * a job has ended, the session is reset before anything is recorded.
 * Temporary objects of the transaction are removed before that.  Committed ones are
 * removed after it: a failure must not make a job run again that has committed.
 *
 * An error of the job itself is an outcome, and rolls back that job's
 * subtransaction.  An error in finding, recording or committing jobs is caught
 * in jobq_run_next(); blame.c records which job's failure it is, in another
 * transaction.
 *
 * IDENTIFICATION
 *	  bgworker/executor/run.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/run.h"

#include "base/lease_number.h"
#include "bgworker/executor/batch.h"
#include "bgworker/executor/blame.h"
#include "bgworker/executor/crash_note.h"
#include "bgworker/executor/execute.h"
#include "bgworker/executor/find.h"
#include "bgworker/executor/outcome.h"
#include "bgworker/executor/pass_on.h"
#include "bgworker/executor/record.h"
#include "bgworker/executor/role.h"
#include "bgworker/executor/session.h"
#include "bgworker/executor/share.h"
#include "bgworker/executor/unrecorded.h"
#include "bgworker/worker.h"
#include "job/current_job.h"
#include "job/transition.h"
#include "queue/queue_row.h"
#include "shared/async_commit.h"
#include "shared/clock.h"
#include "shared/lease_registry.h"
#include "shared/slot.h"
#include "shared/slot_job.h"
#include "shared/slot_own.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* How often to check whether the extension still exists. */
#define CHECK_INTERVAL_MS 1000

/* A transaction and the jobs that are run in it. */
typedef struct Transaction
{
	JobqFinder	finder;
	JobqSharing sharing;
	bool		read_only;		/* as the role's settings have it */
	JobqRanJobs ran;
	List	   *outcomes;		/* to be logged */
} Transaction;

/* Called when a job has been found, before it is run. */
static void (*before_each_job) (void);

static JobqWorkerRef worker_ref;
static Oid	worker_role = InvalidOid;
static MemoryContext xact_context = NULL;
static MemoryContext run_context = NULL;	/* of the job at hand */
static TimestampTz checked_at = 0;	/* 0: not */

void
jobq_run_set_up(const JobqWorkerRef *worker, Oid role,
				void (*before_job) (void))
{
	before_each_job = before_job;
	worker_ref = *worker;
	worker_role = role;
	xact_context = AllocSetContextCreate(TopMemoryContext, "jobq transaction",
										 ALLOCSET_DEFAULT_SIZES);
	run_context = AllocSetContextCreate(TopMemoryContext, "jobq job",
										ALLOCSET_DEFAULT_SIZES);
	jobq_role_set_up(role);
	jobq_execute_set_up(worker);
	jobq_blame_set_up(&worker_ref);
	jobq_pass_on_set_up(worker, role);
}

/* Copies the parts of the job that are needed until its end. */
static JobqRun *
make_run(const Transaction *xact, const JobqFound *found)
{
	const JobqJob *job = &found->job;
	MemoryContext oldcontext = MemoryContextSwitchTo(run_context);
	JobqRun    *run = palloc0(sizeof(JobqRun));

	run->context = run_context;
	run->outcome.job_id = job->id;
	run->outcome.attempt = jobq_job_current_attempt(job);
	run->outcome.queue = job->queue;
	run->outcome.queue_name = pstrdup(found->queue->name);
	run->outcome.started_at = job->started_at;
	run->state = found->queue->state;
	run->tid = job->slot->tts_tid;
	run->read_only = xact->read_only;
	run->may_share = xact->sharing.possible &&
		jobq_share_allows_job(&xact->sharing, job, found->queue);
	run->timeout = jobq_job_timeout(job, found->queue);
	(void) jobq_outcome_database(); /* the end of the process may need it */
	run->call.queue = job->queue;
	if (!job->nulls[Anum_job_command - 1])
		run->call.command =
			TextDatumGetCString(job->values[Anum_job_command - 1]);
	else if (found->queue->handler != NULL)
		run->call.handler = pstrdup(found->queue->handler);
	if (found->batch != NULL)
		jobq_batch_make(run, found->batch, found->njobs, found->queue);
	run->call.is_batch = found->batch != NULL;
	run->call.payload.isnull = run->call.is_batch ||
		job->nulls[Anum_job_payload - 1];
	if (!run->call.payload.isnull)
		run->call.payload.value =
			PointerGetDatum(PG_DETOAST_DATUM_COPY(job->values[Anum_job_payload - 1]));
	MemoryContextSwitchTo(oldcontext);
	return run;
}

/*
 * From here on the job can be cancelled.  Earlier cancels, such as
 * pg_cancel_backend() on an idle executor, were not meant for it.  Returns
 * true if this process was woken since it looked for jobs, for another job in
 * the queue *woken_for or in one whose flag is set.
 */
static bool
publish(const JobqRun *run, const Transaction *xact, int32 *woken_for)
{
	before_each_job();
	jobq_session_drop_lock_timeout();
	jobq_session_drop_cancel(false);
	return jobq_slot_begin_job(&worker_ref, run->outcome.queue,
							   run->outcome.job_id, run->outcome.attempt,
							   jobq_run_is_batch(run), xact->ran.count,
							   woken_for);
}

/*
 * Claims a job with a lease that ends with this process, and commits the claim
 * before the job's code runs.
 */
static void
claim(JobqRun *run, Transaction *xact, JobqFound *found)
{
	run->lease = jobq_lease_new();
	jobq_lease_use_reserve(run->lease);
	PushActiveSnapshot(GetLatestSnapshot());
	if (!jobq_queue_counts_starts(found->queue))
		found->job.started_at = jobq_now();
	if (!jobq_job_claim(xact->finder.jobs, &found->job, found->queue,
						run->lease, JOBQ_NEVER, psprintf("pid %d", MyProcPid)))
		elog(ERROR, "job " INT64_FORMAT " is not locked", found->job.id);
	if (found->job.attempt >=
		jobq_job_max_attempts(&found->job, found->queue))
		jobq_async_commit_insist();
	(void) jobq_current_job_row();
	PopActiveSnapshot();
	jobq_slot_set_lease(&worker_ref, run->lease);
	jobq_session_watch_claims(run->lease);
	jobq_find_end(&xact->finder);
	CommitTransactionCommand();
}

/* Records a job's outcome in the transaction in which it was run. */
static void
finish(Transaction *xact, JobqRun *run)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);

	XactReadOnly = false;
	jobq_session_tidy(run->noticed);
	jobq_record(run, xact->finder.jobs, false, true);
	MemoryContextSwitchTo(xact_context);
	for (int i = 0; i < jobq_run_nparts(run); i++)
	{
		const JobqOutcome *outcome = &jobq_run_part(run, i)->outcome;

		if (outcome->log_message != NULL)
			xact->outcomes = lappend(xact->outcomes,
									 jobq_outcome_copy(outcome));
	}
	MemoryContextSwitchTo(oldcontext);
}

/* Commits, and logs how the jobs ended. */
static void
commit(Transaction *xact)
{
	ListCell   *lc;

	jobq_find_end(&xact->finder);
	CommitTransactionCommand();
	jobq_blame_end();
	if (xact->ran.count > 0)
		jobq_slot_forget_job(&worker_ref);
	jobq_session_release();
	foreach(lc, xact->outcomes)
		jobq_outcome_log(lfirst(lc));
}

/*
 * Commits the transaction without the job that was found, whose code has not
 * been run.  The job is no longer locked then, and is found again.
 */
static void
leave_job(Transaction *xact, JobqFound *found)
{
	jobq_find_undo_start(found);
	if (jobq_slot_end_job(&worker_ref) == JOBQ_CANCELLED)
		jobq_at_commit_wake(JOBQ_WAKE_CANCEL);
	jobq_slot_forget_job(&worker_ref);
	jobq_session_drop_cancel(true);
	jobq_current_job_end();
	commit(xact);
}

/*
 * Handles a job that cannot be run in a transaction.  If others have been run
 * in this one, it has to wait until they are committed.
 */
static void
run_elsewhere(Transaction *xact, JobqRun *run, JobqFound *found)
{
	jobq_share_forbid(run->state);
	jobq_crash_note_clear();
	if (xact->ran.count > 0)
	{
		leave_job(xact, found);
		return;
	}
	claim(run, xact, found);
	jobq_blame_close();
	xact->ran.count = 1;
	jobq_execute_at_top_level(run);
	jobq_record_afresh(run, &worker_ref, true);
}

/*
 * Makes a job, or a batch, the current one, and notes it for the case of a
 * crash.  Returns false if that cannot be noted.
 */
static bool
begin_job(const JobqRun *run, const Transaction *xact, const JobqFound *found)
{
	if (jobq_run_is_batch(run))
	{
		jobq_current_job_begin_batch(found->batch, found->njobs, found->queue,
									 run->context);
		return jobq_batch_write_crash_note(run);
	}
	jobq_current_job_begin(&found->job, found->queue, run->context);
	return jobq_crash_note_write(xact->ran.count, run->outcome.job_id,
								 run->outcome.attempt,
								 run->outcome.started_at);
}

/*
 * Runs the job that was found, and finishes it.  Returns false if the
 * transaction has ended.
 */
static bool
run_found(Transaction *xact, JobqRun *run, JobqFound *found)
{
	int32		woken_for;

	if (publish(run, xact, &woken_for) && woken_for == JOBQ_NO_QUEUE)
		found->more = true;
	if (found->more)
		jobq_pass_on_look(found->queue->id, found->queue->state,
						  found->sees_more);
	jobq_pass_on_queue(woken_for);
	jobq_pass_on_queue(jobq_find_owed(found->queue->id));
	if (!begin_job(run, xact, found))
	{
		jobq_unrecorded_note_file();
		leave_job(xact, found);
		return false;
	}
	jobq_start_keep(&found->start, found->queue);
	jobq_start_keep_of_group(&found->group_start, found->queue);
	jobq_share_note_start(&xact->sharing);
	if (!jobq_execute_in_subtransaction(run))
	{
		run_elsewhere(xact, run, found);
		return false;
	}
	jobq_share_note_end(&xact->sharing, run->state,
						run->outcome.started_at, run->outcome.finished_at);
	jobq_blame_add(&xact->ran, run);
	xact->ran.looking = false;
	finish(xact, run);
	return true;
}

/* Whether another job may follow this one in the transaction. */
static bool
find_another(Transaction *xact, const JobqRun *run, JobqFound *found)
{
	xact->ran.looking = true;
	if (run->may_share)
		jobq_blame_share();
	return run->may_share && !run->noticed && !run->outcome.evicted &&
		!ConfigReloadPending && !jobq_unrecorded_is_noted() &&
		jobq_share_is_open(&xact->sharing, xact->ran.count,
						   run->outcome.finished_at) &&
		!jobq_slot_must_leave(&worker_ref) &&
		jobq_find_another_job(&xact->finder, &xact->sharing, found);
}

/*
 * Runs jobs in the current transaction, beginning with the one found, and ends
 * the transaction.
 */
static void
run_jobs(Transaction *xact, JobqFound *found, JobqRun *volatile *run)
{
	for (;;)
	{
		/* no lock is taken from here on that would tell of a new handler */
		AcceptInvalidationMessages();
		PushActiveSnapshot(GetLatestSnapshot());
		*run = make_run(xact, found);
		PopActiveSnapshot();
		if (!run_found(xact, *run, found))
			return;
		if (!find_another(xact, *run, found))
			break;
		*run = NULL;
		MemoryContextReset(run_context);
		SetCurrentStatementStartTimestamp();
	}
	xact->ran.looking = false;
	commit(xact);
}

/*
 * Whether the extension exists and has the library's version.  Not checked for
 * each job: the lock on the table of jobs keeps it from being dropped, and an
 * error makes this check run again.
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

/*
 * Finds jobs and runs them in a transaction.  A job that became due after the
 * transaction began is left to the next one, which begins at once, since its
 * now() must not be earlier than run_at.
 */
static JobqRunResult
run_transaction(Transaction *xact, JobqRun *volatile *run)
{
	TimestampTz now = jobq_now();
	JobqFound	found;

	jobq_worker_begin();
	jobq_share_begin(&xact->sharing, now);
	xact->read_only = XactReadOnly;
	if (jobq_role_is_shut_out())
	{
		CommitTransactionCommand();
		return JOBQ_RUN_NO_ROLE;
	}
	if (XactReadOnly && jobq_session_is_frozen())
	{
		CommitTransactionCommand();
		return JOBQ_RUN_FROZEN;
	}
	XactReadOnly = false;
	if (!is_installed())
	{
		CommitTransactionCommand();
		return JOBQ_RUN_NOT_INSTALLED;
	}
	jobq_find_begin(&xact->finder, worker_role, xact->sharing.begun_at,
					xact_context);
	if (!jobq_find_job(&xact->finder, &found))
	{
		commit(xact);
		return JOBQ_RUN_NOTHING;
	}
	if (found.counted || found.is_newer)
	{
		jobq_find_undo_start(&found);
		commit(xact);
	}
	else
		run_jobs(xact, &found, run);
	/* nothing prevents this process from running the job */
	if (*run != NULL && (*run)->outcome.evicted && (*run)->state == NULL)
		return JOBQ_RUN_FAILED;
	return JOBQ_RUN_DONE;
}

/*
 * Recovers from an error that was not a job's own.  What a job did to the
 * session in a transaction is undone with it.  A job that ran at top level has
 * left changes in the session until it is recorded, and its lease lasts as
 * long as the process.  What it has done is not undone either, so if it has
 * succeeded, that is recorded once more: it may have had all of the server's
 * locks until now.
 */
static JobqRunResult
recover(Transaction *xact, JobqRun *run, ErrorData *error)
{
	bool		several = xact->ran.count > 1 ||
	(xact->ran.count == 1 && xact->ran.looking);

	if (!several && run != NULL && run->code_was_run)
		jobq_blame_note_attempt(run, error);
	AbortOutOfAnyTransaction();
	jobq_blame_close();
	checked_at = 0;
	jobq_execute_clean_up();
	jobq_session_release();
	if (several)
	{
		jobq_blame_none(&xact->ran, error);
		return JOBQ_RUN_DONE;
	}
	if (run == NULL || !run->code_was_run)
		return JOBQ_RUN_FAILED;
	if (run->outcome.error == NULL && run->lease == 0)
		run->outcome.error = error;
	return jobq_blame_job(run) ? JOBQ_RUN_DONE : JOBQ_RUN_SPOILED;
}

/* Runs the next jobs of the role, if there are any. */
JobqRunResult
jobq_run_next(void)
{
	JobqRun    *volatile run = NULL;
	volatile JobqRunResult result = JOBQ_RUN_FAILED;
	ErrorContextCallback *callbacks = error_context_stack;
	Transaction xact;

	if (jobq_unrecorded_is_noted() && !jobq_unrecorded_try())
		return JOBQ_RUN_HELD;
	MemoryContextReset(run_context);
	MemoryContextReset(xact_context);
	MemoryContextSwitchTo(xact_context);
	memset(&xact, 0, sizeof(xact));
	jobq_blame_begin(&xact.ran);
	PG_TRY();
	{
		result = run_transaction(&xact, &run);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		jobq_session_forbid_cancel();
		error_context_stack = callbacks;
		MemoryContextSwitchTo(xact_context);
		error = CopyErrorData();
		if (run == NULL || !run->code_was_run ? xact.ran.count == 0 :
			run->lease != 0 && run->outcome.error == NULL)
			EmitErrorReport();
		FlushErrorState();
		result = recover(&xact, run, error);
	}
	PG_END_TRY();
	jobq_blame_end();
	MemoryContextSwitchTo(TopMemoryContext);
	return result;
}
