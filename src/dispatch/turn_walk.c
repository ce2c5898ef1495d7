/*-------------------------------------------------------------------------
 *
 * turn_walk.c
 *	  Groups that a claim comes to by name, and not by their turn.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn_walk.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/turn_walk.h"

#include "dispatch/claim_stream.h"
#include "dispatch/turn_draw.h"
#include "queue/group_option.h"
#include "queue/lease_end.h"
#include "queue/ready.h"
#include "queue/limit_link.h"
#include "shared/roster.h"
#include "shared/roster_pick.h"

#include "access/xact.h"

/*
 * A walk over groups of a queue in the order of their names, which begins after the
 * one where a job was found last, and ends with that.
 */
typedef struct Circle
{
	int32		queue;
	bool		wrapped;		/* it has come to the end, and begun anew */
	char		from[JOBQ_GROUP_NAME_SIZE]; /* where it has begun, '': at the
											 * first one */
	char		last[JOBQ_GROUP_NAME_SIZE]; /* where a job was found last */
} Circle;

/* Over groups without room, and over those to which this transaction has added jobs. */
static Circle by_index = {JOBQ_NO_QUEUE};
static Circle own = {JOBQ_NO_QUEUE};

/* How to draw a ticket of a certain group. */
static JobqPicking
picking_of(const JobqClaimScan *scan, const JobqGroupLimits *limits)
{
	JobqPicking result = {
		.now = scan->now,.max_running = limits->max_running,
		.no_rates = scan->queue->on_limit != JOBQ_LIMIT_WAIT,
		.rate = limits->has_rate ? &limits->rate : NULL
	};

	jobq_limit_view_of(scan->queue, &result.limit);
	return result;
}

/* Begins the walk of a stage, or goes on from the group at hand, whose name it sets. */
static void
go_on_in_circle(Circle *circle, const JobqClaimScan *scan, char *name)
{
	if (scan->in_stage)
	{
		strlcpy(name, scan->dispatch.group, JOBQ_GROUP_NAME_SIZE);
		return;
	}
	if (circle->queue != scan->queue->id)
		circle->last[0] = '\0';
	circle->queue = scan->queue->id;
	circle->wrapped = false;
	memcpy(circle->from, circle->last, sizeof(circle->from));
	memcpy(name, circle->from, sizeof(circle->from));
}

/* Whether the walk ends with that group. */
static bool
is_closed(const Circle *circle, const char *name)
{
	return circle->wrapped && strcmp(name, circle->from) >= 0;
}

/* Sets the name to that of the next group, '' being before all; false at the end. */
static bool
next_in_circle(Circle *circle, JobqClaimScan *scan, char *name,
			   bool (*next) (JobqClaimScan *scan, char *name))
{
	if (is_closed(circle, name))
		return false;
	while (!next(scan, name))
	{
		if (circle->wrapped || circle->from[0] == '\0')
			return false;
		circle->wrapped = true;
		name[0] = '\0';
	}
	return true;
}

/* For next_in_circle(). */
static bool
next_own(JobqClaimScan *scan, char *name)
{
	const char *next = jobq_ready_next_own_group(scan->queue,
												 name[0] == '\0' ? NULL : name);

	if (next != NULL)
		strlcpy(name, next, JOBQ_GROUP_NAME_SIZE);
	return next != NULL;
}

/* A new snapshot, which sees no old versions of jobs that this call has claimed. */
static void
refresh(JobqClaimScan *scan)
{
	CommandCounterIncrement();
	jobq_dispatch_refresh(&scan->dispatch);
}

/* See turn_walk.h. */
bool
jobq_turn_to_own(JobqClaimScan *scan)
{
	JobqGroupTicket ticket = {NULL};
	char		name[JOBQ_GROUP_NAME_SIZE];

	go_on_in_circle(&own, scan, name);
	while (next_in_circle(&own, scan, name, next_own))
	{
		JobqGroupLimits limits;
		JobqPicking how;

		jobq_group_limits_read(scan->queue, name, &limits);
		if (limits.max_running == 0)
			continue;
		how = picking_of(scan, &limits);
		if (jobq_roster_enter(scan->queue->state, name, &how, &ticket))
		{
			if (jobq_turn_to_group(scan, &ticket, false))
				return true;
			continue;
		}
		if (limits.max_running == JOBQ_UNLIMITED && !limits.has_rate &&
			how.limit.max_running == JOBQ_UNLIMITED &&
			!jobq_roster_has(scan->queue->state, name))
		{
			refresh(scan);
			jobq_claim_turn_to(scan, NULL, name, false);
			return true;
		}
	}
	return false;
}

/* See turn_walk.h. */
bool
jobq_turn_to_lent(JobqClaimScan *scan)
{
	JobqGroupLimits limits;
	JobqPicking how;
	JobqGroupTicket ticket = {NULL};
	JobqGroup  *group;

	if (!jobq_queue_limits_groups(scan->queue) ||
		scan->hold > JOBQ_CLAIM_KEPT)
		return false;
	while ((group = jobq_lease_end_lend_group(scan->queue,
											  &scan->lender)) != NULL)
	{
		jobq_group_limits_read(scan->queue, group->key.name, &limits);
		how = picking_of(scan, &limits);
		how.has_own = jobq_ready_has_own_jobs(scan->queue, group->key.name);
		if (how.max_running != 0 &&
			jobq_roster_borrow(group, &how, &ticket, &scan->next_run_at))
		{
			if (jobq_turn_to_group(scan, &ticket, true))
				return true;
		}
		else
			jobq_lease_end_unlend_group(group);
	}
	return false;
}

/* See turn_walk.h. */
bool
jobq_turn_limits_all_groups(const JobqQueue *queue)
{
	return jobq_queue_limits_all_groups(queue) || queue->has_group_rate;
}

/* Whether jobs of the group may run without a ticket of it. */
static bool
is_unlimited(const JobqClaimScan *scan, const char *name)
{
	JobqGroupLimits limits;

	jobq_group_limits_read(scan->queue, name, &limits);
	return limits.max_running == JOBQ_UNLIMITED && !limits.has_rate;
}

/*
 * Whether the group is in memory, where it has its turns, unless it may start no job
 * now: it may be throttled.
 */
static bool
has_room(const JobqClaimScan *scan, const char *name)
{
	return scan->hold != JOBQ_CLAIM_DROPPED && scan->queue->state != NULL &&
		jobq_roster_has(scan->queue->state, name);
}

/* See turn_walk.h. */
bool
jobq_turn_needs_no_ticket(const JobqClaimScan *scan, const char *name)
{
	return !has_room(scan, name) && is_unlimited(scan, name);
}

/* For next_in_circle(). */
static bool
next_by_index(JobqClaimScan *scan, char *name)
{
	return jobq_dispatch_next_group(&scan->dispatch, name);
}

/* See turn_walk.h. */
bool
jobq_turn_by_index(JobqClaimScan *scan)
{
	char		name[JOBQ_GROUP_NAME_SIZE];

	if (jobq_turn_limits_all_groups(scan->queue))
		return false;
	if (!scan->in_stage)
		refresh(scan);
	go_on_in_circle(&by_index, scan, name);
	while (next_in_circle(&by_index, scan, name, next_by_index))
	{
		if (!jobq_turn_needs_no_ticket(scan, name))
			continue;
		jobq_claim_turn_to(scan, NULL, name, false);
		return true;
	}
	return false;
}

/* See turn_walk.h. */
void
jobq_turn_note_own(const char *group)
{
	strlcpy(own.last, group, sizeof(own.last));
}

/* See turn_walk.h. */
bool
jobq_turn_note_by_index(const char *group)
{
	strlcpy(by_index.last, group, sizeof(by_index.last));
	return is_closed(&by_index, group);
}
