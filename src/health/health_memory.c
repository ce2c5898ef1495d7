/*-------------------------------------------------------------------------
 *
 * health_memory.c
 *	  The areas of shared memory that are full, for the view jobq.health.
 *
 * A full area means something else for each of them: a table here has a function for
 * each area of src/shared/area.c that says what.
 *
 * IDENTIFICATION
 *	  src/health/health_memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_memory.h"

#include "health/health_limit.h"
#include "queue/queue_cache.h"
#include "shared/area.h"
#include "shared/lane.h"
#include "shared/lane_memory.h"
#include "shared/lease_search.h"
#include "shared/limit_state.h"
#include "shared/roster_list.h"
#include "shared/roster_room.h"
#include "shared/queue_state.h"

#include "miscadmin.h"
#include "utils/acl.h"

/*
 * The part of a message that names the role with most of an area's pieces, if
 * the reader may see its sessions; else an empty string.
 */
static const char *
describe_role(const JobqHealth *health, Oid role, long taken, long room)
{
	char	   *name = health->sees_sessions ||
	has_privs_of_role(health->reader, role) ?
	GetUserNameFromId(role, true) : NULL;

	return name == NULL ? "" :
		psprintf("; role \"%s\" has %ld of the %ld entries", name, taken, room);
}

static const char *
describe_queues(const JobqHealth *health)
{
	long		taken;
	long		room;
	Oid			role;
	const char *limited = "";

	if (health->queues_without_room == 0)
		return jobq_area_is_full(JOBQ_AREA_QUEUES) ?
			"shared memory has no room for more queues, so their jobs are found with a delay" : NULL;
	role = jobq_queue_states_use(&taken, &room);
	if (health->limited_without_room > 0)
		limited = psprintf("; %d of them have limits, and start no job that is limited",
						   health->limited_without_room);
	return psprintf("shared memory has no room for %d queues, so their jobs are found with a delay%s%s",
					health->queues_without_room, limited,
					describe_role(health, role, taken, room));
}

/* How many queues are such. */
static int
count_queues(const JobqHealth *health, bool (*is_such) (JobqQueueState *queue))
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, health->queues)
	{
		JobqQueueState *state = jobq_queue_state_find(lfirst_int(lc));

		if (state != NULL && is_such(state))
			n++;
	}
	return n;
}

/* Whether the queue, or a group of it, has no lanes because memory is short. */
static bool
lacks_lanes(JobqQueueState *queue)
{
	return jobq_lanes_lack_room(&queue->stream) ||
		jobq_roster_lacks_lanes(queue);
}

static const char *
describe_lanes(const JobqHealth *health)
{
	int			n = count_queues(health, lacks_lanes);

	return n == 0 ? NULL :
		psprintf("shared memory has no room for the priorities of %d queues, so claims search the index from its start",
				 n);
}

static const char *
describe_rings(const JobqHealth *health)
{
	return jobq_lanes_lack_rings(false) ?
		"shared memory has no room for the candidates of all queues, so some claims search the index" : NULL;
}

static bool
lacks_groups(JobqQueueState *queue)
{
	return jobq_roster_is_short(queue);
}

/* How many of those queues limit new jobs by rates of groups. */
static int
count_refusing(const JobqHealth *health)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, health->queues)
	{
		const JobqQueue *queue = jobq_queue_by_id(lfirst_int(lc));

		if (queue != NULL && jobq_queue_may_admit_in_groups(queue) &&
			queue->state != NULL && lacks_groups(queue->state))
			n++;
	}
	return n;
}

static const char *
describe_groups(const JobqHealth *health)
{
	int			n = count_queues(health, lacks_groups);
	int			refusing = n == 0 ? 0 : count_refusing(health);

	return n == 0 ? NULL :
		psprintf("shared memory has no room for all groups of %d queues, so those without room start their jobs later if they have a limit, and otherwise are found in the index%s",
				 n, refusing == 0 ? "" :
				 psprintf("; %d of these queues limit new jobs by rates of groups, and may refuse jobs of further groups",
						  refusing));
}

static const char *
describe_group_rings(const JobqHealth *health)
{
	return jobq_lanes_lack_rings(true) ?
		"shared memory has no room for the candidates of all groups, so some claims search the index" : NULL;
}

/* How many queues start nothing, since their running jobs have no room. */
static int
count_uncounted(const JobqHealth *health)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, health->queues)
	{
		const JobqQueue *queue = jobq_queue_by_id(lfirst_int(lc));

		if (queue != NULL && jobq_health_is_uncounted(queue))
			n++;
	}
	return n;
}

static const char *
describe_leases(const JobqHealth *health)
{
	JobqLeaseUse use;
	int			uncounted;

	if (!jobq_leases_find_no_room(&use))
		return NULL;
	uncounted = count_uncounted(health);
	return psprintf("shared memory has no room for all leases, so some end late%s%s",
					uncounted == 0 ? "" :
					psprintf("; running jobs could not be counted for the limits of %d queues, so none of their limited jobs starts",
							 uncounted),
					describe_role(health, use.role, use.entries, use.room));
}

/* Limits without room keep the queues that share them from starting jobs. */
static const char *
describe_limits(const JobqHealth *health)
{
	int			n = 0;
	ListCell   *lc;

	if (!jobq_limit_states_lack_room())
		return NULL;
	foreach(lc, health->queues)
	{
		const JobqQueue *queue = jobq_queue_by_id(lfirst_int(lc));

		if (queue != NULL && queue->shared_limit != JOBQ_NO_LIMIT &&
			jobq_limit_state_find(queue->shared_limit) == NULL)
			n++;
	}
	return n == 0 ? NULL :
		psprintf("shared memory has no room for the shared limits of %d queues, so none of their jobs starts",
				 n);
}

/* What to say of an area; a message of NULL: it has room. */
static const struct
{
	JobqSeverity severity;
	const char *(*describe) (const JobqHealth *health);
}			areas[JOBQ_NUM_AREAS] = {
	[JOBQ_AREA_QUEUES] = {JOBQ_WARNING, describe_queues},
	[JOBQ_AREA_LANES] = {JOBQ_INFO, describe_lanes},
	[JOBQ_AREA_RINGS] = {JOBQ_INFO, describe_rings},
	[JOBQ_AREA_LEASES] = {JOBQ_WARNING, describe_leases},
	[JOBQ_AREA_LIMITS] = {JOBQ_WARNING, describe_limits},
	[JOBQ_AREA_GROUPS] = {JOBQ_WARNING, describe_groups},
	[JOBQ_AREA_GROUP_RINGS] = {JOBQ_INFO, describe_group_rings},
};

/* See health_memory.h. */
void
jobq_health_check_memory(JobqHealth *health)
{
	for (int area = 0; area < JOBQ_NUM_AREAS; area++)
	{
		const char *message = areas[area].describe(health);
		JobqAreaUse use;

		if (message == NULL)
			continue;
		jobq_area_use(area, &use);
		jobq_health_add(health,
						.severity = areas[area].severity,
						.topic = "shared memory",
						.object = use.name,
						.message = message,
						.hint = "Increase jobq.shared_memory and restart the server.");
	}
}
