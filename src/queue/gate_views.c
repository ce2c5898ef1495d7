/*-------------------------------------------------------------------------
 *
 * gate_views.c
 *	  What shared memory knows of running jobs, for checks.
 *
 * IDENTIFICATION
 *	  src/queue/gate_views.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "jobq.h"
#include "queue/queue_list.h"
#include "shared/database.h"

#include "funcapi.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(jobq_gates);

/* gates(): the queues of this database that have an entry. */
Datum
jobq_gates(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n;
	const JobqQueueBrief *briefs;

	jobq_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	briefs = jobq_queues_all(&n);
	for (int i = 0; i < n; i++)
	{
		JobqQueueState *state = briefs[i].state;
		Datum		values[3];
		bool		nulls[3] = {false};

		if (state == NULL)
			continue;
		values[0] = Int32GetDatum(briefs[i].id);
		values[1] = Int32GetDatum((int32) jobq_gate_running(&state->gate));
		values[2] = BoolGetDatum(jobq_gate_is_counted(&state->gate));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	PG_RETURN_VOID();
}
