/*-------------------------------------------------------------------------
 *
 * group_ddl.c
 *	  pause(), resume(), set_group(), reset_group(): options of single groups.
 *
 * A group need not have jobs.  All who change options of groups of a queue lock the
 * queue's row first, on which their privilege is judged.
 *
 * IDENTIFICATION
 *	  src/queue/group_ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/group_ddl.h"

#include "base/arguments.h"
#include "compat.h"
#include "queue/group_option.h"
#include "queue/group_stop.h"
#include "queue/queue_check.h"
#include "queue/queue_lock.h"
#include "queue/queue_options.h"
#include "shared/queue_change.h"

#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_set_group);
PG_FUNCTION_INFO_V1(jobq_reset_group);

/* The options among the arguments of set_group(). */
static const struct
{
	const char *name;
	int			argument;
	AttrNumber	attnum;
	int			greatest;		/* 0: it is an interval */
}			options[] = {
	{"max_running", 2, Anum_group_option_max_running, PG_INT32_MAX},
	{"rate_limit", 3, Anum_group_option_rate_limit, PG_INT32_MAX},
	{"rate_period", 4, Anum_group_option_rate_period, 0},
	{"rate_burst", 5, Anum_group_option_rate_burst, PG_INT32_MAX},
	{"weight", 6, Anum_group_option_weight, JOBQ_MAX_WEIGHT}
};

/*
 * Locks the queue of the first argument for a user who may manage it, and reads the
 * row of the group of the second.
 */
static void
open_group(FunctionCallInfo fcinfo, JobqLockedQueue *locked,
		   JobqGroupOptionRow *row)
{
	char	   *queue = jobq_required_string(fcinfo, 0, "queue");
	char	   *name;

	jobq_require_argument(fcinfo, 1, "group_key");
	name = jobq_string_argument(fcinfo, 1, "group_key",
								JOBQ_GROUP_NAME_SIZE - 1);
	jobq_queue_lock(locked, queue, JOBQ_PRIV_MANAGE);
	jobq_group_option_open(row, locked->queue->id, name);
}

/* Writes the row, if it was changed. */
static void
close_group(JobqLockedQueue *locked, JobqGroupOptionRow *row, bool changed)
{
	AttrNumber	flag = Anum_queue_has_group_options;

	if (changed && !DatumGetBool(locked->values[flag - 1]))
	{
		locked->values[flag - 1] = BoolGetDatum(true);
		jobq_table_update(locked->table, locked->slot, locked->values,
						  locked->nulls);
		jobq_at_commit_queue_changed(locked->queue->id, locked->queue->owner);
	}
	if (changed)
		jobq_group_option_write(row);
	else
		jobq_table_close(row->table);
	/* the tables of options and of stopped groups may have been waited for */
	jobq_queue_recheck_locked(locked, JOBQ_PRIV_MANAGE);
	jobq_table_close(locked->table);
}

/* See group_ddl.h. */
bool
jobq_group_set_paused(FunctionCallInfo fcinfo, const char *function,
					  bool paused)
{
	const int	column = Anum_group_option_paused - 1;
	JobqLockedQueue locked;
	JobqGroupOptionRow row;
	const char *name;
	bool		stopped;
	bool		changed;

	jobq_begin_write(function);
	open_group(fcinfo, &locked, &row);
	name = TextDatumGetCString(row.values[Anum_group_option_group_key - 1]);
	stopped = jobq_group_is_stopped(locked.queue->id, name);
	changed = (DatumGetBool(row.values[column]) || stopped) != paused;
	if (stopped && !paused)
		jobq_group_stop_end(locked.queue->id, name);
	if (changed)
		row.values[column] = BoolGetDatum(paused);
	close_group(&locked, &row, changed);
	return changed;
}

/* Raises 22023 for a value that the option cannot have. */
static void
check_option(int option, int32 value)
{
	if (value >= 1 && value <= options[option].greatest)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": %d",
					options[option].name, value),
			 errdetail("It must be between 1 and %d.",
					   options[option].greatest)));
}

/* Raises 22023 for values that the options cannot have. */
static void
check_arguments(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (PG_ARGISNULL(options[i].argument))
			continue;
		if (options[i].greatest > 0)
			check_option(i, PG_GETARG_INT32(options[i].argument));
		else
			jobq_queue_period_check(options[i].name,
									PG_GETARG_DATUM(options[i].argument));
	}
}

/* Raises 22023 unless the options of the group's rate fit together. */
static void
check_rate(const JobqGroupOptionRow *row)
{
	const bool *nulls = row->nulls;
	JobqGcra	rate;

	if (!nulls[Anum_group_option_rate_limit - 1])
	{
		jobq_queue_rate_report(jobq_group_rate_of_row(row, &rate),
							   DatumGetInt32(row->values[Anum_group_option_rate_limit - 1]),
							   DatumGetInt32(row->values[Anum_group_option_rate_burst - 1]),
							   "");
	}
	else if (!nulls[Anum_group_option_rate_period - 1] ||
			 !nulls[Anum_group_option_rate_burst - 1])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"rate_period\" and \"rate_burst\" of a group need \"rate_limit\""),
				 errhint("Set all of them in one call.")));
}

/* set_group(queue, group_key, <options>): sets those that are not null. */
Datum
jobq_set_group(PG_FUNCTION_ARGS)
{
	JobqLockedQueue locked;
	JobqGroupOptionRow row;
	bool		changed = false;

	jobq_begin_write("jobq.set_group()");
	check_arguments(fcinfo);
	open_group(fcinfo, &locked, &row);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (PG_ARGISNULL(options[i].argument))
			continue;
		row.values[options[i].attnum - 1] =
			PG_GETARG_DATUM(options[i].argument);
		row.nulls[options[i].attnum - 1] = false;
		changed = true;
	}
	check_rate(&row);
	close_group(&locked, &row, changed);
	PG_RETURN_VOID();
}

/* reset_group(queue, group_key): false if no option was set. */
Datum
jobq_reset_group(PG_FUNCTION_ARGS)
{
	JobqLockedQueue locked;
	JobqGroupOptionRow row;
	bool		changed = false;

	jobq_begin_write("jobq.reset_group()");
	open_group(fcinfo, &locked, &row);
	for (int i = 0; i < lengthof(options); i++)
	{
		changed |= !row.nulls[options[i].attnum - 1];
		row.nulls[options[i].attnum - 1] = true;
	}
	close_group(&locked, &row, changed);
	PG_RETURN_BOOL(changed);
}
