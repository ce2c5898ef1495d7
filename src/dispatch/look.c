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

/* Whether the row read last is a ready job that nobody has locked. */
static bool
is_free(const JobqClaimScan *scan, const JobqHead *head)
{
	return head->state == JOBQ_STATE_PENDING &&
		head->place.key.run_at <= scan->now &&
		!jobq_row_is_held(scan->dispatch.slot);
}

/*
 * Whether the current index scan finds a free job before one whose run_at is
 * in the future.
 */
static bool
scan_has_free_job(JobqClaimScan *scan, JobqHead *head)
{
	while (jobq_dispatch_next(&scan->dispatch, head) &&
		   head->place.key.run_at <= scan->now)
	{
		if (is_free(scan, head))
			return true;
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
		if (scan_has_free_job(scan, &head))
			return true;
		if (TTS_EMPTY(scan->dispatch.slot))
			return false;
		priority = head.place.priority + 1;
	}
	return false;
}

/*
 * Whether a candidate is a free job.  Removes candidates whose row no longer
 * exists.
 */
static bool
candidate_is_free(JobqClaimScan *scan, const JobqPlace *place)
{
	JobqHead	head;

	if (jobq_dispatch_fetch(&scan->dispatch, place, &head) &&
		head.state == JOBQ_STATE_PENDING)
		return is_free(scan, &head);
	jobq_lane_remove(scan->dispatch.stream, place);
	return false;
}

/* Whether a lane has a free job. */
static bool
lane_has_free_job(JobqClaimScan *scan, int16 priority)
{
	JobqStream *stream = scan->dispatch.stream;
	JobqPlace	place;
	JobqHead	head;
	JobqKey		last = jobq_first_key;	/* candidate that was looked at */

	for (;;)
	{
		switch (jobq_lane_peek(stream, priority, &last, scan->now, &place))
		{
			case JOBQ_POP_FOUND:
				if (candidate_is_free(scan, &place))
					return true;
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
				return scan_has_free_job(scan, &head);
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
		if (lane_has_free_job(scan, priority))
			return true;
	}
	return false;
}

/* Whether a queue has a ready job that nobody has locked. */
bool
jobq_look_finds_free_job(const JobqQueue *queue)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqClaimScan scan;
	bool		result;

	jobq_claim_begin(&scan, jobs, queue, JOBQ_CLAIM_LOCKED, JOBQ_NEVER);
	result = has_free_job(&scan);
	jobq_claim_end(&scan);
	jobq_table_close(jobs);
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

/*
 * The same; also returns when the next future job is due (JOBQ_NEVER: there is
 * none).
 */
bool
jobq_look_is_ready(const JobqQueue *queue, TimestampTz *next)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqClaimScan scan;
	bool		by_lanes;
	bool		ready;
	int16		priority;

	*next = JOBQ_NEVER;
	jobq_claim_begin(&scan, jobs, queue, JOBQ_CLAIM_LOCKED, JOBQ_NEVER);
	ready = has_free_job(&scan);
	by_lanes = jobq_claim_can_use_lanes(&scan);
	for (int after = JOBQ_BEFORE_ALL_PRIORITIES;
		 next_priority(&scan, after, by_lanes, &priority); after = priority)
	{
		TimestampTz next_here = next_of_priority(&scan, priority);

		*next = Min(*next, next_here);
	}
	jobq_claim_end(&scan);
	jobq_table_close(jobs);
	return ready;
}
