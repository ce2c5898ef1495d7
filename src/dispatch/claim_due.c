/*-------------------------------------------------------------------------
 *
 * claim_due.c
 *	  When the next jobs of a stream can be started.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_due.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim_due.h"

#include "dispatch/ripe.h"
#include "shared/database.h"
#include "shared/lane_look.h"
#include "shared/wake.h"

/* See claim_due.h. */
TimestampTz
jobq_claim_next_of_priority(JobqClaimScan *scan, int16 priority)
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

/* See claim_due.h. */
bool
jobq_claim_next_priority(JobqClaimScan *scan, int after, bool by_lanes, int16 *priority)
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

/* See claim_due.h. */
TimestampTz
jobq_claim_next_due(JobqClaimScan *scan, int before)
{
	bool		by_lanes = jobq_claim_can_use_lanes(scan);
	TimestampTz result = JOBQ_NEVER;
	int16		priority;

	for (int after = JOBQ_BEFORE_ALL_PRIORITIES;
		 jobq_claim_next_priority(scan, after, by_lanes, &priority) &&
		 priority < before;
		 after = priority)
	{
		TimestampTz next = jobq_claim_next_of_priority(scan, priority);

		result = Min(result, next);
	}
	return result;
}

/* See claim_due.h. */
TimestampTz
jobq_claim_blocked_until(JobqClaimScan *scan)
{
	TimestampTz next_due;

	if (scan->blocked_until <= scan->now)
		return scan->blocked_until;
	next_due = jobq_claim_next_due(scan, scan->blocked_priority);
	if (next_due >= scan->blocked_until)
		return scan->blocked_until;
	scan->next_run_at = Min(scan->next_run_at, next_due);
	jobq_wake_for_queue_at(scan->queue->state, next_due);
	return next_due;
}

/* See claim_due.h. */
bool
jobq_claim_ripens(JobqClaimScan *scan, TimestampTz *ripe_at)
{
	bool		by_lanes;
	bool		is_ripe;

	/* without a coordinator, jobs whose lease is over count, too */
	by_lanes = scan->mode == JOBQ_CLAIM_LANES &&
		jobq_database()->coordinator_proc != JOBQ_NO_PROCESS &&
		jobq_claim_can_use_lanes(scan);
	is_ripe = jobq_ripe_judge(&scan->dispatch, by_lanes, scan->now, ripe_at);
	/* nobody looks at a group in between: one more job may be due before */
	if (!is_ripe && *ripe_at != JOBQ_NEVER && scan->dispatch.group != NULL)
	{
		TimestampTz next_due = jobq_claim_next_due(scan, PG_INT16_MAX + 1);

		*ripe_at = Min(*ripe_at, next_due);
	}
	scan->seeking = true;
	if (!is_ripe && *ripe_at != JOBQ_NEVER)
	{
		scan->next_run_at = Min(scan->next_run_at, *ripe_at);
		jobq_wake_for_queue_at(scan->queue->state, *ripe_at);
	}
	return is_ripe;
}
