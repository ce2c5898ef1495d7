/*-------------------------------------------------------------------------
 *
 * health_limit.c
 *	  Limits that keep jobs from starting, and limits without an owner.
 *
 * IDENTIFICATION
 *	  src/health/health_limit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_limit.h"

#include "base/visit.h"
#include "queue/limit_row.h"
#include "shared/gate.h"
#include "shared/limit_state.h"
#include "shared/queue_state.h"
#include "shared/rate.h"

#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* Limits without an owner. */
typedef struct Ownerless
{
	JobqHealth *health;
	int			n;
} Ownerless;

/*
 * None of the queue's jobs starts: there is no room for the queue, or for its limit,
 * or that is gone.
 */
static bool
find_no_room(const JobqQueue *queue, JobqFinding *finding)
{
	JobqLimit	limit;
	bool		shares = queue->shared_limit != JOBQ_NO_LIMIT;

	if (queue->state == NULL &&
		(jobq_queue_keeps_leases(queue) || queue->has_group_rate))
	{
		finding->message = jobq_queue_is_limited(queue) ?
			"jobs are waiting, and none is started: shared memory has no room for the queue, which has a limit" :
			"jobs are waiting, and none with a group is started: shared memory has no room for the queue";
		finding->hint =
			"Increase jobq.shared_memory, or take the queue's limits away with jobq.reset_queue().";
	}
	else if (shares && !jobq_limit_read(queue->shared_limit, &limit))
	{
		finding->message =
			"jobs are waiting, and none is started: the limit that the queue shares does not exist";
		finding->hint = psprintf("Use jobq.reset_queue(%s, 'shared_limit').",
								 quote_literal_cstr(queue->name));
	}
	else if (shares && queue->limit == NULL)
	{
		finding->message =
			psprintf("jobs are waiting, and none is started: shared memory has no room for the limit \"%s\"",
					 limit.name);
		finding->hint =
			psprintf("Increase jobq.shared_memory, or use jobq.reset_queue(%s, 'shared_limit').",
					 quote_literal_cstr(queue->name));
	}
	else
		return false;
	finding->severity = JOBQ_WARNING;
	return true;
}

/* The limit is 0. */
static bool
find_zero(const JobqQueue *queue, JobqFinding *finding)
{
	char	   *name = quote_literal_cstr(queue->name);

	if (queue->max_running != 0)
		return false;
	finding->severity = JOBQ_WARNING;
	finding->message = "jobs are waiting, and the queue's max_running is 0";
	finding->hint =
		psprintf("Use jobq.alter_queue(%s, max_running => ...), or jobq.reset_queue(%s, 'max_running').",
				 name, name);
	return true;
}

/* Whether nothing starts by a limit, whose running jobs have not been counted. */
static bool
is_uncounted(JobqGate *gate, int max_running)
{
	return max_running != JOBQ_UNLIMITED && !jobq_gate_is_counted(gate);
}

/* The option of the limit that the queue shares by which nothing starts; NULL: none. */
static const char *
uncounted_of_limit(const JobqQueue *queue)
{
	JobqGate   *gate;

	if (queue->limit == NULL)
		return NULL;
	gate = &queue->limit->gate;
	if (is_uncounted(gate, queue->limit_max_running))
		return "max_running";
	return is_uncounted(gate, queue->limit_max_running_per_group) ?
		"max_running_per_group" : NULL;
}

/* See health_limit.h. */
bool
jobq_health_is_uncounted(const JobqQueue *queue)
{
	return uncounted_of_limit(queue) != NULL ||
		(queue->state != NULL &&
		 (is_uncounted(&queue->state->gate, queue->max_running) ||
		  is_uncounted(&queue->state->gate, queue->max_running_per_group)));
}

/* Some running jobs have no room in shared memory. */
static bool
find_uncounted(const JobqQueue *queue, JobqFinding *finding)
{
	const char *none = "none";
	const char *option = uncounted_of_limit(queue);
	JobqLimit	limit;

	if (option != NULL && jobq_limit_read(queue->shared_limit, &limit))
		option = psprintf("%s of the limit \"%s\"", option, limit.name);
	else if (queue->state == NULL)
		return false;
	else if (is_uncounted(&queue->state->gate, queue->max_running))
		option = "the queue's max_running";
	else if (is_uncounted(&queue->state->gate, queue->max_running_per_group))
	{
		none = "none with a group";
		option = "the queue's max_running_per_group";
	}
	else
		return false;
	finding->severity = JOBQ_WARNING;
	finding->message =
		psprintf("jobs are waiting, and %s is started: running jobs could not be counted for %s",
				 none, option);
	finding->hint =
		"If that stays so, shared memory has no room for their leases: increase jobq.shared_memory, or take the limit away with jobq.reset_queue().";
	return true;
}

/* As many jobs as the limit allows are running in the queues that share it. */
static bool
find_shared_full(const JobqQueue *queue, JobqFinding *finding)
{
	JobqLimit	limit;

	if (queue->limit == NULL ||
		queue->limit_max_running == JOBQ_UNLIMITED ||
		jobq_gate_running(&queue->limit->gate) <
		(uint32) queue->limit_max_running ||
		!jobq_limit_read(queue->shared_limit, &limit))
		return false;
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

/* The same for the queue's own. */
static bool
find_full(const JobqQueue *queue, JobqFinding *finding)
{
	if (queue->state == NULL || queue->max_running == JOBQ_UNLIMITED ||
		jobq_gate_running(&queue->state->gate) < (uint32) queue->max_running)
		return false;
	finding->severity = JOBQ_INFO;
	finding->message =
		psprintf("jobs are waiting, since the queue's max_running, %d, is reached",
				 queue->max_running);
	finding->hint =
		psprintf("To run them sooner, use jobq.alter_queue(%s, max_running => ...).",
				 quote_literal_cstr(queue->name));
	return true;
}

/* See health_limit.h.  What is worse comes first. */
bool
jobq_health_find_full(const JobqQueue *queue, JobqFinding *finding)
{
	finding->topic = "max_running";
	return find_no_room(queue, finding) ||
		find_zero(queue, finding) ||
		find_uncounted(queue, finding) ||
		find_shared_full(queue, finding) ||
		find_full(queue, finding);
}

/* The rate of the limit that the queue shares allows no start now. */
static bool
find_shared_rate(const JobqQueue *queue, JobqFinding *finding)
{
	TimestampTz until;
	JobqLimit	limit;

	if (queue->limit == NULL || !queue->limit_has_rate ||
		jobq_rate_may_be_open(&queue->limit->rate, &until) ||
		!jobq_limit_read(queue->shared_limit, &limit))
		return false;
	finding->message =
		psprintf("jobs are waiting for the rate of the limit \"%s\", which allows the next start at %s",
				 limit.name, timestamptz_to_str(until));
	finding->hint =
		psprintf("To run them sooner, the limit's owner can use jobq.alter_limit(%s, rate_limit => ...).",
				 quote_literal_cstr(limit.name));
	return true;
}

/* See health_limit.h. */
bool
jobq_health_find_rate(const JobqQueue *queue, JobqFinding *finding)
{
	TimestampTz until;

	finding->topic = "rate";
	finding->severity = JOBQ_INFO;
	if (queue->has_rate && queue->state == NULL)
	{
		finding->severity = JOBQ_WARNING;
		finding->message = "jobs are waiting, and none is started: shared memory has no room for the queue's rate";
		finding->hint =
			psprintf("Increase jobq.shared_memory, or use jobq.reset_queue(%s, 'rate_limit').",
					 quote_literal_cstr(queue->name));
		return true;
	}
	if (!queue->has_rate ||
		jobq_rate_may_be_open(&queue->state->rate, &until))
		return find_shared_rate(queue, finding);
	finding->message =
		psprintf("jobs are waiting for the queue's rate, which allows the next start at %s",
				 timestamptz_to_str(until));
	finding->hint = "To run them sooner, increase rate_limit.";
	return true;
}

static bool
role_exists(Oid role)
{
	return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role));
}

/* See health_limit.h. */
const char *
jobq_health_ownerless_limit(const JobqQueue *queue)
{
	JobqLimit	limit;

	return queue->shared_limit != JOBQ_NO_LIMIT &&
		jobq_limit_read(queue->shared_limit, &limit) &&
		!role_exists(limit.owner) ? limit.name : NULL;
}

/* Reports a limit if it has no owner. */
static void
visit_limit(void *arg, const Datum *values, const bool *nulls)
{
	Ownerless  *ownerless = arg;
	char	   *name;

	if (role_exists(DatumGetObjectId(values[Anum_limit_def_owner - 1])) ||
		ownerless->n++ >= JOBQ_HEALTH_MAX_OBJECTS)
		return;
	name = TextDatumGetCString(values[Anum_limit_def_name - 1]);
	jobq_health_add(ownerless->health,
					.severity = JOBQ_WARNING,
					.topic = "limit owner",
					.object = name,
					.message = "the limit has no owner: that role was dropped, or was missing when a dump was restored",
					.hint = psprintf("As a superuser, use jobq.alter_limit(%s, owner => ...).",
									 quote_literal_cstr(name)));
}

/* See health_limit.h. */
void
jobq_health_check_limits(JobqHealth *health)
{
	Ownerless	ownerless = {health};

	/* nobody else is a member of a role that is gone */
	if (!health->reads_all)
		return;
	jobq_visit_all_rows(JOBQ_REL_LIMIT_DEF, visit_limit, &ownerless);
	if (ownerless.n > JOBQ_HEALTH_MAX_OBJECTS)
		jobq_health_add(health,
						.severity = JOBQ_WARNING,
						.topic = "limit owner",
						.message = psprintf("there are %d more such limits",
											ownerless.n - JOBQ_HEALTH_MAX_OBJECTS),
						.hint = "See jobq.limits.");
}
