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
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];
		JobqQueue	queue;
		TimestampTz next;

		CHECK_FOR_INTERRUPTS();
		if (brief->paused || !brief->at_home)
			continue;
		jobq_queue_outline(&queue, brief);
		if (jobq_queue_is_ready(&queue, &next))
			jobq_wake_for_queue(brief->state, brief->id,
								brief->has_executors ?
								brief->owner : InvalidOid,
								brief->notify, 1);
		earliest = Min(earliest, next);
	}
	return earliest;
}
