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

#include "base/extension.h"
#include "base/statement.h"
#include "jobq.h"
#include "queue/queue_list.h"
#include "shared/database.h"
#include "shared/queue_state.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(jobq_gates);
PG_FUNCTION_INFO_V1(jobq_flow_check);

/*
 * Queues, and how many of their jobs are running by the table.  The jobs of a batch
 * have the same lease, and count as one.
 */
static const char running_query[] =
"SELECT q.id, q.name, (SELECT count(*) FILTER (WHERE j.in_batch IS NULL)"
" + count(DISTINCT j.lease) FILTER (WHERE j.in_batch)"
" FROM " JOBQ_STORE_SCHEMA ".job AS j WHERE j.queue = q.id AND j.state = 1)"
" FROM " JOBQ_STORE_SCHEMA ".queue AS q ORDER BY q.name";

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

/* flow_check(): gates that do not agree with the table. */
Datum
jobq_flow_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	jobq_require_shmem();
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	(void) jobq_statement_query(running_query, 0, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		JobqQueueState *state =
		jobq_queue_state_find(DatumGetInt32(SPI_getbinval(row, desc, 1,
														  &isnull)));
		Datum		values[3];
		bool		nulls[3] = {false};

		if (state == NULL || !jobq_gate_is_counted(&state->gate))
			continue;
		values[0] = SPI_getbinval(row, desc, 2, &isnull);
		values[1] = Int64GetDatum(jobq_gate_running(&state->gate));
		values[2] = SPI_getbinval(row, desc, 3, &isnull);
		if (DatumGetInt64(values[1]) != DatumGetInt64(values[2]))
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
								 nulls);
	}
	SPI_finish();
	PG_RETURN_VOID();
}
