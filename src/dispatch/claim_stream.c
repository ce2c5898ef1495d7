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

#include "base/row_holder.h"
#include "base/table_find.h"
#include "dispatch/overdue.h"
#include "dispatch/ripe.h"
#include "job/current_job.h"
#include "job/transition.h"
#include "queue/ready.h"
#include "queue/ticket.h"
#include "shared/async_commit.h"
#include "shared/database.h"
#include "shared/lane_look.h"
#include "shared/roster.h"
#include "shared/wake.h"

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

/*
 * Locks the row that was read last, without waiting, and reads it again into
 * scan->locked.  Returns false if it cannot be locked.  The caller has noted the
 * lock; the note is withdrawn on failure.
 */
static bool
try_lock_row(JobqClaimScan *scan)
{
	if (scan->locked == NULL)
		scan->locked = jobq_table_slot(scan->jobs);
	if (jobq_table_lock(scan->jobs, &scan->dispatch.slot->tts_tid,
						scan->dispatch.snapshot, scan->locked) == JOBQ_FOUND)
		return true;
	(void) jobq_ready_withdraw();
	return false;
}

/* The same for a job; false, too, if it is no longer ready. */
static bool
try_lock(JobqClaimScan *scan, JobqJob *job)
{
	if (!try_lock_row(scan))
		return false;
	if (scan->hold == JOBQ_CLAIM_KEPT)
		ExecMaterializeSlot(scan->locked);
	jobq_job_read(job, scan->locked);
	if (!jobq_overdue_is_claimable(job, scan->now))
		return false;
	if (!jobq_overdue_is_late(job, scan->now))
		return true;

	/* its end, or a new attempt, is more than a claim that may be lost */
	jobq_async_commit_forbid();
	if (!jobq_overdue_settle(scan->jobs, scan->queue, job, scan->now))
		return false;
	if (scan->hold == JOBQ_CLAIM_KEPT)
	{
		ExecMaterializeSlot(job->slot);
		jobq_job_read(job, job->slot);
	}
	return true;
}

/* Whether the first job of the stream at hand has turned out to be blocked. */
static bool
is_blocked(const JobqClaimScan *scan)
{
	return scan->blocked_until != DT_NOBEGIN;
}

/* Whether the job is of the stream; its TID may have been another job's. */
static bool
is_of_stream(const JobqClaimScan *scan, const JobqJob *job)
{
	return job->nulls[Anum_job_group_key - 1] == (scan->dispatch.group == NULL);
}

/*
 * Locks the job whose row was read last, unless scan->unlocked is set and it
 * need not be locked.  The caller has noted the lock.  In order, it must not turn
 * out later that somebody else was faster.
 */
static bool
take_hold(JobqClaimScan *scan, JobqJob *job)
{
	jobq_job_read(job, scan->dispatch.slot);
	if (!jobq_overdue_is_claimable(job, scan->now) ||
		!is_of_stream(scan, job))
	{
		(void) jobq_ready_withdraw();
		return false;
	}
	if (scan->hold == JOBQ_CLAIM_UNLOCKED && !scan->in_order &&
		!jobq_overdue_is_late(job, scan->now))
		return true;
	return try_lock(scan, job);
}

/*
 * Whether the job whose row was read last is in this claim's batch already: its
 * row is only locked, so the index and lanes that are read anew name it again.
 */
static bool
is_in_batch(const JobqClaimScan *scan)
{
	return scan->in_batch && scan->has_ticket &&
		scan->hold == JOBQ_CLAIM_KEPT &&
		jobq_row_is_locked_by_me(scan->dispatch.slot);
}

/*
 * Reads the job at a place of a group as it is now, not as it was found.  Returns
 * false if it is not a ready job of the group any more.  *now_at becomes where it is.
 */
static bool
read_again(JobqClaimScan *scan, const JobqPlace *place, JobqPlace *now_at,
		   JobqJob *job)
{
	bool		found;

	if (scan->locked == NULL)
		scan->locked = jobq_table_slot(scan->jobs);
	/* it may have ended, or expired, by what this command has done */
	CommandCounterIncrement();
	found = jobq_job_find(scan->jobs, place->key.id, scan->locked, job) &&
		job->state == JOBQ_STATE_PENDING && job->run_at <= scan->now &&
		job->queue == scan->queue->id;
	if (found)
		jobq_job_place(job->values, job->nulls, &scan->locked->tts_tid,
					   now_at);
	ExecClearTuple(scan->locked);
	return found && now_at->group != NULL &&
		strcmp(now_at->group, scan->dispatch.group) == 0;
}

/* Whether the lanes lead to a job that was moved, so that it comes in its order. */
static bool
is_met_later(const JobqClaimScan *scan, const JobqPlace *place,
			 const JobqPlace *now_at)
{
	return scan->mode == JOBQ_CLAIM_LANES &&
		(now_at->priority != place->priority ||
		 jobq_key_compare(&now_at->key, &place->key) != 0) &&
		jobq_roster_covers(scan->queue->state, now_at);
}

/* Whether jobs that wait to be tried again hold those behind them. */
static bool
waits_for_retries(const JobqClaimScan *scan)
{
	return scan->in_order &&
		scan->queue->group_on_failure != JOBQ_FAILED_SKIP;
}

/*
 * A job at that place, whose row was read last, waits to be tried again, and does not
 * hold those behind it any more: a claim moves it to that time.  A look does not; the
 * coordinator looks again then.
 */
static void
pass_over_held(JobqClaimScan *scan, const JobqPlace *place,
			   TimestampTz until)
{
	JobqJob		job;

	if (scan->hold == JOBQ_CLAIM_LOOK)
	{
		scan->next_run_at = Min(scan->next_run_at, until);
		jobq_wake_for_queue_at(scan->queue->state, until);
		return;
	}
	jobq_ready_reserve(scan->dispatch.group);
	jobq_ready_note_locked(scan->queue, place);
	if (!try_lock_row(scan))
		return;
	jobq_async_commit_forbid();
	jobq_job_read(&job, scan->locked);
	jobq_job_move(scan->jobs, &job, scan->queue, until);
	ExecClearTuple(scan->locked);
}

/*
 * Passes over the job at that place of a group, whose row may be in the slot, if it
 * waits to be tried again and holds nobody; whether it has.  If it moves the job,
 * it leaves a note of it.
 */
static bool
passes_over(JobqClaimScan *scan, const JobqPlace *place, TupleTableSlot *slot)
{
	JobqJob		job;

	if (TTS_EMPTY(slot) || waits_for_retries(scan))
		return false;
	jobq_job_read(&job, slot);
	if (job.id != place->key.id || !jobq_job_is_held(&job, scan->now))
		return false;
	pass_over_held(scan, place, job.lease_until);
	return true;
}

/* Whether the job at that place of a group keeps those behind it from being started. */
static bool
blocks_others(JobqClaimScan *scan, const JobqPlace *place)
{
	JobqPlace	now_at;
	JobqJob		job;
	bool		is_held;

	if (!scan->in_order ||
		!read_again(scan, place, &now_at, &job) ||
		is_met_later(scan, place, &now_at))
		return false;
	is_held = jobq_job_is_held(&job, scan->now);
	/* who has made it so tells of it */
	if (is_held && !waits_for_retries(scan))
		return false;
	scan->blocked_until = is_held ? job.lease_until :
		scan->now + jobq_ticket_busy_delay();
	scan->blocked_priority = place->priority;
	scan->next_run_at = Min(scan->next_run_at, scan->blocked_until);
	jobq_wake_for_queue_at(scan->queue->state, scan->blocked_until);
	return true;
}

/* See claim_stream.h. */
bool
jobq_claim_is_blocked(JobqClaimScan *scan, const JobqPlace *place,
					  TupleTableSlot *slot)
{
	return scan->dispatch.group != NULL &&
		!passes_over(scan, place, slot) && blocks_others(scan, place);
}

/* See claim_stream.h. */
bool
jobq_claim_is_blocked_at(JobqClaimScan *scan, const JobqPlace *place)
{
	JobqPlace	back = *place;
	bool		result;

	if (scan->dispatch.group == NULL ||
		passes_over(scan, place, scan->dispatch.slot))
		return false;

	/* an error while it is read again puts it back, too */
	if (scan->in_order)
	{
		jobq_ready_reserve(scan->dispatch.group);
		jobq_ready_note_locked(scan->queue, place);
	}
	result = blocks_others(scan, place);
	if (scan->in_order)
		(void) jobq_ready_withdraw();
	if (!result)
		return false;
	ItemPointerSetInvalid(&back.tid);
	(void) jobq_lane_lower(scan->dispatch.stream, &back, scan->now);
	return true;
}

/*
 * Whether the queue's lanes can be used; finds out which lanes there are if
 * that is not known yet.
 */
bool
jobq_claim_can_use_lanes(JobqClaimScan *scan)
{
	JobqPlace	place;
	JobqPop		state;

	if (scan->mode == JOBQ_CLAIM_ALL)
		return false;
	state = jobq_lane_peek(scan->dispatch.stream, 0, &jobq_first_key,
						   scan->now, &place);
	if (state == JOBQ_POP_DISCOVER)
	{
		jobq_dispatch_discover(&scan->dispatch);
		state = jobq_lane_peek(scan->dispatch.stream, 0, &jobq_first_key,
							   scan->now, &place);
	}
	return state != JOBQ_POP_DISCOVER && state != JOBQ_POP_CROWDED;
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
		if (jobq_current_job_is(head->place.key.id) || is_in_batch(scan))
			continue;
		jobq_ready_reserve(scan->dispatch.group);
		jobq_ready_note_locked(scan->queue, &head->place);
		if (take_hold(scan, job))
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
				else if (is_in_batch(scan))
				{
					(void) jobq_ready_withdraw();
					break;
				}
				else if (take_hold(scan, job))
					return true;
				if (jobq_claim_is_blocked_at(scan, &place))
					return false;
				break;
			case JOBQ_POP_REFILL:
				if (jobq_dispatch_refill(&scan->dispatch, place.priority,
										 scan->now))
					break;
				/* FALLTHROUGH */
			case JOBQ_POP_SCAN:
				go_on_by_index(scan, JOBQ_CLAIM_INDEX);
				return false;
			case JOBQ_POP_DISCOVER:
				jobq_dispatch_discover(&scan->dispatch);
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

/* See claim_stream.h. */
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

/* See claim_stream.h. */
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

/* See claim_stream.h. */
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

/* See claim_stream.h. */
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
