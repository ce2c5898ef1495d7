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
 * Looks at a queue; wakes executors, waiters and the notifier if it has a ready
 * job.  Returns when its next one is due.
 */
static TimestampTz
look_at(const JobqQueueBrief *brief)
{
	JobqQueue	queue;
	TimestampTz next;

	/* before the look: whoever adds jobs after it says when they are due */
	if (brief->state != NULL)
		(void) pg_atomic_exchange_u64(&brief->state->next_look,
									  (uint64) JOBQ_NEVER);
	jobq_queue_outline(&queue, brief);
	if (jobq_queue_is_ready(&queue, &next))
		jobq_wake_for_queue(brief->state, brief->id,
							brief->has_executors ? brief->owner : InvalidOid,
							brief->notify, 1);
	if (brief->state != NULL)
		(void) jobq_lower_time(&brief->state->next_look, next);
	return next;
}

/*
 * Looks at all queues, or only at those whose time has come and those that
 * have no room in shared memory.  Returns when the next job of any queue is
 * due.
 */
TimestampTz
jobq_queues_wake_due(bool all)
{
	static bool interrupted = false;	/* by an error */
	TimestampTz earliest = JOBQ_NEVER;
	TimestampTz now = jobq_now();
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	all = all || interrupted;
	interrupted = true;
	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];
		TimestampTz next;

		if (brief->paused || !brief->at_home)
			continue;
		next = all || brief->state == NULL ? DT_NOBEGIN :
			(TimestampTz) pg_atomic_read_u64(&brief->state->next_look);
		if (next <= now)
		{
			CHECK_FOR_INTERRUPTS();
			next = look_at(brief);
		}
		earliest = Min(earliest, next);
	}
	interrupted = false;
	return earliest;
}
