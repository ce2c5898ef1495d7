/*-------------------------------------------------------------------------
 *
 * pass_on.c
 *	  Leaving work to other executors.
 *
 * IDENTIFICATION
 *	  bgworker/executor/pass_on.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/pass_on.h"

#include "shared/database.h"
#include "shared/queue_state.h"
#include "shared/slot_own.h"
#include "shared/wake.h"

#include "miscadmin.h"

static JobqWorkerRef worker_ref;
static Oid	worker_role = InvalidOid;

void
jobq_pass_on_set_up(const JobqWorkerRef *worker, Oid role)
{
	worker_ref = *worker;
	worker_role = role;
}

/* See pass_on.h. */
void
jobq_pass_on_look(int32 queue, JobqQueueState *state, bool has_jobs)
{
	JobqWorkerCounts counts;

	if (jobq_slot_wake(MyDatabaseId, worker_role, queue))
		return;
	if (state == NULL || pg_atomic_exchange_u32(&state->work, 1) != 0)
	{
		/*
		 * the process that set the flag has woken the coordinator, but the
		 * coordinator waits for a starting executor to ask for the next one
		 */
		jobq_slots_count(MyDatabaseId, worker_role, &counts);
		if (counts.starting > 0)
			return;
		if (!jobq_slots_have_room(&counts) &&
			(!has_jobs || !jobq_slot_want_help(&worker_ref)))
			return;
	}
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_WORK);
}

/* See pass_on.h. */
void
jobq_pass_on_queue(int32 queue)
{
	if (queue != JOBQ_NO_QUEUE)
		jobq_pass_on_look(queue, jobq_queue_state_find(queue), true);
}
