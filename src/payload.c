/*-------------------------------------------------------------------------
 *
 * payload.c
 *	  Whether a queue takes a payload.
 *
 * What users hand in is checked: when jobs are enqueued, schedules made, and
 * payloads replaced.  What jobq makes itself is not: runs of schedules, whose
 * payload was checked when they were made, and reports of deaths.  Those are
 * enqueued by background processes, which evaluate no users' expressions, and to
 * refuse a report would keep a job from dying.
 *
 * IDENTIFICATION
 *	  src/payload.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "handler.h"
#include "payload.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"
#include "utils/memutils.h"

static void
check_size(const JobqQueue *queue, Datum payload)
{
	Jsonb	   *jsonb = DatumGetJsonbP(payload);
	char	   *string = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	size_t		length = strlen(string);

	pfree(string);
	if (length > queue->payload_max_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("payload is too large for queue \"%s\"", queue->name),
				 errdetail("It has %zu bytes as text; payload_max_bytes is %d.",
						   length, queue->payload_max_bytes)));
}

static void
refuse(const JobqQueue *queue, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("payload was refused by queue \"%s\"", queue->name),
			 errdetail_internal("%s", detail)));
}

static char *
path_text(const JobqQueue *queue)
{
	return DatumGetCString(DirectFunctionCall1(jsonpath_out,
											   queue->payload_path));
}

/*
 * Whether an error says something of path and payload, and not of the server,
 * or that the command was interrupted.
 */
static bool
is_error_of_path(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return true;
	}
}

/*
 * What the path says of the payload; NULL is unknown.  An error makes the
 * payload refused; nothing goes on after it, hence no subtransaction.  Without
 * the function whose name ends in _tz the session's time zone plays no part.
 */
static NullableDatum
match_path(const JobqQueue *queue, Datum payload)
{
	LOCAL_FCINFO(fcinfo, 4);
	MemoryContext context = CurrentMemoryContext;
	NullableDatum result = {0};

	InitFunctionCallInfoData(*fcinfo, NULL, 4, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = payload;
	fcinfo->args[1].value = queue->payload_path;
	fcinfo->args[2].value = DirectFunctionCall1(jsonb_in,
												CStringGetDatum("{}"));
	fcinfo->args[3].value = BoolGetDatum(false);	/* not silent */
	for (int i = 0; i < 4; i++)
		fcinfo->args[i].isnull = false;
	PG_TRY();
	{
		result.value = jsonb_path_match(fcinfo);
		result.isnull = fcinfo->isnull;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (!is_error_of_path(error))
			PG_RE_THROW();
		FlushErrorState();
		refuse(queue, psprintf(_("payload_path %s cannot be evaluated: %s"),
							   path_text(queue), error->message));
	}
	PG_END_TRY();
	return result;
}

static void
check_path(const JobqQueue *queue, Datum payload)
{
	NullableDatum result = match_path(queue, payload);

	if (result.isnull)
		refuse(queue, psprintf(_("Whether it satisfies payload_path %s is unknown."),
							   path_text(queue)));
	if (!DatumGetBool(result.value))
		refuse(queue, psprintf(_("It does not satisfy payload_path %s."),
							   path_text(queue)));
}

void
jobq_check_payload(const JobqQueue *queue, Datum payload)
{
	MemoryContext context;
	MemoryContext oldcontext;
	char	   *reason = NULL;

	if (queue->payload_max_bytes > 0)
		check_size(queue, payload);
	if (queue->payload_path == (Datum) 0 && queue->payload_check == NULL)
		return;

	/* enqueue_many() has thousands of them */
	context = AllocSetContextCreate(CurrentMemoryContext, "jobq payload check",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	if (queue->payload_path != (Datum) 0)
		check_path(queue, payload);
	if (queue->payload_check != NULL)
		reason = jobq_payload_check_call(queue->payload_check, queue->owner,
										 payload);
	if (reason != NULL)
		refuse(queue, reason);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
