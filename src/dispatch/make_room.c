/*-------------------------------------------------------------------------
 *
 * make_room.c
 *	  Dropping jobs of a full queue, to make room for new ones.
 *
 * Without groups, they are found like jobs to run, through the lanes, so that the
 * index entries of jobs that are gone cost nothing.  Otherwise, and in a lifo queue,
 * which runs its oldest jobs last, they are found by their age (oldest.c), whether
 * or not their groups may start a job.  Those of serial groups stay in their lanes
 * until the transaction ends, so that claims meet them there, find them locked, and do
 * not overtake them: they may come back.
 *
 * IDENTIFICATION
 *	  src/dispatch/make_room.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/make_room.h"

#include "dispatch/claim.h"
#include "dispatch/oldest.h"
#include "dispatch/turn.h"
#include "job/admission.h"
#include "job/current_job.h"
#include "job/transition.h"
#include "queue/group_option.h"
#include "queue/ticket.h"
#include "shared/clock.h"
#include "shared/roster.h"

#include "access/xact.h"
#include "utils/timestamp.h"

#define DROPPED "dropped: the queue is full"

/*
 * Cancels the first `wanted` ready jobs without a group that nobody holds, except
 * `spared`, which this transaction has just inserted.  Returns how many those were.
 * Waits for nobody.
 */
static int64
drop_first(JobqTable *jobs, const JobqQueue *queue, int64 wanted, int64 spared)
{
	JobqClaimScan scan;
	JobqJob		job;
	int64		dropped = 0;

	jobq_claim_begin(&scan, jobs, queue, JOBQ_CLAIM_DROPPED, JOBQ_NEVER);
	while (dropped < wanted && jobq_claim_next(&scan, &job))
	{
		if (job.id == spared)
		{
			jobq_claim_lost(&scan);
			continue;
		}
		/* it has not been started */
		job.started_at = DT_NOBEGIN;
		jobq_job_cancel(jobs, &job, queue, DROPPED);
		dropped++;
	}
	jobq_claim_end(&scan);
	return dropped;
}

/*
 * A job was dropped: takes it out of its lane, where it would keep its group in memory,
 * unless claims must not overtake it.
 */
static void
leave_lane(const JobqQueue *queue, const JobqPlace *place, TimestampTz now)
{
	bool		paused;

	if (queue->state == NULL)
		return;
	if (place->group == NULL)
		jobq_lane_remove(&queue->state->stream, place);
	else if (jobq_group_max_running(queue, place->group, &paused) != 1)
		jobq_roster_remove(queue->state, place, now);
}

/* Cancels the job that the scan has given if nobody holds it; whether it has. */
static bool
drop_one(JobqOldest *scan, const JobqHead *head, TupleTableSlot *locked)
{
	JobqTable  *jobs = scan->dispatch.jobs;
	TupleTableSlot *seen = scan->dispatch.slot;
	JobqJob		job;

	if (jobq_current_job_is(head->place.key.id))
		return false;
	jobq_job_read(&job, seen);
	if (jobq_job_is_held(&job, scan->now) ||
		jobq_job_lock_row(jobs, seen, scan->dispatch.snapshot, locked,
						  &job) != JOBQ_FOUND)
		return false;
	jobq_job_cancel(jobs, &job, scan->dispatch.queue, DROPPED);
	leave_lane(scan->dispatch.queue, &head->place, scan->now);
	return true;
}

/* The same as drop_first() for jobs of all groups, the oldest first. */
static int64
drop_oldest(JobqTable *jobs, const JobqQueue *queue, int64 wanted,
			int64 spared)
{
	TupleTableSlot *locked = jobq_table_slot(jobs);
	JobqOldest	scan;
	JobqHead	head;
	int64		dropped = 0;

	jobq_oldest_begin(&scan, jobs, queue, jobq_now());
	while (dropped < wanted && jobq_oldest_next(&scan, &head))
	{
		if (head.place.key.id != spared && drop_one(&scan, &head, locked))
			dropped++;
	}
	jobq_oldest_end(&scan);
	jobq_table_put_slot_back(jobs, locked);
	return dropped;
}

/* Whether some job of the queue is in a group. */
static bool
has_groups(JobqTable *jobs, const JobqQueue *queue)
{
	char		name[JOBQ_GROUP_NAME_SIZE] = "";
	JobqDispatchScan scan;
	bool		result;

	if (!jobq_turn_is_needed(queue))
		return false;
	if (queue->state != NULL && jobq_roster_has_groups(queue->state))
		return true;
	CommandCounterIncrement();
	jobq_dispatch_begin(&scan, jobs, queue);
	result = jobq_dispatch_next_group(&scan, name);
	jobq_dispatch_end(&scan);
	return result;
}

/* For jobq_admission_follow(). */
static int64
make_room(JobqTable *jobs, const JobqQueue *queue, int64 wanted, int64 spared)
{
	int64		dropped;

	if (!jobq_ticket_pin(queue))
		return 0;
	dropped = queue->lifo || has_groups(jobs, queue) ?
		drop_oldest(jobs, queue, wanted, spared) :
		drop_first(jobs, queue, wanted, spared);
	jobq_ticket_unpin();
	return dropped;
}

/* Called once, by _PG_init. */
void
jobq_make_room_init(void)
{
	jobq_admission_follow(make_room);
}
