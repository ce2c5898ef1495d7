/*-------------------------------------------------------------------------
 *
 * health_handler.c
 *	  Whether the handlers of queues can be called.
 *
 * IDENTIFICATION
 *	  src/health/health_handler.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_handler.h"

#include "base/subtransaction.h"
#include "compat.h"
#include "queue/handler.h"

#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/acl.h"

/* A handler that was looked up as an owner. */
typedef struct HandlerKey
{
	uint64		handler;		/* jobq_handler_hash() */
	Oid			owner;
	int32		unused;			/* always 0: keys are compared as memory */
} HandlerKey;

typedef struct HandlerEntry
{
	HandlerKey	key;
	char	   *problem;		/* NULL: none */
} HandlerEntry;

/*
 * Looks a queue's handler up as its owner, as executors do.  For
 * jobq_subtransaction().
 */
static void
look_up_handler(void *arg)
{
	const JobqQueue *queue = arg;
	JobqHandler handler;
	Oid			userid;
	int			sec_context;
	Oid			function;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(queue->owner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	function = jobq_function_lookup(queue->handler);
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s does not exist", queue->handler)));
	if (!jobq_may_execute(function, queue->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s",
						queue->handler)));
	jobq_handler_describe(function, &handler);
	SetUserIdAndSecContext(userid, sec_context);
}

/* What is wrong with a queue's handler, or NULL; in the current context. */
static char *
find_problem(const JobqQueue *queue)
{
	ErrorData  *error =
	jobq_subtransaction(look_up_handler, unconstify(JobqQueue *, queue));

	if (error == NULL)
		return NULL;
	return psprintf("the queue's handler cannot be called: %s%s%s",
					error->message, error->detail != NULL ? "; " : "",
					error->detail != NULL ? error->detail : "");
}

static HandlerEntry *
find_entry(const JobqHandlerChecks *checks, const JobqQueueBrief *brief,
		   HASHACTION action)
{
	HandlerKey	key = {0};

	key.handler = brief->handler;
	key.owner = brief->owner;
	return hash_search(checks->handlers, &key, action, NULL);
}

const char *
jobq_health_handler_problem(const JobqHandlerChecks *checks,
							const JobqQueueBrief *brief,
							const JobqQueue *queue)
{
	HandlerEntry *entry = find_entry(checks, brief, HASH_FIND);
	char	   *problem;

	if (entry != NULL)
		return entry->problem;
	problem = find_problem(queue);
	find_entry(checks, brief, HASH_ENTER)->problem = problem == NULL ? NULL :
		MemoryContextStrdup(checks->context, problem);
	return problem;
}

bool
jobq_health_handler_is_good(const JobqHandlerChecks *checks,
							const JobqQueueBrief *brief)
{
	HandlerEntry *entry = find_entry(checks, brief, HASH_FIND);

	return entry != NULL && entry->problem == NULL;
}

void
jobq_health_handlers_begin(JobqHandlerChecks *checks)
{
	HASHCTL		info = {0};

	checks->context = CurrentMemoryContext;
	info.keysize = sizeof(HandlerKey);
	info.entrysize = sizeof(HandlerEntry);
	info.hcxt = checks->context;
	checks->handlers = hash_create("jobq handlers", 64, &info,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
jobq_health_handlers_end(JobqHandlerChecks *checks)
{
	hash_destroy(checks->handlers);
}
