/*-------------------------------------------------------------------------
 *
 * ended.c
 *	  What happens when a job ends.
 *
 * IDENTIFICATION
 *	  src/job/ended.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/ended.h"

#include "queue/ready.h"
#include "shared/wake.h"


static bool (*death_is_possible) (const JobqQueue *queue) = NULL;
static void (*tell_of_death) (const JobqJob *job, const JobqQueue *queue,
							  const JobqEnd *end) = NULL;
static bool (*leaves_no_trace) (const char *schedule, const JobqQueue *queue,
								int64 job_id) = NULL;

void
jobq_ended_follow_deaths(bool (*may_die) (const JobqQueue *queue),
						 void (*tell) (const JobqJob *job,
									   const JobqQueue *queue,
									   const JobqEnd *end))
{
	death_is_possible = may_die;
	tell_of_death = tell;
}

void
jobq_ended_follow_schedules(bool (*needless) (const char *schedule,
											  const JobqQueue *queue,
											  int64 job_id))
{
	leaves_no_trace = needless;
}

bool
jobq_job_may_die(const JobqQueue *queue)
{
	return death_is_possible(queue);
}

/*
 * The schedule named by the job's header (palloc'd), or NULL.  Any user may
 * give jobs a header of that name.
 */
static char *
schedule_of(const JobqJob *job)
{
	JsonbValue	value;

	if (!jobq_job_header(job, "schedule", &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Whether a job that is being finished is written to history. */
static bool
is_to_be_kept(const JobqJob *job, const JobqQueue *queue,
			  const char *schedule)
{
	/* its holder must learn of it by heartbeat() */
	if (job->state == JOBQ_STATE_CANCELLED && job->lease != 0)
		return true;
	if (job->state != JOBQ_STATE_COMPLETED)
		return queue->keep_dead != 0;
	/* its key counts for this long */
	if (!job->nulls[Anum_job_unique_for - 1])
		return true;
	return queue->keep_completed != 0 &&
		(schedule == NULL ||
		 !leaves_no_trace(schedule, queue, job->id));
}

/* See ended.h.  The next run of the job's schedule may be waiting for it. */
void
jobq_job_ended(JobqTable *jobs, const JobqJob *job, const JobqQueue *queue,
			   const JobqEnd *end)
{
	char	   *schedule = schedule_of(job);

	jobq_ready_settle(job->id);
	if (is_to_be_kept(job, queue, schedule))
		jobq_history_add(jobs, job, end);
	if (schedule != NULL)
		jobq_at_commit_scheduled_job_end();
	if (job->state == JOBQ_STATE_DEAD)
		tell_of_death(job, queue, end);
}

void
jobq_job_removed(const JobqJob *job)
{
	jobq_ready_settle(job->id);
	if (schedule_of(job) != NULL)
		jobq_at_commit_scheduled_job_end();
}
