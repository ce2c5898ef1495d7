/*-------------------------------------------------------------------------
 *
 * batch_failure.c
 *	  The jobs that the handler of a batch has declared failed.
 *
 * They are notes of the transaction (note.c), so that a rollback to a
 * savepoint takes them back.
 *
 * IDENTIFICATION
 *	  src/job/batch_failure.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/batch_failure.h"

#include "base/arguments.h"
#include "compat.h"
#include "job/current_job.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(jobq_fail_job);

/* Nothing is to be done for them at the end of the transaction. */
static const JobqNoteKind failure_kind = {0};

/* See batch_failure.h.  The last call counts. */
const JobqBatchFailure *
jobq_batch_failure(int place)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	for (int i = n - 1; i >= 0; i--)
	{
		const JobqBatchFailure *failure =
		jobq_note_const_data(&notes[i], JobqBatchFailure);

		if (notes[i].kind == &failure_kind && failure->place == place)
			return failure;
	}
	return NULL;
}

/* The place of a job in the current batch; raises 55000 and 22023. */
static int
find_place(int64 id)
{
	int			njobs;
	const JobqJob *jobs = jobq_current_job_batch(&njobs);

	if (jobs == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("jobq.fail_job() can only be called by the handler of a batch"),
				 errhint("A handler that is given one job fails it by raising an error.")));
	for (int i = 0; i < njobs; i++)
	{
		if (jobs[i].id == id)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("job " INT64_FORMAT " is not in the current batch", id)));
	return -1;					/* keep compiler quiet */
}

/*
 * fail_job(job_id, error, retry_in, retryable): raises 22004 and 22023 for the
 * arguments, 55000 outside the handler of a batch, and 42501 for a caller to whom
 * the batch does not belong.
 */
Datum
jobq_fail_job(PG_FUNCTION_ARGS)
{
	JobqBatchFailure failure;

	jobq_require_argument(fcinfo, 0, "job_id");
	jobq_require_argument(fcinfo, 1, "error");
	failure.retry_in = PG_ARGISNULL(2) ? -1 :
		jobq_duration_argument(fcinfo, 2, "retry_in", true);
	failure.retryable = PG_ARGISNULL(3) || PG_GETARG_BOOL(3);
	failure.place = find_place(PG_GETARG_INT64(0));
	jobq_current_job_check_mine("jobq.fail_job()");
	failure.message = MemoryContextStrdup(jobq_current_job_context(),
										  text_to_cstring(PG_GETARG_TEXT_PP(1)));
	*jobq_note_data(jobq_note_add(&failure_kind), JobqBatchFailure) = failure;
	PG_RETURN_VOID();
}
