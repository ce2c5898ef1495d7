/*-------------------------------------------------------------------------
 *
 * claim_return.c
 *	  Claiming jobs from outside: from queues to rows for the client.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_return.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim_return.h"

#include "base/lease_number.h"
#include "base/sandbox_rules.h"
#include "compat.h"
#include "dispatch/claim.h"
#include "guc.h"
#include "job/failure.h"
#include "job/transition.h"
#include "job/uncounted.h"
#include "queue/queue_row.h"
#include "queue/queue_wake.h"
#include "shared/async_commit.h"
#include "shared/clock.h"
#include "shared/lease_registry.h"
#include "shared/wake.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/*
 * Like InitMaterializedSRF(), but uses the caller's description of the rows instead of
 * looking up their type and copying what it finds.
 */
static void
begin_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext oldcontext;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0 ||
		rsinfo->expectedDesc == NULL ||
		rsinfo->expectedDesc->natts != Natts_jobrow)
	{
		InitMaterializedSRF(fcinfo, 0);
		return;
	}
	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult =
		tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
							  false, work_mem);
	MemoryContextSwitchTo(oldcontext);
}

static void
put_job(ReturnSetInfo *rsinfo, const JobqJob *job, const JobqQueue *queue)
{
	Datum		values[Natts_jobrow];
	bool		nulls[Natts_jobrow];

	jobq_job_form_row(job, queue, values, nulls);
	tuplestore_putvalues(rsinfo->setResult,
						 rsinfo->setDesc != NULL ? rsinfo->setDesc : rsinfo->expectedDesc,
						 values, nulls);
	jobq_job_free_row(job, values);
}

/*
 * Returns when a claim of the job made now ends, and sets the job's lease end.
 */
static TimestampTz
claim_until(JobqJob *job, const JobqQueue *queue, const JobqClaimOptions *options)
{
	bool		session_bound = options->session_bound_is_null ?
	queue->session_bound && options->duration == 0 : options->session_bound;
	int64		duration = options->duration > 0 ? options->duration :
	queue->lease;
	int64		timeout = jobq_job_timeout(job, queue);

	if (!jobq_queue_counts_starts(queue))
		job->started_at = jobq_now();
	if (session_bound)
		return JOBQ_NEVER;
	if (timeout > 0)
		duration = Min(duration, timeout);
	return job->started_at + duration;
}

/*
 * Begins to claim jobs of a queue, at most *max_jobs, or a batch.  False if it is
 * paused, or must wait for notes of its jobs (unread_note.c).
 */
static bool
begin_claim(JobqClaimScan *scan, JobqTable *jobs, const JobqQueue *queue,
			int *max_jobs)
{
	if (queue->paused || jobq_queue_needs_notes(queue))
		return false;
	if (jobq_queue_has_batches(queue))
		*max_jobs = Min(*max_jobs, queue->batch_size);
	jobq_claim_begin(scan, jobs, queue, JOBQ_CLAIM_UNLOCKED, JOBQ_NEVER);
	return true;
}

/*
 * Notes a start in a group that is to be kept, of several the last one; jobs that the
 * scan meets must not have been changed by an earlier command.
 */
static void
note_group_start(List **starts, const JobqGroupStart *start)
{
	JobqGroupStart *noted;
	ListCell   *lc;

	if (start->group == NULL || !start->is_kept)
		return;
	foreach(lc, *starts)
	{
		noted = lfirst(lc);
		if (noted->group == start->group)
		{
			*noted = *start;
			return;
		}
	}
	noted = palloc(sizeof(JobqGroupStart));
	*noted = *start;
	*starts = lappend(*starts, noted);
}

static void
keep_group_starts(const List *starts, const JobqQueue *queue)
{
	ListCell   *lc;

	foreach(lc, starts)
		jobq_start_keep_of_group(lfirst(lc), queue);
}

/*
 * Whether a job that was found must be passed over, since an attempt of it that ended
 * with its background worker, or with the server, is not counted yet: this may have
 * been the last one.  The coordinator counts it.
 */
static bool
has_uncounted_attempt(JobqJob *job, const JobqQueue *queue)
{
	if (!jobq_job_may_be_uncounted(job, queue))
		return false;
	jobq_at_commit_wake(JOBQ_WAKE_NOTES);
	return true;
}

/* What is going to be claimed, for jobq_job_check_claimed(). */
static JobqClaimed
note_attempt(const JobqJob *job)
{
	return (JobqClaimed)
	{
		jobq_job_current_attempt(job), job->state == JOBQ_STATE_RUNNING
	};
}

/*
 * Claims up to max_jobs jobs of a queue under the lease and returns them to
 * the client.  Draws the lease number with the first job (*lease is 0 before
 * that).  Returns the number of jobs claimed.
 */
static int
claim_from(JobqTable *jobs, const JobqQueue *queue,
		   const JobqClaimOptions *options, int max_jobs, int64 *lease,
		   ReturnSetInfo *rsinfo)
{
	JobqClaimScan scan;
	JobqStart	last = {0};
	List	   *group_starts = NIL;
	JobqJob		job;
	int			claimed = 0;

	if (!begin_claim(&scan, jobs, queue, &max_jobs))
		return 0;
	while (claimed < max_jobs && jobq_claim_next(&scan, &job))
	{
		TimestampTz until = claim_until(&job, queue, options);
		JobqClaimed attempt = note_attempt(&job);

		if (*lease == 0)
			*lease = jobq_lease_new();
		if (until == JOBQ_NEVER)
		{
			jobq_refuse_if_restricted("a session-bound claim");
			jobq_lease_watch_session();
		}
		if (has_uncounted_attempt(&job, queue) ||
			!jobq_job_claim(jobs, &job, queue, *lease, until,
							options->worker))
		{
			jobq_claim_lost(&scan);
			continue;
		}
		jobq_job_check_claimed(&job, queue, &attempt);
		if (job.attempt >= jobq_job_max_attempts(&job, queue))
			jobq_async_commit_insist();
		put_job(rsinfo, &job, queue);
		note_group_start(&group_starts, &scan.group_start);
		last = scan.start;
		claimed++;
	}

	/* one in wait() was woken for several jobs: the next one is next */
	if (claimed == max_jobs && queue->state != NULL &&
		pg_atomic_read_u32(&queue->state->waiting) > 0 &&
		jobq_claim_sees_more(&scan))
		jobq_at_commit_look(queue);
	jobq_claim_end(&scan);
	jobq_start_keep(&last, queue);
	keep_group_starts(group_starts, queue);
	return claimed;
}

/* Whether a queue stands among those before it, too. */
static bool
is_named_before(const JobqQueue *const *queues, int place)
{
	for (int i = 0; i < place; i++)
	{
		if (queues[i]->id == queues[place]->id)
			return true;
	}
	return false;
}

/* See claim_return.h. */
int
jobq_claim_return(FunctionCallInfo fcinfo, JobqTable *jobs,
				  const JobqQueue *const *queues, int nqueues,
				  const JobqClaimOptions *options)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			left = options->max_jobs;
	int64		lease = 0;

	begin_rows(fcinfo);
	jobq_async_commit_begin(jobq_async_claims);
	for (int i = 0; i < nqueues && left > 0; i++)
	{
		if (jobq_queue_has_batches(queues[i]) && is_named_before(queues, i))
			continue;
		left -= claim_from(jobs, queues[i], options, left, &lease, rsinfo);
	}
	jobq_async_commit_end();
	return options->max_jobs - left;
}

/* See claim_return.h. */
int
jobq_claim_return_taken(FunctionCallInfo fcinfo, JobqTable *jobs,
						const JobqQueue *queue, int max_jobs)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	JobqClaimScan scan;
	JobqStart	last = {0};
	List	   *group_starts = NIL;
	JobqJob		job;
	int			taken = 0;

	begin_rows(fcinfo);
	if (!begin_claim(&scan, jobs, queue, &max_jobs))
		return 0;
	while (taken < max_jobs && jobq_claim_next(&scan, &job))
	{
		JobqClaimed attempt = note_attempt(&job);

		if (has_uncounted_attempt(&job, queue) || !jobq_job_take(jobs, &job, queue))
		{
			jobq_claim_lost(&scan);
			continue;
		}
		jobq_job_check_claimed(&job, queue, &attempt);
		job.state = JOBQ_STATE_PENDING;
		job.attempt = attempt.attempt - 1;
		put_job(rsinfo, &job, queue);
		note_group_start(&group_starts, &scan.group_start);
		last = scan.start;
		taken++;
	}
	jobq_claim_end(&scan);
	jobq_start_keep(&last, queue);
	keep_group_starts(group_starts, queue);
	return taken;
}
