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

#include "base/row_holder.h"
#include "dispatch/claim.h"
#include "dispatch/dispatch_scan.h"
#include "dispatch/turn.h"
#include "queue/ticket.h"
#include "shared/clock.h"

#include "utils/timestamp.h"

/* Whether the row read last waits to be tried again. */
static bool
is_held(const JobqClaimScan *scan)
{
	Datum		until;
	bool		isnull;

	if (scan->dispatch.group == NULL)
		return false;
	until = slot_getattr(scan->dispatch.slot, Anum_job_lease_until, &isnull);
	return !isnull && DatumGetTimestampTz(until) > scan->now;
}

/* Whether the row read last is a ready job that nobody has locked. */
static bool
is_free(const JobqClaimScan *scan, const JobqHead *head)
{
	return head->state == JOBQ_STATE_PENDING &&
		head->place.key.run_at <= scan->now &&
		!is_held(scan) && jobq_row_is_current(scan->dispatch.slot);
}

/* How often a search looks at the clock. */
#define ROWS_PER_CHECK 64

/* When a search stops. */
typedef struct LookLimit
{
	int64		until;			/* by jobq_stopwatch() */
	int			nrows;			/* it has looked at */
	bool		reached;
	JobqKey		from;			/* if so, the key at which to continue */
} LookLimit;

/* Whether to stop before a row; `limit` may be NULL. */
static bool
stops_at(LookLimit *limit, const JobqKey *key)
{
	if (limit == NULL || ++limit->nrows % ROWS_PER_CHECK != 0 ||
		jobq_stopwatch() < limit->until)
		return false;
	limit->reached = true;
	limit->from = *key;
	return true;
}

/*
 * Whether the current index scan finds a free job before one whose run_at is
 * in the future, and before the limit.
 */
static bool
scan_has_free_job(JobqClaimScan *scan, JobqHead *head, LookLimit *limit)
{
	while (jobq_dispatch_next(&scan->dispatch, head))
	{
		if (head->place.key.run_at > scan->now)
		{
			scan->next_run_at = Min(scan->next_run_at,
									head->place.key.run_at);
			return false;
		}
		if (is_free(scan, head))
			return true;
		if (stops_at(limit, &head->place.key) ||
			jobq_claim_is_blocked(scan, &head->place, scan->dispatch.slot))
			return false;
	}
	return false;
}

/* The same for the whole queue. */
static bool
all_have_free_job(JobqClaimScan *scan)
{
	int			priority = PG_INT16_MIN;
	JobqHead	head;

	while (priority <= PG_INT16_MAX)
	{
		head.place.priority = PG_INT16_MAX;
		jobq_dispatch_seek(&scan->dispatch, (int16) priority);
		if (scan_has_free_job(scan, &head, NULL))
			return true;
		if (TTS_EMPTY(scan->dispatch.slot) ||
			scan->blocked_until != DT_NOBEGIN)
			return false;
		priority = head.place.priority + 1;
	}
	return false;
}

/*
 * Whether a candidate is a free job.  One whose row version is gone, or runs, is
 * removed: it would be met again by each look.
 */
static bool
candidate_is_free(JobqClaimScan *scan, const JobqPlace *place)
{
	JobqHead	head;

	if (jobq_dispatch_fetch(&scan->dispatch, place, &head) &&
		head.state == JOBQ_STATE_PENDING)
	{
		if (is_free(scan, &head))
			return true;
		(void) jobq_claim_is_blocked(scan, place, scan->dispatch.slot);
		return false;
	}
	jobq_lane_remove(scan->dispatch.stream, place);
	(void) jobq_claim_is_blocked_at(scan, place);
	return false;
}

/* Whether a lane has a free job; stops at the limit. */
static bool
lane_has_free_job(JobqClaimScan *scan, int16 priority, LookLimit *limit)
{
	JobqStream *stream = scan->dispatch.stream;
	JobqPlace	place = {.group = scan->dispatch.group};
	JobqHead	head;
	JobqKey		last = jobq_first_key;	/* candidate that was looked at */

	for (;;)
	{
		switch (jobq_lane_peek(stream, priority, &last, scan->now, &place))
		{
			case JOBQ_POP_FOUND:
				if (candidate_is_free(scan, &place))
					return true;
				if (stops_at(limit, &place.key) ||
					scan->blocked_until != DT_NOBEGIN)
					return false;
				last = place.key;
				break;
			case JOBQ_POP_REFILL:
				if (jobq_dispatch_refill(&scan->dispatch, priority,
										 scan->now))
				{
					/* it may have filled gaps */
					last = jobq_first_key;
					break;
				}
				/* FALLTHROUGH */
			case JOBQ_POP_SCAN:
				jobq_dispatch_refresh(&scan->dispatch);
				jobq_dispatch_seek_lane(&scan->dispatch, priority,
										&place.key);
				return scan_has_free_job(scan, &head, limit);
			default:
				return false;
		}
	}
}

static bool
has_free_job(JobqClaimScan *scan)
{
	int16		priority;

	if (!jobq_claim_can_use_lanes(scan))
		return all_have_free_job(scan);
	for (int after = JOBQ_BEFORE_ALL_PRIORITIES;
		 jobq_lane_next(scan->dispatch.stream, after, &priority);
		 after = priority)
	{
		if (lane_has_free_job(scan, priority, NULL))
			return true;
		if (scan->blocked_until != DT_NOBEGIN)
			break;
	}
	return false;
}

/* For jobq_turn_visit(). */
static bool
look_at_group(JobqClaimScan *scan)
{
	return scan->dispatch.group != NULL && has_free_job(scan);
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
		((jobq_claim_is_ripe(&scan) && has_free_job(&scan)) ||
		 groups_have_free_job(&scan));
	end(&scan);
	return result;
}

/* The earliest future run_at of a priority's jobs. */
static TimestampTz
next_of_priority(JobqClaimScan *scan, int16 priority)
{
	TimestampTz next;
	JobqHead	head;

	if (scan->mode != JOBQ_CLAIM_ALL &&
		jobq_lane_next_due(scan->dispatch.stream, priority, scan->now, &next))
		return next;
	jobq_dispatch_seek_later(&scan->dispatch, priority, scan->now);
	return jobq_dispatch_next(&scan->dispatch, &head) ?
		head.place.key.run_at : JOBQ_NEVER;
}

/* The next higher priority that has jobs. */
static bool
next_priority(JobqClaimScan *scan, int after, bool by_lanes, int16 *priority)
{
	JobqHead	head;

	if (by_lanes)
		return jobq_lane_next(scan->dispatch.stream, after, priority);
	if (after == PG_INT16_MAX)
		return false;
	jobq_dispatch_seek(&scan->dispatch, after + 1);
	if (!jobq_dispatch_next(&scan->dispatch, &head))
		return false;
	*priority = head.place.priority;
	return true;
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
	LookLimit	limit = {until};
	JobqHead	head;
	bool		goes_on = look->begun && look->priority == priority;

	if (by_lanes && !goes_on)
		look->ready = lane_has_free_job(scan, priority, &limit);
	else
	{
		jobq_dispatch_seek_lane(&scan->dispatch, priority,
								goes_on ? &look->from : &jobq_first_key);
		look->ready = scan_has_free_job(scan, &head, &limit);
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
		   next_priority(&scan, look->after, by_lanes, &priority))
	{
		TimestampTz next_here;

		if (may_start && is_ripe && !look->ready &&
			!look_in_priority(look, &scan, by_lanes, priority, until))
			break;
		next_here = next_of_priority(&scan, priority);
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
