/*-------------------------------------------------------------------------
 *
 * subtransaction.c
 *	  Doing something that may raise an error, and continuing after one.
 *
 * IDENTIFICATION
 *	  src/base/subtransaction.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/subtransaction.h"

#include "access/xact.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

/* Errors of the same job are logged this often. */
#define COMPLAINT_MS (60 * 1000)

ErrorData *
jobq_subtransaction(void (*action) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		action(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error;
}

bool
jobq_error_is_of_server(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return true;
		default:
			return false;
	}
}

/*
 * Runs an action for one job of many, so that an error does not stop the
 * others.  Returns false after an error, which it logs.  Errors that are not
 * the job's own, such as a lack of memory or space, are raised.
 */
bool
jobq_subtransaction_for_job(void (*action) (void *arg), void *arg,
							const char *what, int64 job_id)
{
	static int64 last_job = 0;
	static TimestampTz logged_at = 0;
	ErrorData  *error = jobq_subtransaction(action, arg);
	TimestampTz now;

	if (error == NULL)
		return true;
	if (jobq_error_is_of_server(error))
		ReThrowError(error);
	now = GetCurrentTimestamp();
	if (job_id != last_job ||
		TimestampDifferenceExceeds(logged_at, now, COMPLAINT_MS))
	{
		last_job = job_id;
		logged_at = now;
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not %s job " INT64_FORMAT ": %s", what, job_id,
						error->message),
				 errdetail("jobq will try again later.")));
	}
	FreeErrorData(error);
	return false;
}
