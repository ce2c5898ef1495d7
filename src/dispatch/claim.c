/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Finding and claiming the next ready job of a queue.
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
 * the start of the queue if the queue has no lanes, or if there is no
 * coordinator to end expired leases.  Within a priority, the search ends at
 * the first job whose run_at is in the future, so that future jobs cost one
 * row per priority rather than one row each.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim.h"

#include "base/table_find.h"
#include "dispatch/lease.h"
#include "dispatch/lease_load.h"
#include "dispatch/overdue.h"
#include "dispatch/ripe.h"
#include "guc.h"
#include "job/current_job.h"
#include "queue/lease_note.h"
#include "queue/ready.h"
#include "queue/ticket.h"
#include "shared/async_commit.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/note.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"

/* Maximum number of leases that a claim ends if there is no coordinator. */
#define ENDED_AT_ONCE 100

/*
 * Begins to claim jobs that are ready now (ready_by is JOBQ_NEVER), or to add jobs
 * to a transaction in which they run one after the other, and which began at
 * `ready_by`: those that were ready then.  Nothing may run between this and
 * jobq_claim_end() but jobq_claim_next() and the transitions of the jobs that it
 * gives.
 */
void
jobq_claim_begin(JobqClaimScan *scan, JobqTable *jobs, const JobqQueue *queue,
				 JobqClaimHold hold, TimestampTz ready_by)
{
	memset(scan, 0, sizeof(*scan));
	scan->jobs = jobs;
	scan->queue = queue;
	scan->hold = hold;
	scan->in_batch = jobq_queue_has_batches(queue);
	if (jobq_queue_gathers(queue) && hold <= JOBQ_CLAIM_KEPT)
	{
		jobq_ripe_begin_turn(queue);
		scan->has_turn = true;
	}
	scan->shared = ready_by != JOBQ_NEVER;
	scan->now = Min(jobq_now(), ready_by);
	scan->next_run_at = JOBQ_NEVER;
	scan->priority = JOBQ_BEFORE_ALL_PRIORITIES;
	CommandCounterIncrement();
	jobq_dispatch_begin(&scan->dispatch, jobs, queue);
	scan->seeking = true;
	scan->mode = JOBQ_CLAIM_ALL;
	if (queue->state != NULL)
	{
		jobq_lanes_follow_storage(scan->dispatch.stream,
								  jobq_table_storage(jobs));
		scan->mode = jobq_ready_has_own_jobs(queue) ?
			JOBQ_CLAIM_INDEX : JOBQ_CLAIM_LANES;
	}
}

void
jobq_claim_end(JobqClaimScan *scan)
{
	jobq_dispatch_end(&scan->dispatch);
	if (scan->has_turn)
		jobq_ripe_end_turn(scan->queue);
	jobq_start_return();
	jobq_ticket_return(scan->queue, scan->left_some);
}

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
 * Locks the job whose row was read last, without waiting, and reads it again.
 * Returns false if the job cannot be locked or is no longer ready.  The caller
 * has noted the lock; the note is withdrawn on failure.
 */
static bool
try_lock(JobqClaimScan *scan, JobqJob *job)
{
	if (scan->locked == NULL)
		scan->locked = jobq_table_slot(scan->jobs);
	if (jobq_table_lock(scan->jobs, &scan->dispatch.slot->tts_tid,
						scan->dispatch.snapshot, scan->locked) != JOBQ_FOUND)
	{
		(void) jobq_ready_withdraw();
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

/*
 * Locks the job whose row was read last, unless scan->unlocked is set and it
 * need not be locked.  The caller has noted the lock.
 */
static bool
take_hold(JobqClaimScan *scan, JobqJob *job)
{
	jobq_job_read(job, scan->dispatch.slot);
	if (!jobq_overdue_is_claimable(job, scan->now))
	{
		(void) jobq_ready_withdraw();
		return false;
	}
	if (scan->hold == JOBQ_CLAIM_UNLOCKED &&
		!jobq_overdue_is_late(job, scan->now))
		return true;
	return try_lock(scan, job);
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
 * Whether jobs are to be handed out, rather than wait for a full batch.  If not,
 * next_run_at is when the first one has waited enough, and the coordinator looks
 * then.  The caller has a ticket or a pin.
 */
bool
jobq_claim_is_ripe(JobqClaimScan *scan)
{
	TimestampTz ripe_at;
	bool		by_lanes;

	if (!jobq_queue_gathers(scan->queue))
		return true;
	/* without a coordinator, jobs whose lease is over count, too */
	by_lanes = scan->mode == JOBQ_CLAIM_LANES &&
		jobq_database()->coordinator_proc != JOBQ_NO_PROCESS &&
		jobq_claim_can_use_lanes(scan);
	scan->is_ripe = jobq_ripe_judge(&scan->dispatch, by_lanes, scan->now,
									&ripe_at);
	scan->seeking = true;
	if (!scan->is_ripe && ripe_at != JOBQ_NEVER)
	{
		scan->next_run_at = ripe_at;
		jobq_wake_for_queue_at(scan->queue->state, ripe_at);
	}
	return scan->is_ripe;
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
	bool		mine = jobq_ready_next_own_job(scan->queue, scan->priority, &own);

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
		if (jobq_current_job_is(head->place.key.id))
			continue;
		jobq_note_reserve();
		jobq_ready_note_locked(scan->queue, &head->place);
		if (take_hold(scan, job))
			return true;
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
		scan->seeking = true;
	}
}

/*
 * Notes that jobs are being claimed, so that the coordinator sweeps some time
 * later.
 */
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
 * Returns the next job found through the lanes.  Returns false if there is
 * none, or if the lanes cannot be used at the moment, in which case the mode
 * is changed.
 */
static bool
next_of_lanes(JobqClaimScan *scan, JobqJob *job)
{
	JobqStream *stream = scan->dispatch.stream;
	JobqPlace	place;
	JobqHead	head;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		jobq_note_reserve();
		switch (jobq_lane_pop(stream, scan->now, &place, &scan->next_run_at))
		{
			case JOBQ_POP_FOUND:
				jobq_ready_note_locked(scan->queue, &place);
				if (!jobq_dispatch_fetch(&scan->dispatch, &place, &head))
					(void) jobq_ready_withdraw();
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

/* Reserves a start for the next job, if it is going to run. */
static bool
reserve_start(JobqClaimScan *scan)
{
	return scan->hold == JOBQ_CLAIM_DROPPED ||
		jobq_start_reserve(scan->queue, &scan->next_run_at);
}

/* Whether the gates that the queue's jobs pass know what is running. */
static bool
is_counted(const JobqQueue *queue)
{
	return jobq_gate_is_counted(&queue->state->gate) &&
		(queue->limit == NULL || jobq_gate_is_counted(&queue->limit->gate));
}

/*
 * Draws a ticket for the next job, if it is going to run.  If the gate is shut
 * and there is no coordinator, counts the running jobs, or ends leases of the
 * queue that have run out.  A transaction that has claimed or ended jobs itself
 * does neither: it would act on what may be rolled back.
 */
static bool
draw_ticket(JobqClaimScan *scan)
{
	if (scan->hold == JOBQ_CLAIM_DROPPED ||
		jobq_ticket_draw(scan->queue, scan->shared))
		return true;
	if (scan->queue->state == NULL ||
		jobq_database()->coordinator_proc != JOBQ_NO_PROCESS ||
		jobq_lease_note_any())
		return false;
	if (!is_counted(scan->queue))
	{
		jobq_leases_load();
		return jobq_ticket_draw(scan->queue, scan->shared);
	}
	jobq_leases_expire_of(scan->queue, ENDED_AT_ONCE);
	return false;
}

/*
 * When a job with a ticket starts.  If tickets are limited, another job may have
 * had this one when the claim began; their times must not overlap.
 */
static TimestampTz
start_time(const JobqClaimScan *scan)
{
	return jobq_queue_is_limited(scan->queue) ? jobq_now() : scan->now;
}

/*
 * Gives the next ready job, held as jobq_claim_begin() was told and otherwise
 * untouched.  False when there is none; then next_run_at is the time
 * of the next job that was seen.  Does not care whether the queue is paused.
 *
 * The job's values are valid until the next call.
 */
bool
jobq_claim_next(JobqClaimScan *scan, JobqJob *job)
{
	bool		found = false;

	scan->left_some = true;
	if (!scan->has_ticket && (!reserve_start(scan) || !draw_ticket(scan)))
		return false;
	if (scan->has_turn && !scan->is_ripe && !jobq_claim_is_ripe(scan))
	{
		scan->left_some = false;
		return false;
	}
	note_dispatching(scan->now);
	if (scan->mode == JOBQ_CLAIM_LANES)
		found = next_of_lanes(scan, job);
	if (!found && scan->mode == JOBQ_CLAIM_INDEX)
		found = next_by_index(scan, job);
	if (!found && scan->mode == JOBQ_CLAIM_ALL)
		found = next_of_all(scan, job);
	scan->left_some = found;
	if (found)
	{
		if (!scan->has_ticket)
		{
			jobq_ticket_give(scan->queue, job->id);
			scan->started_at = jobq_start_use(&scan->start, scan->queue,
											  start_time(scan));
		}
		job->started_at = scan->started_at;
		scan->has_ticket = scan->in_batch;
	}
	return found;
}

/* Notes that the job returned last could not be claimed. */
void
jobq_claim_lost(JobqClaimScan *scan)
{
	bool		had_ticket = jobq_ticket_withdraw(scan->queue);

	if (had_ticket)
		scan->has_ticket = false;
	/* a later job of a batch has neither */
	if (had_ticket || !scan->in_batch)
		jobq_start_undo(&scan->start);
}

/*
 * Whether there seems to be another job.  The job returned last must not be
 * touched after this call.
 */
bool
jobq_claim_sees_more(JobqClaimScan *scan)
{
	JobqHead	next;

	if (!jobq_start_is_allowed(scan->queue, &scan->next_run_at))
		return false;
	if (scan->mode == JOBQ_CLAIM_LANES)
		return jobq_lanes_see_more(scan->dispatch.stream, scan->now);
	return jobq_dispatch_next(&scan->dispatch, &next) &&
		next.state == JOBQ_STATE_PENDING &&
		next.place.key.run_at <= scan->now;
}
