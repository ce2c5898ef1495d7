/*-------------------------------------------------------------------------
 *
 * due.c
 *	  Waking whoever works a queue when its delayed jobs are due.
 *
 * IDENTIFICATION
 *	  src/due.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "claim.h"
#include "maintenance.h"
#include "xact.h"

#include "miscadmin.h"

/*
 * Looks at all queues; wakes executors, waiters and the notifier for those
 * with ready jobs.  Returns when the next job of any queue is due.
 */
TimestampTz
jobq_queues_wake_due(void)
{
	TimestampTz earliest = JOBQ_NEVER;
	ListCell   *lc;

	foreach(lc, jobq_queues_all())
	{
		JobqQueue  *queue = lfirst(lc);
		TimestampTz next;

		CHECK_FOR_INTERRUPTS();
		if (queue->paused || !queue->at_home)
			continue;
		if (jobq_queue_is_ready(queue, &next))
			jobq_wake_for_queue(queue->state, queue->id,
								jobq_queue_has_executors(queue) ?
								queue->owner : InvalidOid,
								queue->notify, 1);
		earliest = Min(earliest, next);
	}
	return earliest;
}
