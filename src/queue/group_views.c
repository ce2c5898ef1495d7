/*-------------------------------------------------------------------------
 *
 * group_views.c
 *	  The groups of a queue that are in memory, and why they start no job: for the
 *	  view groups.
 *
 * IDENTIFICATION
 *	  src/queue/group_views.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/extension.h"
#include "compat.h"
#include "jobq.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/gate.h"
#include "shared/limit_state.h"
#include "shared/queue_state.h"
#include "shared/rate.h"
#include "shared/roster_list.h"
#include "shared/throttle.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_groups);

/* Groups that are copied at a time, under the lock that claims take. */
#define GROUPS_AT_A_TIME 64

/* Columns of groups(). */
enum
{
	COL_GROUP_KEY,
	COL_RUNNING,
	COL_NEXT_AT,
	COL_WHY,
	NCOLS
};

/* Why no job of a queue starts, whatever its group. */
typedef struct Obstacle
{
	const char *why;			/* NULL: there is nothing in the way */
	TimestampTz until;			/* JOBQ_NEVER: that is not known */
	int			limit_per_group;	/* jobs with one key that may run under
									 * the shared limit; JOBQ_UNLIMITED */
} Obstacle;

/* Whether a gate lets in no more jobs; one that is not counted is shut. */
static bool
is_shut(JobqGate *gate, int max_running)
{
	return max_running != JOBQ_UNLIMITED &&
		(!jobq_gate_is_counted(gate) ||
		 jobq_gate_running(gate) >= (uint32) max_running);
}

/* Whether the limit that the queue shares lets in no more jobs. */
static bool
limit_is_shut(const JobqQueue *queue, TimestampTz *until)
{
	if (queue->shared_limit == JOBQ_NO_LIMIT)
		return false;
	return queue->limit == NULL ||
		is_shut(&queue->limit->gate, queue->limit_max_running) ||
		(queue->limit_max_running_per_group != JOBQ_UNLIMITED &&
		 !jobq_limit_state_knows_groups(queue->limit)) ||
		(queue->limit_has_rate &&
		 !jobq_rate_may_be_open(&queue->limit->rate, until));
}

/* With a pin of the queue's entry: looks for an obstacle. */
static void
find_obstacle(const JobqQueue *queue, Obstacle *obstacle)
{
	JobqQueueState *state = queue->state;
	TimestampTz until = JOBQ_NEVER;

	if (queue->paused)
		obstacle->why = "queue paused";
	else if (jobq_throttle_is_set(state) &&
			 jobq_throttle_holds(state, &until))
		obstacle->why = "throttled";
	else if (queue->has_rate && !jobq_rate_may_be_open(&state->rate, &until))
		obstacle->why = "rate";
	else if (jobq_queue_limits_all_groups(queue) &&
			 !jobq_gate_knows_all(&state->gate))
		obstacle->why = "not counted";
	else if (is_shut(&state->gate, queue->max_running))
		obstacle->why = "queue max_running";
	else if (limit_is_shut(queue, &until))
		obstacle->why = "shared limit";
	else
		obstacle->why = NULL;
	obstacle->until = until;
	obstacle->limit_per_group = queue->limit_max_running_per_group;
}

/*
 * Says what keeps the next job of a group from starting, apart from the group's own
 * options, and when it may start (JOBQ_NEVER: now, or not known).  NULL if no job
 * waits.
 */
static const char *
explain(const Obstacle *obstacle, const JobqGroupBrief *group, TimestampTz now,
		TimestampTz *next_at)
{
	*next_at = JOBQ_NEVER;
	if (group->not_before > now)
	{
		*next_at = group->not_before;
		return "throttled";
	}
	if (group->due == JOBQ_NEVER)
		return NULL;
	if (group->due > now)
	{
		*next_at = group->due;
		return "scheduled";
	}
	if (obstacle->why == NULL && group->opens_at > now)
	{
		*next_at = group->opens_at;
		return "rate";
	}
	if (obstacle->why == NULL && obstacle->limit_per_group != JOBQ_UNLIMITED &&
		group->in_limit >= (uint32) obstacle->limit_per_group)
		return "shared limit";
	if (obstacle->why == NULL)
		return "ready";
	*next_at = obstacle->until;
	return obstacle->why;
}

/* Adds the row of a group. */
static void
put_group(ReturnSetInfo *rsinfo, const Obstacle *obstacle,
		  const JobqGroupBrief *group, TimestampTz now)
{
	Datum		values[NCOLS] = {0};
	bool		nulls[NCOLS] = {false};
	TimestampTz next_at;
	const char *why = explain(obstacle, group, now, &next_at);

	values[COL_GROUP_KEY] = CStringGetTextDatum(group->name);
	values[COL_RUNNING] = Int32GetDatum((int32) group->running);
	if (next_at == JOBQ_NEVER)
		nulls[COL_NEXT_AT] = true;
	else
		values[COL_NEXT_AT] = TimestampTzGetDatum(next_at);
	if (why == NULL)
		nulls[COL_WHY] = true;
	else
		values[COL_WHY] = CStringGetTextDatum(why);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	pfree(DatumGetPointer(values[COL_GROUP_KEY]));
	if (why != NULL)
		pfree(DatumGetPointer(values[COL_WHY]));
}

/* The row of one group, if it is in memory. */
static void
put_one(ReturnSetInfo *rsinfo, const JobqQueue *queue, const char *name)
{
	TimestampTz now = jobq_now();
	JobqGroupBrief group;
	Obstacle	obstacle;
	bool		found;

	if (!jobq_queue_state_pin(queue->state, queue->id))
		return;
	find_obstacle(queue, &obstacle);
	found = jobq_roster_list_one(queue->state, name, now, &group);
	jobq_queue_state_unpin(queue->state);
	if (found)
		put_group(rsinfo, &obstacle, &group, now);
}

/*
 * groups(queue, group_key): those in memory, or that one.  The pin of the queue's entry lasts
 * only while nothing can throw; if the queue is dropped meanwhile, that was all.
 */
Datum
jobq_groups(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	JobqGroupBrief *groups;
	JobqGroupBrief last;
	const JobqQueue *queue;
	Obstacle	obstacle = {0};
	TimestampTz now = jobq_now();
	int			n;

	jobq_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	queue = PG_ARGISNULL(0) ? NULL : jobq_queue_by_id(PG_GETARG_INT32(0));
	if (queue == NULL || queue->state == NULL)
		PG_RETURN_VOID();
	if (!PG_ARGISNULL(1))
	{
		put_one(rsinfo, queue, text_to_cstring(PG_GETARG_TEXT_PP(1)));
		PG_RETURN_VOID();
	}
	groups = palloc(GROUPS_AT_A_TIME * sizeof(JobqGroupBrief));
	for (bool first = true;; first = false)
	{
		CHECK_FOR_INTERRUPTS();
		if (!jobq_queue_state_pin(queue->state, queue->id))
			break;
		if (first)
			find_obstacle(queue, &obstacle);
		n = jobq_roster_list(queue->state, first ? NULL : &last, now,
							 groups, GROUPS_AT_A_TIME);
		jobq_queue_state_unpin(queue->state);
		for (int i = 0; i < n; i++)
			put_group(rsinfo, &obstacle, &groups[i], now);
		if (n < GROUPS_AT_A_TIME)
			break;
		last = groups[n - 1];
	}
	PG_RETURN_VOID();
}
