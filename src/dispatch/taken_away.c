/*-------------------------------------------------------------------------
 *
 * taken_away.c
 *	  Interrupting executors whose job was ended by others.
 *
 * An executor that runs a procedure holds the job by a lease, so others can
 * cancel the job, or drop it with its queue, while it runs.  Their commit
 * interrupts the executor.  COMMIT PREPARED does not know which jobs that
 * concerns: the coordinator compares what executors run with the jobs' rows.
 *
 * IDENTIFICATION
 *	  src/dispatch/taken_away.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/taken_away.h"

#include "job/job.h"
#include "shared/clock.h"
#include "shared/lease_registry.h"
#include "shared/slot_job.h"

#include "executor/tuptable.h"

/* When to look again at a claim that is not committed. */
#define OPEN_DELAY (50 * INT64CONST(1000))

/* Whether the job is held by the lease, by the latest snapshot. */
static bool
is_held_by(JobqTable *jobs, TupleTableSlot *slot, const JobqLeaseId *lease)
{
	JobqJob		job;

	return jobq_job_find(jobs, lease->job_id, slot, &job) &&
		job.state == JOBQ_STATE_RUNNING && job.lease == lease->lease;
}

/* See taken_away.h. */
TimestampTz
jobq_taken_away_interrupt(void)
{
	JobqLeaseId leases[JOBQ_MAX_WORKER_SLOTS];
	int			n = jobq_slots_leased(leases);
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(jobs);
	TimestampTz again = JOBQ_NEVER;

	for (int i = 0; i < n; i++)
	{
		/* before the snapshot, which then shows a claim that is not open */
		if (jobq_lease_is_open(&leases[i]))
			again = jobq_now() + OPEN_DELAY;
		else if (!is_held_by(jobs, slot, &leases[i]))
			jobq_slot_interrupt_lease(&leases[i]);
	}
	ExecClearTuple(slot);
	jobq_table_close(jobs);
	return again;
}
