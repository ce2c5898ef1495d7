/*-------------------------------------------------------------------------
 *
 * help.c
 *	  Having other executors look for jobs that this one leaves.
 *
 * IDENTIFICATION
 *	  bgworker/executor/help.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/help.h"

#include "shared/database.h"
#include "shared/queue_state.h"
#include "shared/slot.h"
#include "shared/wake.h"

#include "miscadmin.h"

static const JobqWorkerRef *worker = NULL;
static Oid	worker_role = InvalidOid;

/* Called once; the reference must stay. */
void
jobq_help_set_up(const JobqWorkerRef *own, Oid role)
{
	worker = own;
	worker_role = role;
}

/*
 * Wakes another executor for a queue, unless one is already about to look.  If
 * there is no slot for one, and jobs are known to be there, an idle executor of
 * another role has to leave, now or when there is one.
 */
void
jobq_help_ask(int32 queue, JobqQueueState *state, bool has_jobs)
{
	JobqWorkerCounts counts;

	if (jobq_slot_wake(MyDatabaseId, worker_role, queue))
		return;
	if (state == NULL || pg_atomic_exchange_u32(&state->work, 1) != 0)
	{
		/*
		 * The process that set the flag has woken the coordinator, which
		 * waits for a starting executor to ask for the next one.
		 */
		jobq_slots_count(MyDatabaseId, worker_role, &counts);
		if (counts.starting > 0)
			return;
		if (!jobq_slots_have_room(&counts) &&
			(!has_jobs || !jobq_slot_want_help(worker)))
			return;
	}
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_WORK);
}

/*
 * Called when this process takes a job although it was woken for another
 * queue, where it does not look now.
 */
void
jobq_help_pass_on(int32 queue)
{
	if (queue != JOBQ_NO_QUEUE)
		jobq_help_ask(queue, jobq_queue_state_find(queue), true);
}
