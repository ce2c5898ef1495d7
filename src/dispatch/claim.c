/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Finding the next ready job of a queue, and getting hold of it.
 *
 * The lanes in shared memory (lane.c) name candidates.  A claim takes one out,
 * reads its row, and locks it, or leaves it to the caller to change it at once.
 * A row that another transaction has in its hands is passed over, never waited
 * for.  Only when a lane has nothing left in memory is the index read.
 *
 * Where the lanes cannot be used the index is scanned: from the first job that
 * may be ready on, for the rest of the call, while another process refills the
 * lane, or if there is no memory for its candidates, or when this transaction
 * has made jobs ready, which nobody else sees; and from the start where a queue
 * has no lanes, or where no coordinator is there to end leases that are over.
 * Within a priority the first job with a run_at ahead ends the search, so that
 * jobs in the future cost one row per priority and not one per job.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim.h"

#include "dispatch/overdue.h"
#include "guc.h"
#include "queue/ready.h"
#include "shared/async_commit.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/note.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Less than any priority. */
#define BEFORE_ALL (PG_INT16_MIN - 1)

/*
 * Begins to claim jobs that were ready at `ready_by`, or are now if that is
 * later (JOBQ_NEVER).  Nothing may run between this and jobq_claim_end() but
 * jobq_claim_next() and the transitions of the jobs that it gives.
 */
void
jobq_claim_begin(JobqClaimScan *scan, JobqTable *jobs, const JobqQueue *queue,
				 JobqClaimHold hold, TimestampTz ready_by)
{
	memset(scan, 0, sizeof(*scan));
	scan->jobs = jobs;
	scan->queue = queue;
	scan->hold = hold;
	scan->now = Min(jobq_now(), ready_by);
	scan->next_run_at = JOBQ_NEVER;
	scan->priority = BEFORE_ALL;
	CommandCounterIncrement();
	jobq_dispatch_begin(&scan->dispatch, jobs, queue);
	scan->seeking = true;
	scan->mode = JOBQ_CLAIM_ALL;
	if (queue->state != NULL)
	{
		jobq_lanes_follow_storage(queue->state, jobq_table_storage(jobs));
		scan->mode = jobq_ready_has_own_jobs(queue) ?
			JOBQ_CLAIM_INDEX : JOBQ_CLAIM_LANES;
	}
}

void
jobq_claim_end(JobqClaimScan *scan)
{
	jobq_dispatch_end(&scan->dispatch);
}

/*
 * Goes on by the index.  The scan is not to see the jobs that this call has got
 * already as they were: if a command ended since, to change them again would be
 * an error.
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
 * Locks the job of the row that was read last, without waiting, and reads it
 * again.  False if it is not to be had.  The lock has been noted, and the note
 * is withdrawn if there is none.
 */
static bool
try_lock(JobqClaimScan *scan, JobqJob *job)
{
	if (scan->locked == NULL)
		scan->locked = jobq_table_slot(scan->jobs);
	if (jobq_table_lock(scan->jobs, &scan->dispatch.slot->tts_tid,
						scan->dispatch.snapshot, scan->locked) != JOBQ_FOUND)
	{
		jobq_ready_withdraw();
		return false;
	}
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

/* Gets hold of the job of the row that was read last, which is noted. */
static bool
take_hold(JobqClaimScan *scan, JobqJob *job)
{
	jobq_job_read(job, scan->dispatch.slot);
	if (!jobq_overdue_is_claimable(job, scan->now))
	{
		jobq_ready_withdraw();
		return false;
	}
	if (scan->hold == JOBQ_CLAIM_UNLOCKED &&
		!jobq_overdue_is_late(job, scan->now))
		return true;
	return try_lock(scan, job);
}

/*
 * Whether the queue's lanes can be used, after finding out which there are if
 * need be.
 */
bool
jobq_claim_can_use_lanes(JobqClaimScan *scan)
{
	JobqPlace	place;
	JobqPop		state;

	if (scan->mode == JOBQ_CLAIM_ALL)
		return false;
	state = jobq_lane_peek(scan->queue->state, 0, &jobq_first_key, scan->now,
						   &place);
	if (state == JOBQ_POP_DISCOVER)
	{
		jobq_dispatch_discover(&scan->dispatch);
		state = jobq_lane_peek(scan->queue->state, 0, &jobq_first_key,
							   scan->now, &place);
	}
	return state != JOBQ_POP_DISCOVER && state != JOBQ_POP_CROWDED;
}

/* The next lane to be scanned, and where to begin. */
static bool
next_lane(JobqClaimScan *scan, JobqKey *from)
{
	JobqQueueState *state = scan->queue->state;
	JobqPlace	own;
	int16		priority;
	bool		known = jobq_lane_next(state, scan->priority, &priority);
	bool		mine = jobq_ready_next_own_job(scan->queue, scan->priority, &own);

	if (!known && !mine)
		return false;
	if (!known || (mine && own.priority < priority))
		priority = own.priority;
	scan->priority = priority;
	*from = jobq_lane_floor(state, priority);
	if (mine && own.priority == priority &&
		jobq_key_compare(&own.key, from) < 0)
		*from = own.key;
	return true;
}

/*
 * The next job of the index scan under way that can be had.  False at its end,
 * or, with *ahead set, at a job that lies ahead.
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
		jobq_note_reserve();
		jobq_ready_note_locked(scan->queue, &head->place);
		if (take_hold(scan, job))
			return true;
	}
	return false;
}

/* The next job by the index, from the start of the queue. */
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
		if (!ahead || head.place.priority == PG_INT16_MAX)
			return false;
		jobq_dispatch_seek(&scan->dispatch, head.place.priority + 1);
	}
}

/*
 * The next job by the index, lane by lane, this transaction's own ones
 * included.  False if there is none, or, with the mode changed, if the lanes
 * cannot be used.  The scan goes on where it was, so that a job that was not to
 * be had is not met again.
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
		scan->seeking = true;
	}
}

/* Jobs are being claimed: has the coordinator sweep some time after that. */
static void
note_dispatching(TimestampTz now)
{
	JobqDatabase *database = jobq_database();

	if (jobq_sweep_interval > 0 &&
		pg_atomic_read_u32(&database->dispatching) == 0 &&
		pg_atomic_exchange_u32(&database->dispatching, 1) == 0)
		jobq_wake_at(database, now + jobq_sweep_interval * INT64CONST(1000));
}

/*
 * The next job by the lanes.  False if there is none, or, with the mode
 * changed, if they cannot be used, or not now.
 */
static bool
next_of_lanes(JobqClaimScan *scan, JobqJob *job)
{
	JobqQueueState *state = scan->queue->state;
	JobqPlace	place;
	JobqHead	head;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		jobq_note_reserve();
		switch (jobq_lane_pop(state, scan->now, &place, &scan->next_run_at))
		{
			case JOBQ_POP_FOUND:
				jobq_ready_note_locked(scan->queue, &place);
				if (!jobq_dispatch_fetch(&scan->dispatch, &place, &head))
					jobq_ready_withdraw();
				else if (take_hold(scan, job))
					return true;
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
				if (jobq_database()->coordinator_proc == JOBQ_NO_PROCESS)
					go_on_by_index(scan, JOBQ_CLAIM_ALL);
				return false;
			case JOBQ_POP_CROWDED:
				go_on_by_index(scan, JOBQ_CLAIM_ALL);
				return false;
		}
	}
}

/*
 * Gives the next ready job, held as jobq_claim_begin() was told and otherwise
 * untouched.  False when there is none; then next_run_at is the time
 * of the next job that was seen.  Does not care whether the queue is paused.
 *
 * The job's values are good until the next call.
 */
bool
jobq_claim_next(JobqClaimScan *scan, JobqJob *job)
{
	bool		found = false;

	note_dispatching(scan->now);
	if (scan->mode == JOBQ_CLAIM_LANES)
		found = next_of_lanes(scan, job);
	if (!found && scan->mode == JOBQ_CLAIM_INDEX)
		found = next_by_index(scan, job);
	if (!found && scan->mode == JOBQ_CLAIM_ALL)
		found = next_of_all(scan, job);
	if (found)
		job->started_at = scan->now;
	return found;
}

/* The job given last was not to be had. */
void
jobq_claim_lost(JobqClaimScan *scan)
{
	(void) scan;
	jobq_ready_withdraw();
}

/*
 * Whether there seems to be another job.  The job given last is to be left
 * alone after that.
 */
bool
jobq_claim_sees_more(JobqClaimScan *scan)
{
	JobqHead	next;

	if (scan->mode == JOBQ_CLAIM_LANES)
		return jobq_lanes_see_more(scan->queue->state, scan->now);
	return jobq_dispatch_next(&scan->dispatch, &next) &&
		next.state == JOBQ_STATE_PENDING &&
		next.place.key.run_at <= scan->now;
}
