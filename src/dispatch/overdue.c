/*-------------------------------------------------------------------------
 *
 * overdue.c
 *	  Jobs that a claim meets past their lease, or past their time to live.
 *
 * The coordinator ends both (lease.c, expire.c).  A claim does not wait for it,
 * and there may be none: jobs are handed out without background workers, too.
 *
 * IDENTIFICATION
 *	  src/dispatch/overdue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/overdue.h"

#include "job/attempt.h"
#include "job/ended.h"
#include "job/failure.h"
#include "job/transition.h"

bool
jobq_overdue_is_claimable(const JobqJob *job, TimestampTz now)
{
	if (job->state == JOBQ_STATE_PENDING)
		return job->run_at <= now && !jobq_job_is_held(job, now);
	return job->state == JOBQ_STATE_RUNNING && job->lease_until <= now;
}

bool
jobq_overdue_is_expired(const JobqJob *job, TimestampTz now)
{
	return job->attempt == 0 && job->expires_at <= now;
}

bool
jobq_overdue_is_late(const JobqJob *job, TimestampTz now)
{
	return job->state != JOBQ_STATE_PENDING ||
		jobq_overdue_is_expired(job, now);
}

/*
 * Makes a job whose lease is over pending again.  False if it is dead now,
 * waits for its backoff, or cannot end because its on_dead queue is being
 * dropped.
 */
static bool
end_lease(JobqTable *jobs, const JobqQueue *queue, JobqJob *job,
		  TimestampTz now)
{
	JobqFailure failure;
	JobqState	state;

	if (!jobq_job_may_die(queue))
		return false;
	jobq_job_explain_lease_end(job, queue, &failure);
	state = jobq_job_fail(jobs, job, queue, &failure);
	jobq_job_log_failure(state, job, queue, &failure);
	if (state != JOBQ_STATE_PENDING)
		return false;
	return jobq_job_lock(jobs, job->id, JOBQ_NO_WAIT, job) == JOBQ_FOUND &&
		jobq_overdue_is_claimable(job, now);
}

bool
jobq_overdue_settle(JobqTable *jobs, const JobqQueue *queue, JobqJob *job,
					TimestampTz now)
{
	if (job->state == JOBQ_STATE_RUNNING &&
		!end_lease(jobs, queue, job, now))
		return false;
	if (!jobq_overdue_is_expired(job, now))
		return true;
	jobq_job_expire(jobs, job, queue);
	return false;
}
