/*-------------------------------------------------------------------------
 *
 * blame.c
 *	  Which attempt counts if jobs that were run are not recorded.
 *
 * This happens if the process is terminated, and if an error of jobq's own
 * code, or the commit, rolls back the transaction in which jobs were run.  If
 * there was one job, it is to blame, so that one that cannot be committed uses
 * up its attempts.  If there were several, none is: all are ready again, and
 * run one by one for a while, which shows which one is at fault.
 *
 * IDENTIFICATION
 *	  bgworker/executor/blame.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/blame.h"

#include "bgworker/executor/crash_note.h"
#include "bgworker/executor/record.h"
#include "bgworker/executor/session.h"
#include "bgworker/executor/unrecorded.h"
#include "job/crash_file.h"
#include "shared/database.h"
#include "shared/slot_job.h"
#include "shared/termination.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"

static const JobqWorkerRef *worker_ref;

/* Those of the current, uncommitted transaction, or NULL. */
static JobqRanJobs *volatile open_jobs = NULL;

/*
 * A job with a transaction of its own whose code has ended but whose outcome
 * is not committed, or NULL.
 */
static const JobqRun *volatile unrecorded = NULL;

void
jobq_blame_set_up(const JobqWorkerRef *worker)
{
	worker_ref = worker;
}

void
jobq_blame_begin(JobqRanJobs *ran)
{
	open_jobs = ran;
	unrecorded = NULL;
}

/* The transaction has ended; the job is still at hand. */
void
jobq_blame_close(void)
{
	open_jobs = NULL;
}

/* The job's outcome shares its transaction with other jobs from now on. */
void
jobq_blame_share(void)
{
	unrecorded = NULL;
}

void
jobq_blame_end(void)
{
	open_jobs = NULL;
	unrecorded = NULL;
}

/*
 * Logs why the process is terminated; the server itself only logs an
 * administrator command.
 */
static void
log_termination(const JobqRun *run, JobqInterruption interruption)
{
	if (interruption == JOBQ_NOT_INTERRUPTED && !jobq_execute_is_overdue())
		return;
	ereport(LOG,
			(interruption == JOBQ_EVICTED ?
			 errmsg("job " INT64_FORMAT " of queue \"%s\" did not end when its queue was being dropped",
					run->outcome.job_id, run->outcome.queue_name) :
			 interruption == JOBQ_CANCELLED ?
			 errmsg("job " INT64_FORMAT " of queue \"%s\" did not end when it was cancelled",
					run->outcome.job_id, run->outcome.queue_name) :
			 jobq_execute_is_limited() ?
			 errmsg("backoff_function of queue \"%s\" did not end for job " INT64_FORMAT,
					run->outcome.queue_name, run->outcome.job_id) :
			 errmsg("job " INT64_FORMAT " of queue \"%s\" did not end after its timeout",
					run->outcome.job_id, run->outcome.queue_name),
			 errdetail("The background worker that runs it in database \"%s\" is being terminated.",
					   jobq_outcome_database())));
}

/*
 * Notes the attempt of each job of a run, of which the rest is given, in shared memory.
 * Returns false if there was no room for some that must have files instead.
 */
static bool
note_attempts(const JobqRun *run, JobqTermination *termination)
{
	bool		all = true;

	termination->dboid = MyDatabaseId;
	termination->started_at = run->outcome.started_at;
	termination->pid = MyProcPid;
	termination->leased = run->lease != 0;
	for (int i = 0; i < jobq_run_nparts(run); i++)
	{
		const JobqOutcome *outcome = &jobq_run_part(run, i)->outcome;

		termination->job_id = outcome->job_id;
		termination->attempt = outcome->attempt;
		all = jobq_termination_note(termination) && all;
	}
	/* a lease has been committed, and will be lost */
	return all || termination->leased;
}

/* They have been recorded. */
static void
forget_attempts(const JobqRun *run)
{
	bool		have_files = run->lease == 0 && jobq_terminations_left_out() != 0;

	for (int i = 0; i < jobq_run_nparts(run); i++)
	{
		const JobqOutcome *outcome = &jobq_run_part(run, i)->outcome;

		jobq_termination_forget(outcome->job_id, outcome->attempt);
		if (have_files)
			(void) jobq_crash_file_remove_attempt(MyDatabaseId, outcome->job_id,
												  outcome->attempt);
	}
	if (have_files)
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NOTES);
}

/*
 * The run to blame if the process is terminated now, or NULL: the job at hand, or the
 * one whose outcome is not committed.  Code that runs on behalf of one job of a batch
 * ends all of its jobs.
 */
static const JobqRun *
run_to_blame(void)
{
	const JobqRun *run = jobq_execute_running();

	if (run == NULL || (unrecorded != NULL && jobq_run_is_batch(unrecorded)))
		return unrecorded;
	return run;
}

/*
 * Called when the process is being terminated, perhaps during a job or before
 * its outcome is committed.  Notes that for the process that finds the job
 * next, and for the coordinator, unless the job is not to blame; in that case
 * it is as if the job had not been started, or its lease is lost if it has
 * one.  Jobs that ran before it in the transaction will be run again,
 * separately from it.  Returns whether the attempt counts.  If the postmaster
 * has died, the server has crashed, and the note of the job is left unchanged.
 */
bool
jobq_blame_note_termination(bool is_fault)
{
	const JobqRun *run = run_to_blame();
	JobqTermination termination = {0};
	JobqInterruption interruption;
	bool		cancelled;
	bool		overdue = jobq_execute_is_overdue();
	int			error = 0;

	if (run == NULL)
		return false;
	interruption = jobq_slot_end_job(worker_ref);
	cancelled = interruption == JOBQ_CANCELLED;
	log_termination(run, interruption);
	if (interruption == JOBQ_EVICTED || (!is_fault && !cancelled && !overdue))
		return false;
	/* a job with a lease was finished by the transaction that cancelled it */
	if (cancelled && run->lease != 0)
		return false;
	termination.timed_out = overdue && !jobq_execute_is_limited();
	if (run->lease == 0 && PostmasterIsAlive())
		error = jobq_crash_note_keep(termination.timed_out ? JOBQ_NOTE_TIMED_OUT :
									 JOBQ_NOTE_TERMINATED, 0);
	if (!note_attempts(run, &termination))
		jobq_termination_leave_out(error);
	jobq_share_forbid(run->state);
	return true;
}

/*
 * Reports finished jobs that are about to be rolled back, since code run on behalf of
 * one may be the cause; but not the job whose attempt ends with this, or one that was
 * interrupted because its queue is being dropped.
 */
static void
note_undone(JobqRanJobs *ran, int64 cause)
{
	int			njobs = ran->count;

	if (njobs > 0 &&
		(ran->evicted || ran->jobs[njobs - 1].job_id == cause))
		njobs--;
	for (int i = 0; i < njobs; i++)
		ran->jobs[i].cause = cause;
	jobq_undone_note(ran->jobs, njobs);
}

/*
 * Exit callback; the process may be in a transaction shared by several jobs.
 */
void
jobq_blame_note_undone(void)
{
	JobqRanJobs *ran = open_jobs;
	const JobqRun *run = run_to_blame();

	/* if the server has crashed, the executor's note says it */
	if (ran != NULL && IsTransactionState() && PostmasterIsAlive())
		note_undone(ran, run != NULL ? run->outcome.job_id : 0);
}

/* The job has ended but is not committed. */
void
jobq_blame_add(JobqRanJobs *ran, const JobqRun *run)
{
	JobqUndone *job = &ran->jobs[ran->count];

	job->dboid = MyDatabaseId;
	job->queue = run->outcome.queue;
	job->job_id = run->outcome.job_id;
	job->started_at = run->outcome.started_at;
	job->attempt = run->outcome.attempt;
	job->pid = MyProcPid;
	ran->states[ran->count++] = run->state;
	ran->evicted = run->outcome.evicted;
	unrecorded = ran->count == 1 && !run->outcome.evicted ? run : NULL;
}

/*
 * Called while the job is locked, when its outcome was rolled back.  This process
 * records it afresh.  If it fails to, the process that finds the job next counts the
 * attempt before running it again.
 */
void
jobq_blame_note_attempt(const JobqRun *run, const ErrorData *error)
{
	JobqTermination termination = {0};

	if (run->outcome.evicted)
		return;
	jobq_slot_set_recording(worker_ref, true);
	termination.unrecorded = error->sqlerrcode;
	if (!note_attempts(run, &termination))
		jobq_termination_leave_out(jobq_crash_note_copy(JOBQ_NOTE_UNRECORDED,
														error->sqlerrcode));
}

/*
 * Called when a job's outcome cannot be recorded.  Notes its attempt; no other
 * job is run until rows can be written.
 */
static void
note_unrecorded(const JobqRun *run, int sqlerrcode)
{
	int			error = 0;

	jobq_unrecorded_note(sqlerrcode);
	jobq_share_forbid(run->state);
	if (run->outcome.evicted)
		return;
	if (run->lease == 0)
		error = jobq_crash_note_keep(JOBQ_NOTE_UNRECORDED, sqlerrcode);
	/* shared memory may not have it either */
	if (error != 0)
		jobq_termination_leave_out(error);
	jobq_slot_set_recording(worker_ref, false);
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NOTES);
}

/*
 * Called when jobq's own code has failed after one job was run.  That is the job's
 * failure, as jobq_blame_note_attempt() has noted, unless it cannot be recorded
 * either.
 */
bool
jobq_blame_job(JobqRun *volatile run)
{
	volatile bool result = false;

	PG_TRY();
	{
		jobq_record_afresh(run, worker_ref, false);
		forget_attempts(run);
		jobq_slot_set_recording(worker_ref, false);
		result = true;
	}
	PG_CATCH();
	{
		int			sqlerrcode = geterrcode();

		jobq_session_forbid_cancel();
		MemoryContextSwitchTo(TopMemoryContext);
		EmitErrorReport();
		FlushErrorState();
		note_unrecorded(run, sqlerrcode);
		AbortOutOfAnyTransaction();
	}
	PG_END_TRY();
	return result;
}

/*
 * The same after several jobs: none is to blame yet, and jobs of their queues
 * are run one by one now.
 */
void
jobq_blame_none(JobqRanJobs *ran, const ErrorData *error)
{
	note_undone(ran, 0);
	jobq_unrecorded_note(error->sqlerrcode);
	for (int i = 0; i < ran->count; i++)
		jobq_share_forbid(ran->states[i]);
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("could not commit %d jobs together: %s", ran->count,
					error->message),
			 errdetail("They will be run again, each in a transaction of its own.")));
	jobq_record_begin();
	jobq_session_reset();
	CommitTransactionCommand();
}
