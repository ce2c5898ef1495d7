/*-------------------------------------------------------------------------
 *
 * ripe.c
 *	  Whether a queue's next batch is to be handed out, or waits for more
 *	  jobs.
 *
 * A batch is ripe when batch_size jobs are ready, or the first of them has
 * been ready for batch_wait.  Only queues with batch_wait come here.
 *
 * The lanes can answer quickly that it is not ripe: they have each ready job that
 * nobody holds, and perhaps some that are gone.  Otherwise rows are read, until
 * batch_size of them are free.
 *
 * Two workers that find the same batch ripe could each get a part of it.  So the
 * workers of a queue take turns: the whole claim, from this look to the last job, is
 * made under a heavyweight lock, which is released at the end of the claim, not of
 * the transaction.  Looks that claim nothing do not take it.
 *
 * IDENTIFICATION
 *	  src/dispatch/ripe.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/ripe.h"

#include "base/extension.h"
#include "base/row_holder.h"
#include "dispatch/overdue.h"
#include "job/job.h"
#include "shared/clock.h"
#include "shared/lane_look.h"

#include "miscadmin.h"
#include "storage/lock.h"

/*
 * Subobject of the lock by which the workers of a queue take turns: none of the
 * marks of prepared transactions (mark.h), which are locks on queues, too.
 */
#define TURN_OBJECT PG_UINT16_MAX

/* What has been seen of the ready jobs. */
typedef struct Seen
{
	TimestampTz now;
	int			njobs;
	TimestampTz first;			/* the earliest run_at; JOBQ_NEVER: none */
} Seen;

static bool
is_ripe(const JobqDispatchScan *scan, const Seen *seen)
{
	return seen->njobs >= scan->queue->batch_size ||
		(seen->first != JOBQ_NEVER &&
		 seen->now - seen->first >= scan->queue->batch_wait);
}

/* Looks at the free jobs of a priority, from the key on, until it is ripe. */
static void
look_in_priority(JobqDispatchScan *scan, int16 priority, const JobqKey *from,
				 Seen *seen)
{
	JobqHead	head;
	JobqJob		job;

	jobq_dispatch_seek_lane(scan, priority, from);
	while (!is_ripe(scan, seen) && jobq_dispatch_next(scan, &head))
	{
		CHECK_FOR_INTERRUPTS();
		if (head.place.key.run_at > seen->now)
			break;
		jobq_job_read(&job, scan->slot);
		if (!jobq_overdue_is_claimable(&job, seen->now) ||
			jobq_overdue_is_expired(&job, seen->now) ||
			!jobq_row_is_current(scan->slot))
			continue;
		seen->njobs++;
		seen->first = Min(seen->first,
						  jobq_run_at_real(head.place.key.run_at));
	}
}

/* Looks in all lanes. */
static void
look_in_lanes(JobqDispatchScan *scan, Seen *seen)
{
	int16		priority;

	for (int after = JOBQ_BEFORE_ALL_PRIORITIES;
		 !is_ripe(scan, seen) &&
		 jobq_lane_next(scan->stream, after, &priority);
		 after = priority)
	{
		JobqKey		from = jobq_lane_floor(scan->stream, priority);

		look_in_priority(scan, priority, &from, seen);
	}
}

/* Looks at the whole queue, where lanes do not help. */
static void
look_at_all(JobqDispatchScan *scan, Seen *seen)
{
	int			priority = PG_INT16_MIN;
	JobqHead	head;

	while (priority <= PG_INT16_MAX && !is_ripe(scan, seen))
	{
		jobq_dispatch_seek(scan, (int16) priority);
		if (!jobq_dispatch_next(scan, &head))
			return;
		priority = head.place.priority;
		look_in_priority(scan, (int16) priority, &jobq_first_key, seen);
		priority++;
	}
}

/* See ripe.h. */
bool
jobq_ripe_judge(JobqDispatchScan *scan, bool by_lanes, TimestampTz now,
				TimestampTz *ripe_at)
{
	Seen		seen = {now, 0, JOBQ_NEVER};
	bool		known = by_lanes &&
	jobq_lanes_count_due(scan->stream, now, &seen.njobs, &seen.first);

	/* of mirrored ones, the first in memory is not the oldest */
	if (!known || jobq_run_at_is_mirrored(seen.first) || is_ripe(scan, &seen))
	{
		seen.njobs = 0;
		seen.first = JOBQ_NEVER;
		if (by_lanes)
			look_in_lanes(scan, &seen);
		else
			look_at_all(scan, &seen);
	}
	*ripe_at = seen.first == JOBQ_NEVER ? JOBQ_NEVER :
		seen.first + scan->queue->batch_wait;
	return is_ripe(scan, &seen);
}

static void
make_tag(LOCKTAG *tag, const JobqQueue *queue)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, jobq_relation_oid(JOBQ_REL_QUEUE),
					   queue->id, TURN_OBJECT);
}

/* See ripe.h. */
void
jobq_ripe_begin_turn(const JobqQueue *queue)
{
	LOCKTAG		tag;

	make_tag(&tag, queue);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* See ripe.h. */
void
jobq_ripe_end_turn(const JobqQueue *queue)
{
	LOCKTAG		tag;

	make_tag(&tag, queue);
	(void) LockRelease(&tag, ExclusiveLock, false);
}
