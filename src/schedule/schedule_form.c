/*-------------------------------------------------------------------------
 *
 * schedule_form.c
 *	  Applying the arguments of schedule() and alter_schedule() to a row of
 *	  jobq_store.schedule, and checking the result.
 *
 * Both have the same arguments at the same positions.  A NULL argument leaves
 * the row unchanged; for schedule(), the row contains the defaults.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_form.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/schedule_form.h"

#include "base/arguments.h"
#include "base/timezone.h"
#include "job/enqueue.h"
#include "jobq.h"
#include "queue/command.h"
#include "queue/queue.h"
#include "queue/queue_lock.h"
#include "schedule/cron_expression.h"
#include "schedule/timetable.h"
#include "shared/clock.h"
#include "shared/interval.h"
#include "shared/note.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/*
 * Maximum length of what the coordinator copies into a job at each run: payload,
 * command and tags together.
 */
#define MAX_COPIED_BYTES (1024 * 1024)

/* Jitter is compared with the time between this many runs. */
#define JITTER_CHECK_RUNS 50

/* Options with a default, which is NULL or a word unless it is computed. */
typedef struct Option
{
	const char *name;
	AttrNumber	attnum;
	bool		times;			/* it determines the times of runs */
	const char *const *words;	/* NULL: its value is none */
	int			word;			/* the one that is the default */
} Option;

static const Option options[] = {
	{"payload", Anum_schedule_payload, false},
	{"timezone", Anum_schedule_timezone, true},
	{"missed", Anum_schedule_missed, false, jobq_schedule_missed_words,
	JOBQ_MISSED_ONCE},
	{"overlap", Anum_schedule_overlap, false, jobq_schedule_overlap_words,
	JOBQ_OVERLAP_SKIP},
	{"jitter", Anum_schedule_jitter, true},
	{"starts_at", Anum_schedule_starts_at, true},
	{"ends_at", Anum_schedule_ends_at, true},
	{"max_runs", Anum_schedule_max_runs, true},
	{"priority", Anum_schedule_priority, false},
	{"max_attempts", Anum_schedule_max_attempts, false},
	{"timeout", Anum_schedule_timeout, false},
	{"tags", Anum_schedule_tags, false},
	{"keep_runs", Anum_schedule_keep_runs, false, jobq_schedule_keep_runs_words,
	JOBQ_KEEP_RUNS_ALL},
	{"catch_up_window", Anum_schedule_catch_up_window, false}
};

/* Sets the time zone by its full name; raises 22023 if it does not exist. */
static void
set_timezone(JobqScheduleRow *row, const char *zone)
{
	zone = pg_get_timezone_name(jobq_timezone_require(zone));
	jobq_schedule_set(row, Anum_schedule_timezone, CStringGetTextDatum(zone));
}

static void
set_default(JobqScheduleRow *row, const Option *option)
{
	if (option->attnum == Anum_schedule_timezone)
		set_timezone(row, jobq_timezone_default());
	else if (option->attnum == Anum_schedule_payload)
		jobq_schedule_set(row, option->attnum,
						  DirectFunctionCall1(jsonb_in,
											  CStringGetDatum("{}")));
	else if (option->words != NULL)
		jobq_schedule_set(row, option->attnum,
						  CStringGetTextDatum(option->words[option->word]));
	else
		row->nulls[option->attnum - 1] = true;
}

void
jobq_schedule_set_defaults(JobqScheduleRow *row)
{
	for (int i = 0; i < lengthof(options); i++)
		set_default(row, &options[i]);
}

/*
 * Sets the option of that name back to its default; 22023 if there is none.
 * Returns whether it determines the times of runs.
 */
bool
jobq_schedule_reset(JobqScheduleRow *row, const char *name)
{
	static const char *const without_default[] = {
		"cron", "command", "queue", "enabled"
	};
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (strcmp(name, options[i].name) == 0)
		{
			set_default(row, &options[i]);
			return options[i].times;
		}
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", options[i].name);
	}
	for (int i = 0; i < lengthof(without_default); i++)
	{
		if (strcmp(name, without_default[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("schedule option \"%s\" has no default", name),
					 errhint("Use jobq.alter_schedule().")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized schedule option \"%s\"", name),
			 errhint("Options with a default: %s.", names.data)));
}

/*
 * Stores an argument, one of a list of words, in the row, unless it is NULL.
 */
static void
set_word(FunctionCallInfo fcinfo, int argno, const char *name,
		 const char *const *words, JobqScheduleRow *row, AttrNumber attnum)
{
	if (!PG_ARGISNULL(argno))
		jobq_schedule_set(row, attnum,
						  jobq_word_argument(fcinfo, argno, name, words));
}

/* Stores an integer argument in the row, unless it is NULL. */
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

/* The options of the jobs. */
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
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_TAGS))
		jobq_schedule_set(row, Anum_schedule_tags,
						  jobq_tags_argument(fcinfo, JOBQ_SCHEDULE_TAGS));
}

/* When the schedule runs, as far as each argument can be checked by itself. */
static void
set_time_options(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_CRON))
	{
		JobqCron	parsed;

		jobq_cron_require(text_to_cstring(PG_GETARG_TEXT_PP(JOBQ_SCHEDULE_CRON)),
						  &parsed);
		jobq_schedule_set(row, Anum_schedule_cron,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_CRON));
	}
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_TIMEZONE))
		set_timezone(row,
					 text_to_cstring(PG_GETARG_TEXT_PP(JOBQ_SCHEDULE_TIMEZONE)));
	set_time(fcinfo, JOBQ_SCHEDULE_STARTS_AT, "starts_at", row,
			 Anum_schedule_starts_at);
	set_time(fcinfo, JOBQ_SCHEDULE_ENDS_AT, "ends_at", row,
			 Anum_schedule_ends_at);
	set_count(fcinfo, JOBQ_SCHEDULE_MAX_RUNS, "max_runs", row,
			  Anum_schedule_max_runs);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_JITTER))
	{
		(void) jobq_duration_argument(fcinfo, JOBQ_SCHEDULE_JITTER, "jitter",
									  true);
		jobq_schedule_set(row, Anum_schedule_jitter,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_JITTER));
	}
}

/* How many bytes of a schedule's row are copied into each of its jobs. */
Size
jobq_schedule_copied_bytes(const Datum *values, const bool *nulls)
{
	static const AttrNumber copied[] = {
		Anum_schedule_payload, Anum_schedule_command, Anum_schedule_tags
	};
	Size		bytes = 0;

	for (int i = 0; i < lengthof(copied); i++)
	{
		if (!nulls[copied[i] - 1])
			bytes += toast_raw_datum_size(values[copied[i] - 1]);
	}
	return bytes;
}

/*
 * Raises 54000 if arguments make the schedule's jobs too large.  One that is
 * already, by other means than jobq's functions, may be changed otherwise.
 */
static void
check_copied_bytes(FunctionCallInfo fcinfo, const JobqScheduleRow *row)
{
	Size		bytes;

	if (PG_ARGISNULL(JOBQ_SCHEDULE_PAYLOAD) &&
		PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND) &&
		PG_ARGISNULL(JOBQ_SCHEDULE_TAGS))
		return;
	bytes = jobq_schedule_copied_bytes(row->values, row->nulls);
	if (bytes > MAX_COPIED_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("payload, command and tags of a schedule are too large"),
				 errdetail("Together they have %zu bytes; at most %d are allowed.",
						   bytes, MAX_COPIED_BYTES),
				 errhint("Keep the data in a table, and have the handler read it there.")));
}

/*
 * Puts the arguments that are not NULL into the row, except name, command and queue.
 * Raises 22023 for one that is bad whatever the others are.
 */
void
jobq_schedule_set_options(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	set_time_options(fcinfo, row);
	set_word(fcinfo, JOBQ_SCHEDULE_MISSED, "missed",
			 jobq_schedule_missed_words, row, Anum_schedule_missed);
	set_word(fcinfo, JOBQ_SCHEDULE_OVERLAP, "overlap",
			 jobq_schedule_overlap_words, row, Anum_schedule_overlap);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_ENABLED))
		jobq_schedule_set(row, Anum_schedule_enabled,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_ENABLED));
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_PAYLOAD))
		jobq_schedule_set(row, Anum_schedule_payload,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_PAYLOAD));
	set_job_options(fcinfo, row);
}

/* The same for the additional arguments of alter_schedule(). */
void
jobq_schedule_set_more_options(FunctionCallInfo fcinfo, JobqScheduleRow *row)
{
	set_word(fcinfo, JOBQ_SCHEDULE_KEEP_RUNS, "keep_runs",
			 jobq_schedule_keep_runs_words, row, Anum_schedule_keep_runs);
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_CATCH_UP_WINDOW))
	{
		(void) jobq_duration_argument(fcinfo, JOBQ_SCHEDULE_CATCH_UP_WINDOW,
									  "catch_up_window", true);
		jobq_schedule_set(row, Anum_schedule_catch_up_window,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_CATCH_UP_WINDOW));
	}
}

/*
 * Returns the queue that the arguments name, or NULL if they name none.  Locks
 * it against being dropped, which may wait for a drop_queue(), and checks that
 * the user may enqueue into it.  Raises 22023, 42704 and 42501.
 */
const JobqQueue *
jobq_schedule_target_queue(FunctionCallInfo fcinfo)
{
	const JobqQueue *queue;

	if (!PG_ARGISNULL(JOBQ_SCHEDULE_QUEUE) &&
		!PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a schedule needs either a command or a queue")));
	if (PG_ARGISNULL(JOBQ_SCHEDULE_QUEUE))
		return NULL;
	queue = jobq_queue_require(text_to_cstring(PG_GETARG_TEXT_PP(JOBQ_SCHEDULE_QUEUE)),
							   JOBQ_PRIV_ENQUEUE);
	if (queue->is_run)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" is for SQL commands", queue->name),
				 errhint("Give the schedule a command instead of a queue.")));
	return jobq_queue_lock_shared(queue);
}

/*
 * Sets what the schedule does: the command that the arguments name, for the
 * run() queue of the row's owner, or the queue (NULL: none is named).  Called
 * when all else is set: raises 54000 if it is too large as a whole.
 */
void
jobq_schedule_set_target(FunctionCallInfo fcinfo, JobqScheduleRow *row,
						 const JobqQueue *queue)
{
	if (!PG_ARGISNULL(JOBQ_SCHEDULE_COMMAND))
	{
		const char *command = jobq_string_argument(fcinfo,
												   JOBQ_SCHEDULE_COMMAND,
												   "command",
												   JOBQ_MAX_COMMAND_LENGTH);
		Oid			owner =
		DatumGetObjectId(row->values[Anum_schedule_owner - 1]);

		(void) jobq_command_check(command);
		jobq_schedule_set(row, Anum_schedule_command,
						  PG_GETARG_DATUM(JOBQ_SCHEDULE_COMMAND));
		jobq_schedule_set(row, Anum_schedule_queue,
						  Int32GetDatum(jobq_queue_run_of(owner)->id));
	}
	else if (queue != NULL)
	{
		row->nulls[Anum_schedule_command - 1] = true;
		jobq_schedule_set(row, Anum_schedule_queue, Int32GetDatum(queue->id));
	}
	check_copied_bytes(fcinfo, row);
}

/*
 * Runs must not overtake each other, so jitter must be shorter than the time
 * between two runs.
 */
static void
check_jitter(const JobqScheduleRow *row, const JobqTimetable *timetable)
{
	int64		jitter;
	TimestampTz last;

	if (row->nulls[Anum_schedule_jitter - 1])
		return;
	jitter = jobq_interval_microseconds(DatumGetIntervalP(row->values[Anum_schedule_jitter - 1]));
	last = jobq_timetable_next(timetable, jobq_now());
	for (int i = 0; i < JITTER_CHECK_RUNS && last != JOBQ_NEVER; i++)
	{
		TimestampTz next = jobq_timetable_next(timetable, last);

		if (next != JOBQ_NEVER && jitter >= next - last)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("jitter must be shorter than the time between two runs"),
					 errdetail("Two runs of this schedule are " INT64_FORMAT " seconds apart.",
							   (next - last) / USECS_PER_SEC)));
		last = next;
	}
}

/*
 * Sets anchor and next_run as for a new schedule.  Raises 22023 if the
 * expression never fires or the bounds make no sense.
 */
void
jobq_schedule_set_times(JobqScheduleRow *row)
{
	bool		starts = !row->nulls[Anum_schedule_starts_at - 1];
	bool		ends = !row->nulls[Anum_schedule_ends_at - 1];
	TimestampTz now = jobq_now();
	JobqTimetable timetable;
	TimestampTz next;
	char	   *problem;

	if (starts && ends &&
		DatumGetTimestampTz(row->values[Anum_schedule_starts_at - 1]) >
		DatumGetTimestampTz(row->values[Anum_schedule_ends_at - 1]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("starts_at must not be later than ends_at")));

	jobq_schedule_set(row, Anum_schedule_anchor, TimestampTzGetDatum(now));
	problem = jobq_timetable_read(&timetable, row->values, row->nulls);
	if (problem != NULL)
		elog(ERROR, "%s", problem);
	if (starts)
	{
		TimestampTz anchor;

		/* "@every" has a run at this very time */
		timetable.anchor = timetable.first;
		anchor = jobq_timestamp_from_seconds(timetable.anchor);
		jobq_schedule_set(row, Anum_schedule_anchor,
						  TimestampTzGetDatum(anchor));
	}
	next = jobq_timetable_next(&timetable, now);
	jobq_schedule_set(row, Anum_schedule_next_run, TimestampTzGetDatum(next));
	if (next == JOBQ_NEVER && !ends)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cron expression \"%s\" never fires",
						TextDatumGetCString(row->values[Anum_schedule_cron - 1])),
				 timetable.cron.possible ?
				 errdetail("All its times have passed.") :
				 errdetail("There is no such date and time.")));
	check_jitter(row, &timetable);
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
 * Copies the times that are still valid from an old version of the row:
 * anchor, and also next_run if nothing that determines it has changed.
 */
void
jobq_schedule_keep_times(JobqScheduleRow *row, const JobqScheduleRow *old)
{
	TimestampTz next = JOBQ_NEVER;
	bool		same;

	same = same_value(row, old, Anum_schedule_cron, true) &&
		same_value(row, old, Anum_schedule_timezone, true) &&
		same_value(row, old, Anum_schedule_starts_at, false);
	if (same)
		row->values[Anum_schedule_anchor - 1] =
			old->values[Anum_schedule_anchor - 1];
	same = same && same_value(row, old, Anum_schedule_enabled, false) &&
		same_value(row, old, Anum_schedule_ends_at, false) &&
		same_value(row, old, Anum_schedule_max_runs, false) &&
		same_value(row, old, Anum_schedule_system_identifier, false) &&
		same_value(row, old, Anum_schedule_database, false);
	if (same)
		next = jobq_schedule_next_run(old);
	else if (DatumGetBool(row->values[Anum_schedule_enabled - 1]))
		next = jobq_schedule_next_run_from_now(row);
	jobq_schedule_set(row, Anum_schedule_next_run, TimestampTzGetDatum(next));
}
