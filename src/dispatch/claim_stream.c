/*-------------------------------------------------------------------------
 *
 * claim_stream.c
 *	  Finding the next ready job of a stream.
 *
 * The lanes in shared memory (lane.c) name candidates.  A claim takes one out,
 * reads its row, and locks it, or leaves it to the caller to change it at
 * once.  It skips a row that another transaction has locked or changed, and
 * never waits for one.  The index is read only when a lane has no candidates
 * left in memory.
 *
 * If the lanes cannot be used, the rest of the call scans the index.  The scan
 * begins at the first job that may be ready while another process refills the
 * lane, if there is no memory for the lane's candidates, or if this
 * transaction has made jobs ready, which nobody else can see.  It begins at
 * the start of the stream if the stream has no lanes, or if there is no
 * coordinator to end expired leases.  Within a priority, the search ends at
 * the first job whose run_at is in the future, so that future jobs cost one
 * row per priority rather than one row each.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_stream.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim_stream.h"

#include "dispatch/claim_order.h"
#include "dispatch/stream_fill.h"
#include "job/current_job.h"
#include "queue/ready.h"
#include "shared/database.h"
#include "shared/lane_look.h"

#include "access/xact.h"
#include "miscadmin.h"

/*
 * Continues with an index scan.  The scan must not see old versions of jobs
 * that this call has already claimed: if a command has ended since, changing
 * them again would be an error.
 */
static void
go_on_by_index(JobqClaimScan *scan, JobqClaimMode mode)
{
	CommandCounterIncrement();
	jobq_dispatch_refresh(&scan->dispatch);
	scan->seeking = true;
	scan->mode = mode;
}

/* Whether the first job of the stream at hand has turned out to be blocked. */
static bool
is_blocked(const JobqClaimScan *scan)
{
	return scan->blocked_until != DT_NOBEGIN;
}

/*
 * Determines the next lane to scan, and where to begin.  Returns false if
 * there is none.
 */
static bool
next_lane(JobqClaimScan *scan, JobqKey *from)
{
	JobqStream *stream = scan->dispatch.stream;
	JobqPlace	own;
	int16		priority;
	bool		known = jobq_lane_next(stream, scan->priority, &priority);
	bool		mine = jobq_ready_next_own_job(scan->queue,
											   scan->dispatch.group,
											   scan->priority, &own);

	if (!known && !mine)
		return false;
	if (!known || (mine && own.priority < priority))
		priority = own.priority;
	scan->priority = priority;
	*from = jobq_lane_floor(stream, priority);
	if (mine && own.priority == priority &&
		jobq_key_compare(&own.key, from) < 0)
		*from = own.key;
	return true;
}

/*
 * Returns the next job of the current index scan that can be claimed.  Returns
 * false at the end of the scan, or at a job whose run_at is in the future, in
 * which case *ahead is set.
 */
static bool
next_of_scan(JobqClaimScan *scan, JobqJob *job, JobqHead *head, bool *ahead)
{
	*ahead = false;
	while (jobq_dispatch_next(&scan->dispatch, head))
	{
		if (head->place.key.run_at > scan->now)
		{
			scan->next_run_at = Min(scan->next_run_at,
									head->place.key.run_at);
			*ahead = true;
			return false;
		}
		/* this process runs it: the lock that would keep others off is ours */
		if (jobq_current_job_is(head->place.key.id) || jobq_claim_is_in_batch(scan))
			continue;
		jobq_ready_reserve(scan->dispatch.group);
		jobq_ready_note_locked(scan->queue, &head->place);
		if (jobq_claim_take_hold(scan, job))
			return true;
		if (jobq_claim_is_blocked(scan, &head->place, scan->dispatch.slot))
			return false;
	}
	return false;
}

/* Returns the next job found by an index scan from the start of the queue. */
static bool
next_of_all(JobqClaimScan *scan, JobqJob *job)
{
	JobqHead	head;
	bool		ahead;

	if (scan->seeking)
		jobq_dispatch_seek(&scan->dispatch, PG_INT16_MIN);
	scan->seeking = false;
	for (;;)
	{
		if (next_of_scan(scan, job, &head, &ahead))
			return true;
		if (is_blocked(scan))
			return false;
		if (!ahead || head.place.priority == PG_INT16_MAX)
			return false;
		jobq_dispatch_seek(&scan->dispatch, head.place.priority + 1);
	}
}

/*
 * Returns the next job found by an index scan, lane by lane, including this
 * transaction's own jobs.  Returns false if there is none, or if the lanes
 * cannot be used, in which case the mode is changed.  The scan continues where
 * it stopped, so that it does not return to a job that could not be claimed.
 */
static bool
next_by_index(JobqClaimScan *scan, JobqJob *job)
{
	JobqHead	head;
	bool		ahead;

	for (;;)
	{
		if (scan->seeking)
		{
			JobqKey		from;

			if (!jobq_claim_can_use_lanes(scan))
			{
				go_on_by_index(scan, JOBQ_CLAIM_ALL);
				return false;
			}
			if (!next_lane(scan, &from))
				return false;
			jobq_dispatch_seek_lane(&scan->dispatch, scan->priority, &from);
			scan->seeking = false;
		}
		if (next_of_scan(scan, job, &head, &ahead))
			return true;
		if (is_blocked(scan))
			return false;
		scan->seeking = true;
	}
}

/*
 * Returns the next job found through the lanes.  Returns false if there is
 * none, or if the lanes cannot be used at the moment, in which case the mode
 * is changed.
 */
static bool
next_of_lanes(JobqClaimScan *scan, JobqJob *job)
{
	JobqStream *stream = scan->dispatch.stream;
	JobqPlace	place = {.group = scan->dispatch.group};
	JobqHead	head;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		jobq_ready_reserve(scan->dispatch.group);
		switch (jobq_lane_pop(stream, scan->now, &place, &scan->next_run_at))
		{
			case JOBQ_POP_FOUND:
				jobq_ready_note_locked(scan->queue, &place);
				if (!jobq_dispatch_fetch(&scan->dispatch, &place, &head))
					(void) jobq_ready_withdraw();
				else if (jobq_claim_is_in_batch(scan))
				{
					(void) jobq_ready_withdraw();
					break;
				}
				else if (jobq_claim_take_hold(scan, job))
					return true;
				if (jobq_claim_is_blocked_at(scan, &place))
					return false;
				break;
			case JOBQ_POP_REFILL:
				if (jobq_stream_refill(&scan->dispatch, place.priority,
									   scan->now))
					break;
				/* FALLTHROUGH */
			case JOBQ_POP_SCAN:
				go_on_by_index(scan, JOBQ_CLAIM_INDEX);
				return false;
			case JOBQ_POP_DISCOVER:
				jobq_stream_discover(&scan->dispatch, scan->now);
				break;
			case JOBQ_POP_NOTHING:
				if (scan->dispatch.group == NULL &&
					jobq_database()->coordinator_proc == JOBQ_NO_PROCESS)
					go_on_by_index(scan, JOBQ_CLAIM_ALL);
				return false;
			case JOBQ_POP_CROWDED:
				go_on_by_index(scan, JOBQ_CLAIM_ALL);
				return false;
		}
	}
}

/* See claim_stream.h. */
void
jobq_claim_turn_to(JobqClaimScan *scan, JobqStream *stream, const char *group,
				   bool in_order)
{
	jobq_dispatch_turn_to(&scan->dispatch, stream, group);
	scan->seeking = true;
	scan->priority = JOBQ_BEFORE_ALL_PRIORITIES;
	scan->blocked_until = DT_NOBEGIN;
	scan->in_order = in_order;
	scan->mode = JOBQ_CLAIM_ALL;
	if (stream == NULL)
		return;
	jobq_lanes_follow_storage(stream, jobq_table_storage(scan->jobs));
	scan->mode = JOBQ_CLAIM_LANES;
	if (jobq_ready_has_own_jobs(scan->queue, group))
		go_on_by_index(scan, JOBQ_CLAIM_INDEX);
}

/* See claim_stream.h. */
bool
jobq_claim_of_stream(JobqClaimScan *scan, JobqJob *job)
{
	if (scan->mode == JOBQ_CLAIM_LANES && next_of_lanes(scan, job))
		return true;
	if (scan->mode == JOBQ_CLAIM_INDEX && !is_blocked(scan) &&
		next_by_index(scan, job))
		return true;
	return scan->mode == JOBQ_CLAIM_ALL && !is_blocked(scan) &&
		next_of_all(scan, job);
}

/* See claim_stream.h. */
bool
jobq_claim_stream_sees_more(JobqClaimScan *scan)
{
	JobqHead	next;

	if (scan->mode == JOBQ_CLAIM_LANES)
		return jobq_lanes_see_more(scan->dispatch.stream, scan->now);
	/* `seeking`: the index has been searched, or has yet to be */
	return !scan->seeking && jobq_dispatch_next(&scan->dispatch, &next) &&
		next.state == JOBQ_STATE_PENDING &&
		next.place.key.run_at <= scan->now;
}
