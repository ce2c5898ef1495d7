/*-------------------------------------------------------------------------
 *
 * claim_scan.c
 *	  The state of a claim, and how it holds the jobs that it finds.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim_scan.h"

#include "base/row_holder.h"
#include "base/table_find.h"
#include "dispatch/overdue.h"
#include "dispatch/stream_fill.h"
#include "job/failure.h"
#include "queue/ready.h"
#include "shared/async_commit.h"
#include "shared/lane_look.h"

/*
 * Locks the row that was read last, without waiting, and reads it again into
 * scan->locked.  Returns false if it cannot be locked.  The caller has noted the
 * lock; the note is withdrawn on failure.
 */
bool
jobq_claim_lock_row(JobqClaimScan *scan)
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
	if (!jobq_claim_lock_row(scan))
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
bool
jobq_claim_take_hold(JobqClaimScan *scan, JobqJob *job)
{
	jobq_job_read(job, scan->dispatch.slot);
	if (!jobq_overdue_is_claimable(job, scan->now) ||
		!is_of_stream(scan, job) || jobq_job_is_being_recorded(job))
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
bool
jobq_claim_is_in_batch(const JobqClaimScan *scan)
{
	return scan->in_batch && scan->has_ticket &&
		scan->hold == JOBQ_CLAIM_KEPT &&
		jobq_row_is_locked_by_me(scan->dispatch.slot);
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
		jobq_stream_discover(&scan->dispatch, scan->now);
		state = jobq_lane_peek(scan->dispatch.stream, 0, &jobq_first_key,
							   scan->now, &place);
	}
	return state != JOBQ_POP_DISCOVER && state != JOBQ_POP_CROWDED;
}
