/*-------------------------------------------------------------------------
 *
 * stream_look.c
 *	  Checking whether a stream has a ready job, without claiming it.
 *
 * IDENTIFICATION
 *	  src/dispatch/stream_look.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/stream_look.h"

#include "base/row_holder.h"
#include "dispatch/claim_order.h"
#include "dispatch/dispatch_scan.h"
#include "dispatch/stream_fill.h"
#include "job/failure.h"
#include "shared/clock.h"
#include "shared/lane_look.h"
#include "shared/slot_job.h"

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

/* Whether its executor is about to record it; the row is the one read last. */
static bool
is_being_recorded(const JobqClaimScan *scan)
{
	JobqJob		job;

	if (!jobq_slots_are_recording())
		return false;
	jobq_job_read(&job, scan->dispatch.slot);
	return jobq_job_is_being_recorded(&job);
}

/* Whether the row read last is a ready job that nobody has locked. */
static bool
is_free(const JobqClaimScan *scan, const JobqHead *head)
{
	return head->state == JOBQ_STATE_PENDING &&
		head->place.key.run_at <= scan->now &&
		!is_held(scan) && jobq_row_is_current(scan->dispatch.slot) &&
		!is_being_recorded(scan);
}

/* How often a search looks at the clock. */
#define ROWS_PER_CHECK 64

/* Whether to stop before a row; `limit` may be NULL. */
static bool
stops_at(JobqLookLimit *limit, const JobqKey *key)
{
	if (limit == NULL || ++limit->nrows % ROWS_PER_CHECK != 0 ||
		jobq_stopwatch() < limit->until)
		return false;
	limit->reached = true;
	limit->from = *key;
	return true;
}

/* See stream_look.h. */
bool
jobq_stream_look_in_scan(JobqClaimScan *scan, JobqHead *head, JobqLookLimit *limit)
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

/* The same for the whole stream. */
static bool
all_have_free_job(JobqClaimScan *scan)
{
	int			priority = PG_INT16_MIN;
	JobqHead	head;

	while (priority <= PG_INT16_MAX)
	{
		head.place.priority = PG_INT16_MAX;
		jobq_dispatch_seek(&scan->dispatch, (int16) priority);
		if (jobq_stream_look_in_scan(scan, &head, NULL))
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

/* See stream_look.h. */
bool
jobq_stream_look_in_lane(JobqClaimScan *scan, int16 priority, JobqLookLimit *limit)
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
				if (jobq_stream_refill(&scan->dispatch, priority,
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
				return jobq_stream_look_in_scan(scan, &head, limit);
			default:
				return false;
		}
	}
}

/* See stream_look.h. */
bool
jobq_stream_look(JobqClaimScan *scan)
{
	int16		priority;

	if (!jobq_claim_can_use_lanes(scan))
		return all_have_free_job(scan);
	for (int after = JOBQ_BEFORE_ALL_PRIORITIES;
		 jobq_lane_next(scan->dispatch.stream, after, &priority);
		 after = priority)
	{
		if (jobq_stream_look_in_lane(scan, priority, NULL))
			return true;
		if (scan->blocked_until != DT_NOBEGIN)
			break;
	}
	return false;
}
