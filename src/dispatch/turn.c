/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  The turns of a queue's groups, for claims.
 *
 * A claim goes through stages: the turns (turn_draw.c), then what they leave out
 * (turn_walk.c).
 *
 * IDENTIFICATION
 *	  src/dispatch/turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/turn.h"

#include "dispatch/claim_due.h"
#include "dispatch/claim_stream.h"
#include "dispatch/stream_look.h"
#include "dispatch/turn_draw.h"
#include "dispatch/turn_walk.h"
#include "queue/ready.h"
#include "queue/ticket.h"
#include "shared/database.h"
#include "shared/limit_state.h"
#include "shared/roster.h"
#include "shared/roster_pick.h"
#include "shared/wake.h"

/* See turn.h. */
bool
jobq_turn_is_needed(const JobqQueue *queue)
{
	/* without a coordinator, it does not know leases that are over */
	return queue->state == NULL || jobq_roster_is_active(queue->state) ||
		jobq_database()->coordinator_proc == JOBQ_NO_PROCESS ||
		jobq_ready_next_own_group(queue, NULL) != NULL;
}

/*
 * Whether the jobs of the stream at hand wait for a full batch, or there are none.  If
 * so, its group takes no turns until they have waited enough, or others are added.
 */
static bool
is_unripe(JobqClaimScan *scan)
{
	TimestampTz ripe_at;

	if (!jobq_queue_gathers(scan->queue))
		return false;
	/* those that the group was told of before the ticket was drawn are seen */
	jobq_dispatch_refresh(&scan->dispatch);
	if (jobq_claim_ripens(scan, &ripe_at))
		return false;
	/* candidates that are gone must not keep the group in turn */
	if (ripe_at == JOBQ_NEVER && jobq_claim_can_use_lanes(scan))
		(void) jobq_stream_look(scan);
	jobq_turn_put_back(scan, ripe_at == JOBQ_NEVER ? scan->blocked_until : ripe_at);
	return true;
}

/* Turns to the jobs without a group, once in a stage. */
static bool
turn_to_plain(JobqClaimScan *scan)
{
	if (scan->in_stage)
		return false;
	jobq_claim_turn_to(scan, &scan->queue->state->stream, NULL, false);
	return true;
}

/* Whether there may be groups that have no room in shared memory. */
static bool
needs_index(const JobqClaimScan *scan)
{
	return scan->no_room || scan->queue->state == NULL;
}

/* Turns to the next stream of the stage. */
static bool
turn_in_stage(JobqClaimScan *scan)
{
	switch (scan->stage)
	{
		case JOBQ_STAGE_PLAIN:	/* jobq_claim_begin() has turned to it */
			return !scan->in_stage;
		case JOBQ_STAGE_TURNS:
			return jobq_turn_to_next(scan);
		case JOBQ_STAGE_OWN_PLAIN:
			return jobq_ready_has_own_jobs(scan->queue, NULL) &&
				turn_to_plain(scan);
		case JOBQ_STAGE_OWN:
			return jobq_turn_to_own(scan);
		case JOBQ_STAGE_LENT:
			return jobq_turn_to_lent(scan);
		case JOBQ_STAGE_INDEX:
			return needs_index(scan) && jobq_turn_by_index(scan);
		case JOBQ_STAGE_OVERDUE:
			return jobq_database()->coordinator_proc == JOBQ_NO_PROCESS &&
				turn_to_plain(scan);
		case JOBQ_STAGE_END:
			break;
	}
	return false;
}

/* The stage has no further stream. */
static void
go_to_next_stage(JobqClaimScan *scan)
{
	JobqClaimStage ended = scan->stage++;

	scan->in_stage = false;
	if (scan->queue->state == NULL)
		scan->stage = ended == JOBQ_STAGE_PLAIN ? JOBQ_STAGE_INDEX :
			JOBQ_STAGE_END;
	else if (ended == JOBQ_STAGE_TURNS)
		scan->told = false;		/* it had one more turn */
}

/*
 * When the group at hand, in which no job was found, has its next turn.  Its lanes do
 * not know what this transaction has claimed of its own jobs there: without a pause each
 * claim would look for them again.  The commit ends it.
 */
static TimestampTz
next_turn(const JobqClaimScan *scan)
{
	if (scan->blocked_until != DT_NOBEGIN || scan->dispatch.group == NULL ||
		!jobq_ready_has_own_jobs(scan->queue, scan->dispatch.group))
		return scan->blocked_until;
	return scan->now + USECS_PER_SEC;
}

/* Turns to the next stream where there may be a job. */
static bool
turn_on(JobqClaimScan *scan)
{
	jobq_turn_put_back(scan, next_turn(scan));
	while (scan->stage != JOBQ_STAGE_END)
	{
		if (turn_in_stage(scan))
		{
			scan->in_stage = true;
			return true;
		}
		go_to_next_stage(scan);
	}
	return false;
}

/* Begins to look for a job, in the first stage. */
static void
begin_claim(JobqClaimScan *scan)
{
	if (scan->queue->state != NULL)
	{
		jobq_turns_begin(scan);
		return;
	}
	if (scan->stage == JOBQ_STAGE_PLAIN)
		return;
	scan->stage = JOBQ_STAGE_INDEX;
	scan->in_stage = false;
}

/* A job has been found in a group without room, and runs without a ticket of it. */
static void
miss_ticket(const JobqClaimScan *scan)
{
	const JobqQueue *queue = scan->queue;

	if (queue->state == NULL || scan->hold == JOBQ_CLAIM_DROPPED)
		return;
	jobq_gate_miss(&queue->state->gate);
	/* which may be given a limit for groups later */
	if (queue->limit != NULL && jobq_limit_state_counts_groups(queue->limit))
		jobq_gate_miss(&queue->limit->gate);
}

/* A job has been found where the scan is. */
static void
note_found(JobqClaimScan *scan)
{
	const char *group = scan->dispatch.group;

	switch (scan->stage)
	{
		case JOBQ_STAGE_PLAIN:
			/* a new scan would meet the jobs that this call has claimed */
			scan->goes_on = true;
			break;
		case JOBQ_STAGE_OWN:
			jobq_turn_note_own(group);
			if (scan->dispatch.stream == NULL)
				miss_ticket(scan);
			break;
		case JOBQ_STAGE_INDEX:
			scan->goes_on = jobq_turn_note_by_index(group);
			miss_ticket(scan);
			break;
		default:
			break;
	}
}

/* See turn.h. */
bool
jobq_turn_claim(JobqClaimScan *scan, JobqJob *job)
{
	bool		found = false;

	if (scan->goes_on)
		found = jobq_claim_of_stream(scan, job);
	else
		begin_claim(scan);
	while (!found && turn_on(scan))
		found = !is_unripe(scan) && jobq_claim_of_stream(scan, job);

	scan->goes_on = false;
	if (found)
		note_found(scan);
	/* jobs that no look has seen, in groups that are not `later` */
	else if (scan->queue->state != NULL && !scan->shared &&
			 scan->next_run_at > scan->now && scan->next_run_at != JOBQ_NEVER)
		jobq_wake_for_queue_at(scan->queue->state, scan->next_run_at);
	return found;
}

/* See turn.h. */
bool
jobq_turn_sees_more(JobqClaimScan *scan)
{
	return scan->queue->state != NULL &&
		jobq_roster_sees_more(scan->queue->state, scan->now);
}

/* See turn.h. */
TimestampTz
jobq_turn_next_due(const JobqClaimScan *scan, bool all_visited)
{
	return scan->queue->state == NULL ? JOBQ_NEVER :
		jobq_roster_next_due(scan->queue->state, all_visited, scan->now);
}

/* Visits groups that have no room in memory, in the order of the index. */
static JobqVisited
visit_by_index(JobqClaimScan *scan, JobqVisit *visit,
			   bool (*look) (JobqClaimScan *scan))
{
	if (jobq_turn_limits_all_groups(scan->queue))
		return JOBQ_VISITED_ALL;
	while (jobq_dispatch_next_group(&scan->dispatch, visit->after))
	{
		jobq_claim_turn_to(scan, NULL, visit->after, false);
		if (jobq_turn_needs_no_ticket(scan, visit->after) && !is_unripe(scan) && look(scan))
			return JOBQ_VISIT_FOUND;
		if (jobq_turn_is_time_over(scan))
			return JOBQ_VISITED_SOME;
	}
	return JOBQ_VISITED_ALL;
}

/* Visits groups in memory, and brings others in. */
static JobqVisited
visit_in_turn(JobqClaimScan *scan, JobqVisit *visit,
			  bool (*look) (JobqClaimScan *scan))
{
	bool		found = false;

	jobq_turns_begin(scan);
	if (visit->begun)
	{
		scan->turns_left = visit->turns_left;
		scan->may_read = visit->may_read;
		scan->laps_left = visit->laps_left;
		scan->has_drawn = true;
	}
	while (jobq_turn_to_next(scan))
	{
		found = !is_unripe(scan) && look(scan);
		if (found || jobq_turn_is_time_over(scan))
			break;
		jobq_turn_put_back(scan, scan->blocked_until);
	}
	/* if it gives more turns, there are turns left */
	jobq_turn_put_back(scan, scan->blocked_until);
	scan->told = false;
	visit->begun = true;
	visit->turns_left = scan->turns_left;
	visit->may_read = scan->may_read;
	visit->laps_left = scan->laps_left;
	if (found)
		return JOBQ_VISIT_FOUND;
	return visit->turns_left > 0 ? JOBQ_VISITED_SOME : JOBQ_VISITED_ALL;
}

/* See turn.h. */
JobqVisited
jobq_turn_visit(JobqClaimScan *scan, JobqVisit *visit, int64 until,
				bool (*look) (JobqClaimScan *scan))
{
	scan->until = until;
	if (scan->queue->state != NULL && !visit->by_index)
	{
		JobqVisited result = visit_in_turn(scan, visit, look);

		if (result != JOBQ_VISITED_ALL || !scan->no_room)
			return result;
	}
	visit->by_index = true;
	return visit_by_index(scan, visit, look);
}
