/*-------------------------------------------------------------------------
 *
 * claim_argument.c
 *	  What the calls that claim jobs are given.
 *
 * IDENTIFICATION
 *	  src/dispatch/claim_argument.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/claim_argument.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "jobq.h"
#include "queue/queue_row.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Maximum number of queues that warn_of_handler() remembers. */
#define MAX_WARNINGS 1000

/* Maximum length of a lease: one year. */
#define MAX_LEASE (366 * USECS_PER_DAY)

/* A queue about which this session has been warned. */
typedef struct WarnedQueue
{
	Oid			table;			/* of queues: the extension may be recreated */
	int32		id;
} WarnedQueue;

/* See claim_argument.h. */
int
jobq_claim_max_jobs_argument(FunctionCallInfo fcinfo, int argno)
{
	int			max_jobs = PG_ARGISNULL(argno) ? 1 : PG_GETARG_INT32(argno);

	if (max_jobs < 1 || max_jobs > JOBQ_MAX_CLAIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_jobs must be between 1 and %d", JOBQ_MAX_CLAIM)));
	return max_jobs;
}

/* The worker name recorded if the caller gives none. */
static const char *
default_worker(void)
{
	if (application_name != NULL && application_name[0] != '\0')
		return application_name;
	return psprintf("pid %d", MyProcPid);
}

/* See claim_argument.h. */
void
jobq_claim_read_options(FunctionCallInfo fcinfo, int first,
						JobqClaimOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->max_jobs = jobq_claim_max_jobs_argument(fcinfo, first);
	if (!PG_ARGISNULL(first + 1))
	{
		options->duration = jobq_duration_argument(fcinfo, first + 1, "lease",
												   false);
		if (options->duration > MAX_LEASE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lease is too long"),
					 errdetail("At most one year is allowed; heartbeats extend a lease.")));
	}
	options->worker = PG_ARGISNULL(first + 2) ? default_worker() :
		jobq_string_argument(fcinfo, first + 2, "worker",
							 JOBQ_MAX_WORKER_LENGTH);
	options->session_bound_is_null = PG_ARGISNULL(first + 3);
	if (!options->session_bound_is_null)
		options->session_bound = PG_GETARG_BOOL(first + 3);
	if (options->session_bound && options->duration > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lease and session_bound cannot be used together"),
				 errdetail("A session-bound claim ends with the session.")));
}

/*
 * Warns about a queue whose jobs executors also run, once per session and for
 * at most MAX_WARNINGS queues.
 */
static void
warn_of_handler(const JobqQueue *queue)
{
	static HTAB *warned = NULL;
	WarnedQueue key = {jobq_relation_oid(JOBQ_REL_QUEUE), queue->id};
	bool		found;

	if (warned == NULL)
	{
		HASHCTL		control;

		memset(&control, 0, sizeof(control));
		control.keysize = sizeof(WarnedQueue);
		control.entrysize = sizeof(WarnedQueue);
		control.hcxt = TopMemoryContext;
		warned = hash_create("jobq queues warned of", 16, &control,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (hash_get_num_entries(warned) >= MAX_WARNINGS)
		return;
	(void) hash_search(warned, &key, HASH_ENTER, &found);
	if (found)
		return;
	ereport(WARNING,
			(errmsg("queue \"%s\" has a handler", queue->name),
			 errdetail("Background workers run its jobs, too: each job goes either to one of them or to this client."),
			 errhint("A queue for external workers has no handler; see jobq.reset_queue().")));
}

/* See claim_argument.h. */
const JobqQueue *
jobq_claim_queue(const char *name)
{
	const JobqQueue *queue = jobq_queue_require(name, JOBQ_PRIV_CONSUME);

	if (queue->is_run)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" is for SQL commands", queue->name),
				 errdetail("Only background workers run them.")));
	jobq_queue_check_home(queue);
	if (queue->handler != NULL)
		warn_of_handler(queue);
	return queue;
}

/* See claim_argument.h. */
const JobqQueue *
jobq_claim_queue_argument(FunctionCallInfo fcinfo)
{
	jobq_require_argument(fcinfo, 0, "queue");
	return jobq_claim_queue(text_to_cstring(PG_GETARG_TEXT_PP(0)));
}
