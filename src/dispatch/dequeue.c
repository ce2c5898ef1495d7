/*-------------------------------------------------------------------------
 *
 * dequeue.c
 *	  Claiming jobs from outside: dequeue, dequeue_any, take, next.
 *
 * Opening the table of jobs may wait for its lock, and next() for the locks of the
 * jobs that it completes.  Claiming itself never waits.  Privileges are checked again
 * at the end if anything may have changed them meanwhile.
 *
 * IDENTIFICATION
 *	  src/dispatch/dequeue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "compat.h"
#include "dispatch/claim_argument.h"
#include "dispatch/claim_return.h"
#include "dispatch/finish.h"
#include "jobq.h"
#include "queue/queue_lock.h"
#include "queue/queue_room.h"
#include "queue/queue_row.h"
#include "shared/async_commit.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_dequeue);
PG_FUNCTION_INFO_V1(jobq_dequeue_any);
PG_FUNCTION_INFO_V1(jobq_take);
PG_FUNCTION_INFO_V1(jobq_next);

/*
 * Nothing was claimed: raises 53200 if one of the queues has a limit for which there
 * is no room.
 */
static void
require_room(const JobqQueue *const *queues, int nqueues)
{
	for (int i = 0; i < nqueues; i++)
	{
		if (jobq_queue_lacks_room(queues[i]) && !queues[i]->paused)
			jobq_queue_require_room(queues[i]);
	}
}

/*
 * Checks again that the user may consume from the queues, if that may have changed
 * since jobq_relation_waits() was `waits`.
 */
static void
recheck_after(uint64 waits, const JobqQueue *const *queues, int nqueues)
{
	for (int i = 0; i < nqueues; i++)
	{
		if (jobq_queue_may_have_changed(queues[i], waits))
			jobq_queue_recheck(queues[i]->id, JOBQ_PRIV_CONSUME);
	}
}

Datum
jobq_dequeue(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	JobqClaimOptions options;
	JobqTable  *jobs;
	uint64		waits;

	jobq_begin_write("jobq.dequeue()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	queue = jobq_claim_queue_argument(fcinfo);
	jobq_claim_read_options(fcinfo, 1, &options);
	if (jobq_claim_return(fcinfo, jobs, &queue, 1, &options) == 0)
		require_room(&queue, 1);
	recheck_after(waits, &queue, 1);
	jobq_table_close(jobs);
	return (Datum) 0;
}

Datum
jobq_dequeue_any(PG_FUNCTION_ARGS)
{
	JobqClaimOptions options;
	Datum	   *names;
	int			nnames;
	const JobqQueue **queues;
	JobqTable  *jobs;
	uint64		waits;

	jobq_begin_write("jobq.dequeue_any()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	jobq_require_argument(fcinfo, 0, "queues");
	names = jobq_array_elements("queues", PG_GETARG_ARRAYTYPE_P(0), TEXTOID,
								NULL, &nnames);
	queues = palloc(Max(nnames, 1) * sizeof(JobqQueue *));
	for (int i = 0; i < nnames; i++)
		queues[i] = jobq_claim_queue(TextDatumGetCString(names[i]));
	jobq_claim_read_options(fcinfo, 1, &options);
	if (jobq_claim_return(fcinfo, jobs, queues, nnames, &options) == 0)
		require_room(queues, nnames);
	recheck_after(waits, queues, nnames);
	jobq_table_close(jobs);
	return (Datum) 0;
}

Datum
jobq_take(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	JobqTable  *jobs;
	uint64		waits;
	int			max_jobs;

	jobq_begin_write("jobq.take()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	queue = jobq_claim_queue_argument(fcinfo);
	max_jobs = jobq_claim_max_jobs_argument(fcinfo, 1);
	if (jobq_claim_return_taken(fcinfo, jobs, queue, max_jobs) == 0)
		require_room(&queue, 1);
	recheck_after(waits, &queue, 1);
	jobq_table_close(jobs);
	return (Datum) 0;
}

Datum
jobq_next(PG_FUNCTION_ARGS)
{
	const JobqQueue *queue;
	JobqClaimOptions options;
	JobqTable  *jobs;
	uint64		waits;
	JobqCompletedQueues completed = {0};
	int			ndone = 0;

	jobq_begin_write("jobq.next()");
	jobs = jobq_table_open(JOBQ_REL_JOB);
	waits = jobq_relation_waits();
	queue = jobq_claim_queue_argument(fcinfo);
	jobq_claim_read_options(fcinfo, 3, &options);
	if (!PG_ARGISNULL(1))
	{
		Datum	   *done = jobq_array_elements("done",
											   PG_GETARG_ARRAYTYPE_P(1),
											   INT8OID, NULL, &ndone);

		if (ndone > 0)
		{
			jobq_require_argument(fcinfo, 2, "lease");
			jobq_async_commit_begin(true);
			(void) jobq_finish_complete_jobs(jobs, done, ndone,
											 PG_GETARG_INT64(2), &completed);
			jobq_async_commit_end();
			/* that may have waited for a job's lock */
			queue = jobq_claim_queue_argument(fcinfo);
		}
	}
	/* an error would take back what is done */
	if (jobq_claim_return(fcinfo, jobs, &queue, 1, &options) == 0 && ndone == 0)
		require_room(&queue, 1);
	recheck_after(waits, &queue, 1);
	if (ndone > 0)
		jobq_finish_recheck(&completed);
	jobq_table_close(jobs);
	return (Datum) 0;
}
