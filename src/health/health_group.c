/*-------------------------------------------------------------------------
 *
 * health_group.c
 *	  Findings about groups that have waiting jobs and start none.
 *
 * One group of a queue is named: rather one that waits until somebody does something
 * than one that goes on by itself, and of these the one that has waited longest.  The
 * view jobq.groups has the others.
 *
 * IDENTIFICATION
 *	  src/health/health_group.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_group.h"

#include "queue/queue.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Whether the group waits for somebody. */
static bool
is_paused(const JobqHeldGroup *group)
{
	return group->hold <= JOBQ_HOLD_PAUSED;
}

/* See health_group.h. */
void
jobq_health_compare_held(JobqHeldGroup *worst, const JobqHeldGroup *group)
{
	if (is_paused(worst) != is_paused(group) ? is_paused(group) :
		group->since < worst->since)
		*worst = *group;
}

/* It is paused, by somebody or by a job that has died. */
static void
explain_pause(const JobqHeldGroup *group, JobqFinding *finding,
			  const char *resume)
{
	finding->severity = JOBQ_WARNING;
	if (group->hold == JOBQ_HOLD_PAUSED)
	{
		finding->message = psprintf("jobs are waiting, since their group \"%s\" is paused",
									group->name);
		finding->hint = psprintf("Use %s.", resume);
		return;
	}
	finding->message =
		psprintf("jobs are waiting, since a job of their group \"%s\" has died, which pauses the group",
				 group->name);
	finding->hint =
		psprintf("See jobq.dead_letters; if that job must run first, use jobq.retry() and jobq.set_priority(). Then use %s.",
				 resume);
}

/* It goes on at a certain time. */
static void
explain_delay(const JobqHeldGroup *group, JobqFinding *finding,
			  const char *queue, const char *key)
{
	const char *until = timestamptz_to_str(group->until);

	switch (group->hold)
	{
		case JOBQ_HOLD_RETRY:
			finding->message =
				psprintf("jobs of group \"%s\" wait for job " INT64_FORMAT ", which is to be tried again at %s",
						 group->name, group->job_id, until);
			finding->hint =
				psprintf("To have it tried now, use jobq.promote(" INT64_FORMAT "). If such jobs need not wait, set group_on_failure => 'skip' for the queue.",
						 group->job_id);
			break;
		case JOBQ_HOLD_THROTTLED:
			finding->message = psprintf("jobs are waiting, since their group \"%s\" is throttled until %s",
										group->name, until);
			finding->hint = psprintf("Use jobq.throttle(%s, '0', %s) to end that.",
									 queue, key);
			break;
		default:
			finding->message =
				psprintf("jobs of group \"%s\" wait for its rate, which allows the next start at %s",
						 group->name, until);
			finding->hint = psprintf("To run them sooner, use jobq.set_group(%s, %s, rate_limit => ...).",
									 queue, key);
			break;
	}
}

/* It runs its maximum number of jobs. */
static void
explain_limit(const JobqHeldGroup *group, JobqFinding *finding,
			  const char *queue, const char *key)
{
	if (group->hold == JOBQ_HOLD_SHARED)
	{
		finding->message =
			psprintf("jobs of group \"%s\" are waiting, since the queues that share the limit already run its maximum number of jobs with this key",
					 group->name);
		finding->hint =
			"To run them sooner, the limit's owner can use jobq.alter_limit(..., max_running_per_group => ...).";
		return;
	}
	finding->message =
		psprintf("jobs of group \"%s\" are waiting, since the group already runs its maximum number of jobs: %u",
				 group->name, group->running);
	finding->hint = psprintf("To run them sooner, use jobq.set_group(%s, %s, max_running => ...).",
							 queue, key);
}

/* See health_group.h. */
void
jobq_health_find_held(const JobqQueue *queue, const JobqHeldGroup *group,
					  JobqFinding *finding)
{
	const char *name = quote_literal_cstr(queue->name);
	const char *key = quote_literal_cstr(group->name);

	finding->topic = "group";
	finding->object = queue->name;
	finding->since = group->since;
	finding->severity = JOBQ_INFO;
	if (is_paused(group))
		explain_pause(group, finding,
					  psprintf("jobq.resume(%s, %s)", name, key));
	else if (group->hold == JOBQ_HOLD_FULL || group->hold == JOBQ_HOLD_SHARED)
		explain_limit(group, finding, name, key);
	else
		explain_delay(group, finding, name, key);
}
