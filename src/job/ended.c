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

#include "queue/queue_cache.h"
#include "queue/ready.h"
#include "shared/unfinished.h"

static bool (*death_is_possible) (const JobqQueue *queue) = NULL;
static void (*tell_of_death) (const JobqJob *job, const JobqQueue *queue,
							  const JobqEnd *end) = NULL;
static bool (*follow_schedule) (const char *schedule, int64 job_id,
								const JobqQueue *queue) = NULL;

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
jobq_ended_follow_schedules(bool (*follow) (const char *schedule,
											int64 job_id,
											const JobqQueue *queue))
{
	follow_schedule = follow;
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

/* Whether the queue keeps a job that is being finished in history. */
static bool
is_to_be_kept(const JobqJob *job, const JobqQueue *queue)
{
	/* its holder must learn of it by heartbeat() */
	if (job->state == JOBQ_STATE_CANCELLED && job->lease != 0)
		return true;
	if (job->state != JOBQ_STATE_COMPLETED)
		return queue->keep_dead != 0;
	/* its key counts for this long */
	if (!job->nulls[Anum_job_unique_for - 1])
		return true;
	return queue->keep_completed != 0;
}

/*
 * Tells the schedule that the job names, whose next run may be waiting for it.
 * Returns whether a job that would be kept leaves no trace.
 */
static bool
tell_schedule(const JobqJob *job, const JobqQueue *queue, bool kept)
{
	char	   *schedule = schedule_of(job);

	if (schedule == NULL)
		return false;
	kept = kept && job->state == JOBQ_STATE_COMPLETED &&
		job->nulls[Anum_job_unique_for - 1];
	return follow_schedule(schedule, job->id, kept ? queue : NULL);
}

/* See ended.h. */
void
jobq_job_ended(JobqTable *jobs, const JobqJob *job, const JobqQueue *queue,
			   const JobqEnd *end)
{
	bool		kept = is_to_be_kept(job, queue);

	jobq_ready_settle(job->id);
	jobq_count_jobs(queue, -1);
	if (!tell_schedule(job, queue, kept) && kept)
		jobq_history_add(jobs, job, end);
	if (job->state == JOBQ_STATE_DEAD)
		tell_of_death(job, queue, end);
}

void
jobq_job_removed(const JobqJob *job)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);

	jobq_ready_settle(job->id);
	if (queue != NULL)
		jobq_count_jobs(queue, -1);
	(void) tell_schedule(job, NULL, false);
}
