/*-------------------------------------------------------------------------
 *
 * health_limit.c
 *	  Limits that keep jobs from starting.
 *
 * IDENTIFICATION
 *	  src/health/health_limit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_limit.h"

#include "queue/limit_row.h"
#include "shared/gate.h"
#include "shared/queue_state.h"

#include "utils/builtins.h"

/* The limit is 0. */
static void
describe_zero(const char *name, JobqFinding *finding)
{
	finding->severity = JOBQ_WARNING;
	finding->message = "jobs are waiting, and the queue's max_running is 0";
	finding->hint =
		psprintf("Use jobq.alter_queue(%s, max_running => ...), or jobq.reset_queue(%s, 'max_running').",
				 name, name);
}

/* Some running jobs have no room in shared memory. */
static void
describe_uncounted(const char *name, JobqFinding *finding)
{
	finding->severity = JOBQ_WARNING;
	finding->message = "jobs are waiting, and none is started: running jobs could not be counted for the queue's max_running";
	finding->hint =
		psprintf("If that stays so, shared memory has no room for their leases: increase jobq.shared_memory, or use jobq.reset_queue(%s, 'max_running').",
				 name);
}

/* The same of the limit that the queue shares. */
static bool
find_shared_full(const JobqQueue *queue, JobqFinding *finding)
{
	JobqLimit	limit;

	if (queue->limit == NULL ||
		queue->limit_max_running == JOBQ_UNLIMITED ||
		!jobq_gate_is_counted(&queue->limit->gate) ||
		jobq_gate_running(&queue->limit->gate) <
		(uint32) queue->limit_max_running ||
		!jobq_limit_read(queue->shared_limit, &limit))
		return false;
	finding->topic = "max_running";
	finding->severity = queue->limit_max_running == 0 ?
		JOBQ_WARNING : JOBQ_INFO;
	finding->message =
		psprintf("jobs are waiting, since max_running, %d, of the limit \"%s\" is reached",
				 queue->limit_max_running, limit.name);
	finding->hint =
		psprintf("To run them sooner, the limit's owner can use jobq.alter_limit(%s, max_running => ...).",
				 quote_literal_cstr(limit.name));
	return true;
}

/* See health_limit.h. */
bool
jobq_health_find_full(const JobqQueue *queue, JobqFinding *finding)
{
	char	   *name = quote_literal_cstr(queue->name);

	if (find_shared_full(queue, finding))
		return true;
	if (queue->max_running == JOBQ_UNLIMITED)
		return false;
	if (queue->max_running == 0)
		describe_zero(name, finding);
	else if (queue->state == NULL ||
			 !jobq_gate_is_counted(&queue->state->gate))
		describe_uncounted(name, finding);
	else if (jobq_gate_running(&queue->state->gate) >=
			 (uint32) queue->max_running)
	{
		finding->severity = JOBQ_INFO;
		finding->message =
			psprintf("jobs are waiting, since the queue's max_running, %d, is reached",
					 queue->max_running);
		finding->hint =
			psprintf("To run them sooner, use jobq.alter_queue(%s, max_running => ...).",
					 name);
	}
	else
		return false;
	finding->topic = "max_running";
	return true;
}
