/*-------------------------------------------------------------------------
 *
 * make_room.c
 *	  Dropping jobs of a full queue, to make room for new ones.
 *
 * They are found as those that are to run: where the lanes say, so that the
 * index entries of jobs that have gone cost nothing.
 *
 * IDENTIFICATION
 *	  src/dispatch/make_room.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/make_room.h"

#include "dispatch/claim.h"
#include "job/admission.h"
#include "job/transition.h"
#include "queue/ticket.h"

/*
 * Cancels the first ready jobs that nobody holds, up to `wanted`, but not
 * `spared`, which this transaction has just inserted.  Returns how many that
 * were.  Waits for nobody.
 */
static int64
drop_first(JobqTable *jobs, const JobqQueue *queue, int64 wanted, int64 spared)
{
	JobqClaimScan scan;
	JobqJob		job;
	int64		dropped = 0;

	if (!jobq_ticket_pin(queue))
		return 0;
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
		jobq_job_cancel(jobs, &job, queue, "dropped: the queue is full");
		dropped++;
	}
	jobq_claim_end(&scan);
	jobq_ticket_unpin();
	return dropped;
}

/* Called once, by _PG_init. */
void
jobq_make_room_init(void)
{
	jobq_admission_follow(drop_first);
}
