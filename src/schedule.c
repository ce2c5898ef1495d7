/*-------------------------------------------------------------------------
 *
 * schedule.c
 *	  The SQL functions that make, change and run schedules.
 *
 * The row of jobq_store.schedule is what they write, under its lock.  The
 * coordinator is told of a new next_run when the transaction commits; of
 * anything else it learns when it reads the row.
 *
 * A schedule belongs to the role that has made it, or replaced it last: its
 * command runs as that role, and its jobs go to the queue by that role's
 * privilege.
 *
 * IDENTIFICATION
 *	  src/schedule.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule.h"

#include "arguments.h"
#include "enqueue.h"
#include "handler.h"
#include "payload.h"
#include "timezone.h"
#include "xact.h"
#include "queue_lock.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_schedule);

/* Jitter is compared with the time between this many runs. */
#define JITTER_CHECK_RUNS 50

static const char *const missed_words[] = {"skip", "once", "all", NULL};
static const char *const overlap_words[] = {
	"skip", "allow", "queue", "cancel", NULL
};

/* The name of a schedule: 22004, 22023. */
static char *
name_argument(FunctionCallInfo fcinfo)
{
	char	   *name = jobq_string_argument(fcinfo, JOBQ_SCHEDULE_NAME, "schedule name",
											JOBQ_MAX_NAME_LENGTH);

	for (const unsigned char *c = (const unsigned char *) name; *c != '\0'; c++)
	{
		if (*c < 0x20 || *c == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("schedule name must not contain control characters")));
	}
	return name;
}

/* The argument, one of a list of words, as text; NULL means the default. */
static Datum
word_argument(FunctionCallInfo fcinfo, int argno, const char *name,
			  const char *const *words, const char *by_default)
{
	if (PG_ARGISNULL(argno))
		return CStringGetTextDatum(by_default);
	return jobq_word_argument(fcinfo, argno, name, words);
}

/* Puts an integer argument into the row, unless it is NULL. */
static void
set_count(FunctionCallInfo fcinfo, int argno, const char *name,
		  JobqScheduleRow *row, AttrNumber attnum)
{
	if (PG_ARGISNULL(argno))
		return;
	if (PG_GETARG_INT32(argno) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be at least 1", name)));
	jobq_schedule_set(row, attnum, PG_GETARG_DATUM(argno));
}

/* The same for a time. */
static void
set_time(FunctionCallInfo fcinfo, int argno, const char *name,
		 JobqScheduleRow *row, AttrNumber attnum)
{
	if (PG_ARGISNULL(argno))
		return;
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(argno)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be finite", name)));
	jobq_schedule_set(row, attnum, PG_GETARG_DATUM(argno));
}

static void
set_tags(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	ArrayType  *tags;

	if (PG_ARGISNULL(JOBQ_SCHEDULE_TAGS))
		return;
	tags = PG_GETARG_ARRAYTYPE_P(JOBQ_SCHEDULE_TAGS);
	if (ARR_NDIM(tags) > 1 || array_contains_nulls(tags))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tags must be a one-dimensional array without nulls")));
	if (ArrayGetNItems(ARR_NDIM(tags), ARR_DIMS(tags)) > JOBQ_MAX_TAGS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many tags"),
				 errdetail("At most %d are allowed.", JOBQ_MAX_TAGS)));
	jobq_schedule_set(row, Anum_schedule_tags, PointerGetDatum(tags));
}

/* The options that the jobs get. */
static void
set_job_options(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_PRIORITY))
	{
		jobq_check_priority(PG_GETARG_INT32(JOBQ_SCHEDULE_PRIORITY));
		jobq_schedule_set(row, Anum_schedule_priority,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_PRIORITY));
	}
	set_count(fcinfo, JOBQ_SCHEDULE_MAX_ATTEMPTS, "max_attempts", row,
			  Anum_schedule_max_attempts);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_TIMEOUT))
	{
		(void) jobq_duration_argument(fcinfo, JOBQ_SCHEDULE_TIMEOUT, "timeout", false);
		jobq_schedule_set(row, Anum_schedule_timeout,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_TIMEOUT));
	}
	set_tags(fcinfo, row);
}

/*
 * What the schedule does: a command for the user's run queue, or a payload for
 * a queue into which the user may enqueue.
 */
static void
set_target(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	const JobqQueue *queue;
	Datum		payload;

	payload = PG_ARGISNULL(JOBQ_SCHEDULE_PAYLOAD) ?
		DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")) :
		PG_GETARG_DATUM(JOBQ_SCHEDULE_PAYLOAD);
	jobq_schedule_set(row, Anum_schedule_payload, payload);
	if (PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND) == PG_ARGISNULL(JOBQ_SCHEDULE_QUEUE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a schedule needs either a command or a queue")));

	if (!PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND))
	{
		const char *command = jobq_string_argument(fcinfo, JOBQ_SCHEDULE_COMMAND,
												   "command",
												   JOBQ_MAX_COMMAND_LENGTH);

		(void) jobq_command_check(command);
		jobq_schedule_set(row, Anum_schedule_command,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_COMMAND));
		queue = jobq_queue_run_of(GetUserId());
	}
	else
	{
		const char *name = text_to_cstring(PG_GETARG_TEXT_PP(JOBQ_SCHEDULE_QUEUE));

		queue = jobq_queue_require(name, JOBQ_PRIV_ENQUEUE);
		if (queue->is_run)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("queue \"%s\" is for SQL commands", queue->name),
					 errhint("Give the schedule a command instead of a queue.")));
		queue = jobq_queue_lock_shared(queue);
		jobq_check_payload(queue, payload);
	}
	jobq_schedule_set(row, Anum_schedule_queue, Int32GetDatum(queue->id));
}

/*
 * Runs must not overtake each other, so jitter must be shorter than the time
 * between two of them.
 */
static void
check_jitter(FunctionCallInfo fcinfo, const JobqTimetable *timetable)
{
	int64		jitter;
	TimestampTz last;

	if (PG_ARGISNULL(JOBQ_SCHEDULE_JITTER))
		return;
	jitter = jobq_duration_argument(fcinfo, JOBQ_SCHEDULE_JITTER, "jitter", true);
	last = jobq_timetable_next(timetable, jobq_now());
	for (int i = 0; i < JITTER_CHECK_RUNS && last != JOBQ_NEVER; i++)
	{
		TimestampTz next = jobq_timetable_next(timetable, last);

		if (next != JOBQ_NEVER && jitter >= next - last)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("jitter must be shorter than the time between two runs"),
					 errdetail("This schedule has runs " INT64_FORMAT " seconds apart.",
							   (next - last) / USECS_PER_SEC)));
		last = next;
	}
}

/*
 * When the schedule runs: 22023 if the expression is malformed or never fires,
 * the zone unknown, or the bounds make no sense.  Sets anchor and next_run as
 * for a new schedule.
 */
static void
set_times(FunctionCallInfo fcinfo, JobqScheduleRow *row,
		  JobqTimetable *timetable)
{
	TimestampTz now = jobq_now();
	TimestampTz anchor;
	TimestampTz next;
	char	   *cron;
	char	   *problem;
	const char *zone;
	JobqCron	parsed;

	jobq_require_argument(fcinfo, JOBQ_SCHEDULE_CRON, "cron");
	cron = text_to_cstring(PG_GETARG_TEXT_PP(JOBQ_SCHEDULE_CRON));
	jobq_cron_require(cron, &parsed);
	jobq_schedule_set(row, Anum_schedule_cron, PG_GETARG_DATUM(JOBQ_SCHEDULE_CRON));
	zone = PG_ARGISNULL(JOBQ_SCHEDULE_TIMEZONE) ? jobq_timezone_default() :
		text_to_cstring(PG_GETARG_TEXT_PP(JOBQ_SCHEDULE_TIMEZONE));
	zone = pg_get_timezone_name(jobq_timezone_require(zone));
	jobq_schedule_set(row, Anum_schedule_timezone, CStringGetTextDatum(zone));
	set_time(fcinfo, JOBQ_SCHEDULE_STARTS_AT, "starts_at", row, Anum_schedule_starts_at);
	set_time(fcinfo, JOBQ_SCHEDULE_ENDS_AT, "ends_at", row, Anum_schedule_ends_at);
	set_count(fcinfo, JOBQ_SCHEDULE_MAX_RUNS, "max_runs", row, Anum_schedule_max_runs);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_STARTS_AT) && !PG_ARGISNULL(JOBQ_SCHEDULE_ENDS_AT) &&
		PG_GETARG_TIMESTAMPTZ(JOBQ_SCHEDULE_STARTS_AT) >
		PG_GETARG_TIMESTAMPTZ(JOBQ_SCHEDULE_ENDS_AT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("starts_at must not be later than ends_at")));

	jobq_schedule_set(row, Anum_schedule_anchor, TimestampTzGetDatum(now));
	problem = jobq_timetable_read(timetable, row->values, row->nulls);
	if (problem != NULL)
		elog(ERROR, "%s", problem);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_STARTS_AT))
	{
		/* "@every" has a run at this very time */
		timetable->anchor = timetable->first;
		anchor = jobq_timestamp_from_seconds(timetable->anchor);
		jobq_schedule_set(row, Anum_schedule_anchor,
						  TimestampTzGetDatum(anchor));
	}
	next = jobq_timetable_next(timetable, now);
	jobq_schedule_set(row, Anum_schedule_next_run, TimestampTzGetDatum(next));
	if (next == JOBQ_NEVER && PG_ARGISNULL(JOBQ_SCHEDULE_ENDS_AT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cron expression \"%s\" never fires", cron),
				 errdetail("There is no such date and time.")));
	check_jitter(fcinfo, timetable);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_JITTER))
		jobq_schedule_set(row, Anum_schedule_jitter,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_JITTER));
}

/* Makes the row of schedule()'s arguments, but for its id. */
static void
form_row(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	JobqTimetable timetable;
	bool		enabled;

	enabled = PG_ARGISNULL(JOBQ_SCHEDULE_ENABLED) || PG_GETARG_BOOL(JOBQ_SCHEDULE_ENABLED);
	memset(row->values, 0, sizeof(row->values));
	memset(row->nulls, true, sizeof(row->nulls));
	jobq_schedule_set(row, Anum_schedule_name,
					  CStringGetTextDatum(name_argument(fcinfo)));
	jobq_schedule_set(row, Anum_schedule_owner, ObjectIdGetDatum(GetUserId()));
	jobq_schedule_set(row, Anum_schedule_enabled, BoolGetDatum(enabled));
	jobq_schedule_set(row, Anum_schedule_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_missed_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_skipped_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_late_runs, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_history, Int64GetDatum(0));
	jobq_schedule_set(row, Anum_schedule_created_at,
					  TimestampTzGetDatum(jobq_now()));
	jobq_schedule_set(row, Anum_schedule_system_identifier,
					  Int64GetDatum(jobq_system_identifier()));
	jobq_schedule_set(row, Anum_schedule_database,
					  ObjectIdGetDatum(MyDatabaseId));
	jobq_schedule_set(row, Anum_schedule_missed,
					  word_argument(fcinfo, JOBQ_SCHEDULE_MISSED, "missed", missed_words,
									"once"));
	jobq_schedule_set(row, Anum_schedule_overlap,
					  word_argument(fcinfo, JOBQ_SCHEDULE_OVERLAP, "overlap",
									overlap_words, "skip"));
	jobq_schedule_set(row, Anum_schedule_keep_runs,
					  CStringGetTextDatum("all"));
	set_times(fcinfo, row, &timetable);
	set_job_options(fcinfo, row);
	set_target(fcinfo, row);
	if (!enabled)
		jobq_schedule_set(row, Anum_schedule_next_run,
						  TimestampTzGetDatum(JOBQ_NEVER));
}

/* Whether a column has the same value in two rows. */
static bool
same_value(const JobqScheduleRow *a, const JobqScheduleRow *b,
		   AttrNumber attnum, bool is_text)
{
	if (a->nulls[attnum - 1] || b->nulls[attnum - 1])
		return a->nulls[attnum - 1] == b->nulls[attnum - 1];
	if (!is_text)
		return a->values[attnum - 1] == b->values[attnum - 1];
	return strcmp(TextDatumGetCString(a->values[attnum - 1]),
				  TextDatumGetCString(b->values[attnum - 1])) == 0;
}

/*
 * Takes over into a row that replaces an old one what is to stay: identity and
 * past, what alter_schedule() has set, and also next_run if nothing that
 * decides it has changed.
 */
static void
keep_from_old(JobqScheduleRow *row, const JobqScheduleRow *old)
{
	static const AttrNumber kept[] = {
		Anum_schedule_id, Anum_schedule_runs, Anum_schedule_missed_runs,
		Anum_schedule_skipped_runs, Anum_schedule_late_runs,
		Anum_schedule_history, Anum_schedule_created_at,
		Anum_schedule_last_run, Anum_schedule_last_job,
		Anum_schedule_keep_runs, Anum_schedule_catch_up_window
	};
	bool		same;

	for (int i = 0; i < lengthof(kept); i++)
	{
		row->values[kept[i] - 1] = old->values[kept[i] - 1];
		row->nulls[kept[i] - 1] = old->nulls[kept[i] - 1];
	}

	same = same_value(row, old, Anum_schedule_cron, true) &&
		same_value(row, old, Anum_schedule_timezone, true) &&
		same_value(row, old, Anum_schedule_starts_at, false);
	if (same)
		row->values[Anum_schedule_anchor - 1] =
			old->values[Anum_schedule_anchor - 1];
	if (!DatumGetBool(row->values[Anum_schedule_enabled - 1]))
		return;
	same = same && same_value(row, old, Anum_schedule_enabled, false) &&
		same_value(row, old, Anum_schedule_ends_at, false) &&
		same_value(row, old, Anum_schedule_max_runs, false) &&
		same_value(row, old, Anum_schedule_system_identifier, false) &&
		same_value(row, old, Anum_schedule_database, false);
	row->values[Anum_schedule_next_run - 1] = same ?
		old->values[Anum_schedule_next_run - 1] :
		TimestampTzGetDatum(jobq_schedule_next_run_from_now(row));
}

/* schedule(name, cron, ...): see form_row() for what it raises. */
Datum
jobq_schedule(PG_FUNCTION_ARGS)
{
	Oid			arbiter;
	JobqTable  *table;
	TupleTableSlot *slot;
	JobqScheduleRow row;
	JobqScheduleRow old;
	char	   *name;
	int64		id = 0;

	jobq_begin_write("jobq.schedule()");
	form_row(fcinfo, &row);
	name = TextDatumGetCString(row.values[Anum_schedule_name - 1]);
	table = jobq_table_open(JOBQ_REL_SCHEDULE);
	arbiter = jobq_relation_oid(JOBQ_IDX_SCHEDULE_NAME);
	slot = jobq_table_slot(table);
	for (;;)
	{
		ItemPointerData conflict;

		CHECK_FOR_INTERRUPTS();
		if (jobq_schedule_find(table, slot, name, &old))
		{
			jobq_schedule_check_owner(&old);
			keep_from_old(&row, &old);
			id = DatumGetInt64(row.values[Anum_schedule_id - 1]);
			jobq_table_update(table, slot, row.values, row.nulls);
			break;
		}
		if (id == 0)
			id = nextval_internal(jobq_relation_oid(JOBQ_SEQ_SCHEDULE_ID),
								  false);
		jobq_schedule_set(&row, Anum_schedule_id, Int64GetDatum(id));

		/*
		 * If another schedule of this name has just been removed, it may have
		 * had a run since form_row(); that must not come again.
		 */
		if (DatumGetBool(row.values[Anum_schedule_enabled - 1]))
			jobq_schedule_set(&row, Anum_schedule_next_run,
							  TimestampTzGetDatum(jobq_schedule_next_run_from_now(&row)));
		if (jobq_table_insert_unique(table, arbiter, row.values, row.nulls,
									 &conflict))
			break;
	}
	jobq_schedule_note_next_run(&row);
	jobq_table_close(table);

	/* the queue's row, and the schedule's, may have been waited for */
	jobq_recheck_function(fcinfo);
	jobq_queue_recheck(DatumGetInt32(row.values[Anum_schedule_queue - 1]),
					   JOBQ_PRIV_ENQUEUE);
	PG_RETURN_INT64(id);
}
