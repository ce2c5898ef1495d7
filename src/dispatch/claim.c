/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Finding and claiming the next ready job of a queue.
 *
 * A claim draws a ticket of the queue's gate, finds out whose turn it is (turn.c):
 * that of the jobs without a group or of a group, and looks for a job in that
 * stream (claim_stream.c).
 *
 * IDENTIFICATION
 *	  src/dispatch/claim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim.h"

#include "dispatch/claim_due.h"
#include "dispatch/claim_stream.h"
#include "dispatch/lease.h"
#include "dispatch/lease_load.h"
#include "dispatch/ripe.h"
#include "dispatch/turn.h"
#include "guc.h"
#include "queue/lease_end.h"
#include "queue/lease_note.h"
#include "queue/queue_room.h"
#include "queue/queue_wake.h"
#include "queue/ticket.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/group_rate.h"
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
	scan->in_batch = jobq_queue_has_batches(queue) &&
		hold != JOBQ_CLAIM_DROPPED;
	if (jobq_queue_gathers(queue) && hold <= JOBQ_CLAIM_KEPT)
	{
		jobq_ripe_begin_turn(queue);
		scan->has_turn = true;
	}
	scan->shared = ready_by != JOBQ_NEVER;
	scan->now = jobq_now();
	scan->now = Min(scan->now, ready_by);
	scan->next_run_at = JOBQ_NEVER;
	if (jobq_queue_lacks_room(queue))
		jobq_queue_seek_room(queue);
	CommandCounterIncrement();
	jobq_dispatch_begin(&scan->dispatch, jobs, queue);
	scan->takes_turns = hold != JOBQ_CLAIM_DROPPED &&
		jobq_turn_is_needed(queue);
	jobq_claim_turn_to(scan, queue->state == NULL ? NULL :
					   &queue->state->stream, NULL, false);
}

void
jobq_claim_end(JobqClaimScan *scan)
{
	jobq_dispatch_end(&scan->dispatch);
	/* the values of a job that is kept are in the other slot */
	if (scan->hold == JOBQ_CLAIM_KEPT)
		jobq_table_put_slot_back(scan->jobs, scan->dispatch.slot);
	if (scan->has_turn)
		jobq_ripe_end_turn(scan->queue);
	jobq_start_return();
	jobq_ticket_return(scan->queue, scan->left_some);
	if (scan->told)
		jobq_queue_wake_look(scan->queue->state);
}

/*
 * Whether jobs without a group are to be handed out, rather than wait for a full
 * batch; see jobq_claim_ripens().
 */
bool
jobq_claim_is_ripe(JobqClaimScan *scan)
{
	TimestampTz ripe_at;

	if (!scan->is_ripe)
		scan->is_ripe = !jobq_queue_gathers(scan->queue) ||
			jobq_claim_ripens(scan, &ripe_at);
	return scan->is_ripe;
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
 * For a claim that has found nothing: if there is no coordinator, counts the running
 * jobs, or ends leases of the queue that have run out.  A transaction that has
 * claimed or ended jobs itself does neither: it would act on what may be rolled
 * back.  Returns whether the jobs were counted.
 */
static bool
do_without_coordinator(const JobqQueue *queue)
{
	if (queue->state == NULL ||
		jobq_database()->coordinator_proc != JOBQ_NO_PROCESS ||
		jobq_lease_note_any() || jobq_lease_end_any())
		return false;
	if (!is_counted(queue))
	{
		jobq_leases_load();
		/* if not, leases that are over may take the room */
		if (is_counted(queue))
			return true;
	}
	jobq_leases_expire_of(queue, ENDED_AT_ONCE);
	return false;
}

/* Draws a ticket for the next job, if it is going to run. */
static bool
draw_ticket(JobqClaimScan *scan)
{
	return scan->hold == JOBQ_CLAIM_DROPPED ||
		jobq_ticket_draw(scan->queue, scan->shared) ||
		(do_without_coordinator(scan->queue) &&
		 jobq_ticket_draw(scan->queue, scan->shared));
}

/*
 * When a job with a ticket starts.  If tickets are limited, another job may have
 * had this one when the claim began; their times must not overlap.  If groups may have
 * rates, this is also the time of a job whose group has none.
 */
static TimestampTz
start_time(const JobqClaimScan *scan)
{
	return jobq_queue_keeps_leases(scan->queue) ||
		jobq_queue_may_rate_groups(scan->queue) ? jobq_now() : scan->now;
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
	bool		found;

	scan->left_some = true;
	if (!scan->has_ticket && (!reserve_start(scan) || !draw_ticket(scan)))
		return false;
	if (scan->has_turn && !scan->takes_turns && !jobq_claim_is_ripe(scan))
	{
		scan->left_some = false;
		return false;
	}
	note_dispatching(scan->now);
	/* a batch is of one group */
	found = scan->takes_turns && !scan->has_ticket ?
		jobq_turn_claim(scan, job) : jobq_claim_of_stream(scan, job);
	/* others may have been turned away with a job that has become due since */
	scan->left_some = found || scan->next_run_at <= jobq_now();
	if (found)
	{
		if (!scan->has_ticket)
		{
			scan->started_at = jobq_start_use(&scan->start, scan->queue,
											  &scan->group_start,
											  jobq_ticket_of_group(),
											  start_time(scan));
			jobq_ticket_give(scan->queue, job->id);
		}
		job->started_at = scan->started_at;
		scan->has_ticket = scan->in_batch;
	}
	else if (scan->takes_turns)
		(void) do_without_coordinator(scan->queue);
	return found;
}

/*
 * The job that was lost has not started in its group.  The next one there needs a
 * start of its own; if there is none now, the search goes on with the next turn.
 */
static void
undo_in_group(JobqClaimScan *scan)
{
	JobqGroupTicket *ticket = jobq_ticket_of_group();

	jobq_start_undo_of_group(&scan->group_start);
	if (ticket == NULL || jobq_group_rate_reserve_again(ticket))
		return;
	(void) jobq_ticket_put_back_group(DT_NOBEGIN);
	scan->goes_on = false;
}

/*
 * Notes that the job returned last could not be claimed.  The next one is looked for
 * behind it first, so that it is not met again.
 */
void
jobq_claim_lost(JobqClaimScan *scan)
{
	bool		had_ticket = jobq_ticket_withdraw(scan->queue);

	scan->goes_on = true;
	if (had_ticket)
		scan->has_ticket = false;
	/* a later job of a batch has neither */
	if (had_ticket || !scan->in_batch)
	{
		jobq_start_undo(&scan->start);
		undo_in_group(scan);
	}
}

/*
 * Whether there seems to be another job that could start now.  The job returned last
 * must not be touched after this call.
 */
bool
jobq_claim_sees_more(JobqClaimScan *scan)
{
	if (!jobq_start_is_allowed(scan->queue, &scan->next_run_at) ||
		!jobq_ticket_is_left(scan->queue))
		return false;
	return jobq_claim_stream_sees_more(scan) ||
		(scan->takes_turns && jobq_turn_sees_more(scan));
}
