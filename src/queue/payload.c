/*-------------------------------------------------------------------------
 *
 * payload.c
 *	  Whether a queue accepts a payload.
 *
 * Payloads from users are checked when jobs are enqueued, schedules are
 * created and payloads are replaced.  Payloads from jobq itself are not: those
 * of schedules were checked when the schedule was created, and reports of dead
 * jobs must not be refused, which would keep the job from becoming dead.  Both
 * are enqueued by background processes, which do not evaluate users'
 * expressions.
 *
 * IDENTIFICATION
 *	  src/queue/payload.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/payload.h"

#include "base/time_limit.h"
#include "queue/forbid_keys.h"
#include "queue/handler.h"

#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"
#include "utils/memutils.h"

/* How long evaluating payload_path may take in one call, in seconds. */
#define PATH_TIMEOUT 5

/* What is checked. */
typedef struct PayloadCheck
{
	const JobqQueue *queue;
	double	   *left_ms;		/* of the call's time for payload_path */
	Datum		payload;
	int			number;			/* number among several, from 1; 0: the only
								 * one */
} PayloadCheck;

/* Says which of several payloads it is; part of a DETAIL. */
static const char *
which(const PayloadCheck *check)
{
	return check->number == 0 ? "" : psprintf(_("Element %d: "), check->number);
}

static void
check_size(const PayloadCheck *check)
{
	const JobqQueue *queue = check->queue;
	Jsonb	   *jsonb = DatumGetJsonbP(check->payload);
	char	   *string = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	size_t		length = strlen(string);

	pfree(string);
	if (length > queue->payload_max_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("payload is too large for queue \"%s\"", queue->name),
				 errdetail("%sIt has %zu bytes as text; payload_max_bytes is %d.",
						   which(check), length, queue->payload_max_bytes)));
}

static void
refuse(const PayloadCheck *check, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("payload was refused by queue \"%s\"", check->queue->name),
			 errdetail_internal("%s%s", which(check), detail)));
}

/* Comes first: what looks like a secret is shown to no code of the owner. */
static void
check_keys(const PayloadCheck *check)
{
	const char *detail = jobq_forbid_keys_find(check->queue->forbid_keys,
											   DatumGetJsonbP(check->payload));

	if (detail != NULL)
		refuse(check, detail);
}

static char *
path_text(Datum path)
{
	return DatumGetCString(DirectFunctionCall1(jsonpath_out, path));
}

/*
 * Whether an error is about path and payload, not about the server or an
 * interrupt.
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

/* For jobq_run_limited(). */
static void
call_path_match(void *arg)
{
	FunctionCallInfo fcinfo = arg;

	fcinfo->args[0].value = jsonb_path_match(fcinfo);
	fcinfo->args[0].isnull = fcinfo->isnull;
}

/*
 * A path alone can keep a server busy for years.  57014, not 23514, since the server
 * may just be slow.
 */
static void
refuse_slow_path(const PayloadCheck *check)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("payload_path of queue \"%s\" took longer than %d seconds",
					check->queue->name, PATH_TIMEOUT),
			 errdetail("%sThe path is %s.", which(check),
					   path_text(check->queue->payload_path)),
			 errhint("The owner of the queue can give it a simpler one with jobq.alter_queue().")));
}

/*
 * Evaluates the path for the payload; NULL means unknown.  An error refuses
 * the payload and ends the call, so no subtransaction is needed.  The function
 * without _tz in its name does not depend on the session's time zone.
 */
static NullableDatum
match_path(const PayloadCheck *check)
{
	LOCAL_FCINFO(fcinfo, 4);
	MemoryContext context = CurrentMemoryContext;
	volatile bool in_time = true;

	InitFunctionCallInfoData(*fcinfo, NULL, 4, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = check->payload;
	fcinfo->args[1].value = check->queue->payload_path;
	fcinfo->args[2].value = DirectFunctionCall1(jsonb_in,
												CStringGetDatum("{}"));
	fcinfo->args[3].value = BoolGetDatum(false);	/* not silent */
	for (int i = 0; i < 4; i++)
		fcinfo->args[i].isnull = false;
	PG_TRY();
	{
		in_time = jobq_run_limited(check->left_ms, call_path_match, fcinfo);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (!is_error_of_path(error))
			PG_RE_THROW();
		FlushErrorState();
		refuse(check, psprintf(_("payload_path %s cannot be evaluated: %s"),
							   path_text(check->queue->payload_path),
							   error->message));
	}
	PG_END_TRY();
	if (!in_time)
		refuse_slow_path(check);
	return fcinfo->args[0];
}

static void
check_path(const PayloadCheck *check)
{
	NullableDatum result = match_path(check);
	const char *path = path_text(check->queue->payload_path);

	if (result.isnull)
		refuse(check, psprintf(_("Whether it satisfies payload_path %s is unknown."),
							   path));
	if (!DatumGetBool(result.value))
		refuse(check, psprintf(_("It does not satisfy payload_path %s."),
							   path));
}

static void
check_payload(const PayloadCheck *check)
{
	const JobqQueue *queue = check->queue;
	MemoryContext context;
	MemoryContext oldcontext;
	char	   *reason = NULL;

	if (queue->payload_max_bytes > 0)
		check_size(check);
	if (queue->payload_path == (Datum) 0 && queue->payload_check == NULL &&
		queue->forbid_keys == NULL)
		return;

	/* enqueue_many() has thousands of them */
	context = AllocSetContextCreate(CurrentMemoryContext, "jobq payload check",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	if (queue->forbid_keys != NULL)
		check_keys(check);
	if (queue->payload_path != (Datum) 0)
		check_path(check);
	if (queue->payload_check != NULL)
		reason = jobq_payload_check_call(queue->payload_check, queue->owner,
										 check->payload);
	if (reason != NULL)
		refuse(check, reason);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/* A command without params is checked as if they were JSON null. */
void
jobq_payload_check_job(const JobqQueue *queue, Datum payload)
{
	double		left_ms = PATH_TIMEOUT * 1000.0;
	PayloadCheck check = {queue, &left_ms, payload, 0};

	if (payload == (Datum) 0)
		check.payload =
			DirectFunctionCall1(jsonb_in, CStringGetDatum("null"));
	check_payload(&check);
}

void
jobq_check_payloads(const JobqQueue *queue, const Datum *payloads,
					int npayloads)
{
	double		left_ms = PATH_TIMEOUT * 1000.0;

	for (int i = 0; i < npayloads; i++)
	{
		PayloadCheck check = {queue, &left_ms, payloads[i], i + 1};

		check_payload(&check);
	}
}

/*
 * Whether a path has a variable.  In the text form only a variable is a dollar
 * sign directly followed by a quoted name.
 */
static bool
has_variable(const char *path)
{
	bool		quoted = false;

	for (const char *c = path; *c != '\0'; c++)
	{
		if (quoted && *c == '\\' && c[1] != '\0')
			c++;
		else if (*c == '"')
			quoted = !quoted;
		else if (!quoted && c[0] == '$' && c[1] == '"')
			return true;
	}
	return false;
}

/* Whether a path is true, false or unknown, whatever it is applied to. */
static bool
is_predicate(JsonPath *path)
{
	JsonPathItem item;

	jspInit(&item, path);
	if (jspHasNext(&item))
		return false;
	switch (item.type)
	{
		case jpiAnd:
		case jpiOr:
		case jpiNot:
		case jpiIsUnknown:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiExists:
		case jpiStartsWith:
		case jpiLikeRegex:
			return true;
		default:
			return false;
	}
}

void
jobq_payload_path_validate(Datum path)
{
	if (has_variable(path_text(path)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"payload_path\" must not use variables"),
				 errdetail("The path is %s, and nothing gives its variables values.",
						   path_text(path)),
				 errhint("Write the values into the path.")));
	if (!is_predicate(DatumGetJsonPathP(path)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"payload_path\" must be a predicate"),
				 errdetail("The path %s selects values.", path_text(path)),
				 errhint("Compare them with something, or test whether there are any, as in exists(%s).",
						 path_text(path))));
}
