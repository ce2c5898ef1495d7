/*-------------------------------------------------------------------------
 *
 * cron_sql.c
 *	  The SQL functions cron_next, cron_times and cron_describe: what a cron
 *	  expression means, without a schedule.
 *
 * IDENTIFICATION
 *	  src/schedule/cron_sql.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/timezone.h"
#include "compat.h"
#include "schedule/cron_expression.h"
#include "schedule/timetable.h"
#include "shared/shmem.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_cron_next_sql);
PG_FUNCTION_INFO_V1(jobq_cron_times_sql);
PG_FUNCTION_INFO_V1(jobq_cron_describe_sql);

/* What cron_times() keeps from row to row. */
typedef struct TimesState
{
	JobqTimetable timetable;
	TimestampTz last;
	int32		remaining;
} TimesState;

/*
 * Makes the timetable of cron_next() and cron_times(), whose first argument
 * is the expression.  Intervals ("@every") are counted from `after`.
 */
static void
read_timetable(FunctionCallInfo fcinfo, int zone_argno, TimestampTz after,
			   JobqTimetable *timetable)
{
	const char *zone;

	if (TIMESTAMP_NOT_FINITE(after))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be finite", "after")));
	zone = PG_ARGISNULL(zone_argno) ? jobq_timezone_default() :
		text_to_cstring(PG_GETARG_TEXT_PP(zone_argno));
	jobq_cron_require(text_to_cstring(PG_GETARG_TEXT_PP(0)),
					  &timetable->cron);
	timetable->zone = jobq_timezone_rules(jobq_timezone_require(zone));
	timetable->anchor = jobq_timestamp_to_seconds(after);
	timetable->first = PG_INT64_MIN;
	timetable->last = PG_INT64_MAX;
}

/*
 * cron_next(cron, after, timezone): the first run strictly after a time, NULL
 * if there is none.
 */
Datum
jobq_cron_next_sql(PG_FUNCTION_ARGS)
{
	JobqTimetable timetable;
	TimestampTz next;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	read_timetable(fcinfo, 2, PG_GETARG_TIMESTAMPTZ(1), &timetable);
	next = jobq_timetable_next(&timetable, PG_GETARG_TIMESTAMPTZ(1));
	if (next == JOBQ_NEVER)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(next);
}

/*
 * cron_times(cron, after, count, timezone): the first `count` runs strictly
 * after a time, or as many as there are.
 */
Datum
jobq_cron_times_sql(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	TimesState *state;

	if (SRF_IS_FIRSTCALL())
	{
		context = SRF_FIRSTCALL_INIT();
		if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		{
			state = MemoryContextAlloc(context->multi_call_memory_ctx,
									   sizeof(TimesState));
			state->last = PG_GETARG_TIMESTAMPTZ(1);
			state->remaining = PG_GETARG_INT32(2);
			if (state->remaining < 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("%s must not be negative", "count")));
			read_timetable(fcinfo, 3, state->last, &state->timetable);
			context->user_fctx = state;
		}
	}

	context = SRF_PERCALL_SETUP();
	state = context->user_fctx;
	if (state != NULL && state->remaining-- > 0)
	{
		CHECK_FOR_INTERRUPTS();
		state->last = jobq_timetable_next(&state->timetable, state->last);
		if (state->last != JOBQ_NEVER)
			SRF_RETURN_NEXT(context, TimestampTzGetDatum(state->last));
	}
	SRF_RETURN_DONE(context);
}

/* cron_describe(cron): the expression in English. */
Datum
jobq_cron_describe_sql(PG_FUNCTION_ARGS)
{
	char		description[JOBQ_CRON_DESCRIBE_SIZE];
	JobqCron	cron;

	jobq_cron_require(text_to_cstring(PG_GETARG_TEXT_PP(0)), &cron);
	(void) jobq_cron_describe(&cron, description, sizeof(description));
	PG_RETURN_TEXT_P(cstring_to_text(description));
}
