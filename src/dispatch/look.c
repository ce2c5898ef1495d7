/*-------------------------------------------------------------------------
 *
 * look.c
 *	  Checking whether a queue has a ready job, without claiming it.
 *
 * A job that another transaction has locked, deleted or claimed does not
 * count: if the job is ready when that transaction ends, it wakes the waiters
 * (ready.c).
 *
 * IDENTIFICATION
 *	  src/dispatch/look.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/look.h"

#include "dispatch/claim.h"
#include "dispatch/claim_due.h"
#include "dispatch/dispatch_scan.h"
#include "dispatch/stream_look.h"
#include "dispatch/turn.h"
#include "queue/ticket.h"
#include "shared/clock.h"

#include "utils/timestamp.h"

/* For jobq_turn_visit(). */
static bool
look_at_group(JobqClaimScan *scan)
{
	return scan->dispatch.group != NULL && jobq_stream_look(scan);
}

/* Whether a group of the queue that may start a job has a free one. */
static bool
groups_have_free_job(JobqClaimScan *scan)
{
	JobqVisit	visit = {0};

	return scan->takes_turns &&
		jobq_turn_visit(scan, &visit, PG_INT64_MAX,
						look_at_group) == JOBQ_VISIT_FOUND;
}

/* Begins a look at a queue.  False if the queue is gone. */
static bool
begin(JobqClaimScan *scan, const JobqQueue *queue)
{
	if (!jobq_ticket_pin(queue))
		return false;
	jobq_claim_begin(scan, jobq_table_open(JOBQ_REL_JOB), queue,
					 JOBQ_CLAIM_LOOK, JOBQ_NEVER);
	return true;
}

static void
end(JobqClaimScan *scan)
{
	JobqTable  *jobs = scan->jobs;

	jobq_claim_end(scan);
	jobq_table_close(jobs);
	jobq_ticket_unpin();
}

/* Whether a queue has a job that could be claimed now. */
bool
jobq_look_finds_free_job(const JobqQueue *queue)
{
	JobqClaimScan scan;
	TimestampTz next = JOBQ_NEVER;
	bool		result;

	if (!begin(&scan, queue))
		return false;
	result = jobq_start_is_allowed(queue, &next) &&
		jobq_ticket_is_left(queue) &&
		((jobq_claim_is_ripe(&scan) && jobq_stream_look(&scan)) ||
		 groups_have_free_job(&scan));
	end(&scan);
	return result;
}

/* See look.h. */
void
jobq_look_begin(JobqLook *look, int32 queue)
{
	look->queue = queue;
	look->after = JOBQ_BEFORE_ALL_PRIORITIES;
	look->begun = false;
	look->ready = false;
	look->next = JOBQ_NEVER;
	memset(&look->groups, 0, sizeof(look->groups));
}

/*
 * Looks for a free job of a priority, from where the look has stopped in it.
 * Returns false if it stops again.
 */
static bool
look_in_priority(JobqLook *look, JobqClaimScan *scan, bool by_lanes,
				 int16 priority, int64 until)
{
	JobqLookLimit limit = {until};
	JobqHead	head;
	bool		goes_on = look->begun && look->priority == priority;

	if (by_lanes && !goes_on)
		look->ready = jobq_stream_look_in_lane(scan, priority, &limit);
	else
	{
		jobq_dispatch_seek_lane(&scan->dispatch, priority,
								goes_on ? &look->from : &jobq_first_key);
		look->ready = jobq_stream_look_in_scan(scan, &head, &limit);
	}
	look->begun = limit.reached;
	look->priority = priority;
	look->from = limit.from;
	return !limit.reached;
}

/* Looks for a free job in groups.  Returns false if the look stops. */
static bool
look_in_groups(JobqLook *look, JobqClaimScan *scan, int64 until)
{
	JobqVisited visited = jobq_turn_visit(scan, &look->groups, until,
										  look_at_group);

	look->ready = visited == JOBQ_VISIT_FOUND;
	return visited != JOBQ_VISITED_SOME;
}

/* See look.h. */
bool
jobq_look_continue(JobqLook *look, const JobqQueue *queue, int64 until)
{
	JobqClaimScan scan;
	bool		by_lanes;
	bool		may_start;
	bool		is_ripe;
	bool		stopped = false;
	int16		priority;

	if (!begin(&scan, queue))
	{
		look->queue = JOBQ_NO_QUEUE;
		return true;
	}
	may_start = jobq_start_is_allowed(queue, &look->next) &&
		jobq_ticket_is_left(queue);
	is_ripe = jobq_claim_is_ripe(&scan);
	by_lanes = jobq_claim_can_use_lanes(&scan);
	while (!stopped &&
		   jobq_claim_next_priority(&scan, look->after, by_lanes, &priority))
	{
		TimestampTz next_here;

		if (may_start && is_ripe && !look->ready &&
			!look_in_priority(look, &scan, by_lanes, priority, until))
			break;
		next_here = jobq_claim_next_of_priority(&scan, priority);
		look->next = Min(look->next, next_here);
		look->after = priority;
		look->begun = false;
		stopped = jobq_stopwatch() >= until;
	}
	stopped = stopped || look->begun;
	if (!stopped && may_start && !look->ready && scan.takes_turns)
		stopped = !look_in_groups(look, &scan, until);
	look->next = Min(look->next, scan.next_run_at);
	if (!stopped && scan.takes_turns)
		look->next = Min(look->next, jobq_turn_next_due(&scan, may_start && !look->ready));
	end(&scan);
	if (!stopped)
		look->queue = JOBQ_NO_QUEUE;
	return !stopped;
}
