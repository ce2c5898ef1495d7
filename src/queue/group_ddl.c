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
#include "queue/queue_lock.h"
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
	int			greatest;
}			options[] = {
	{"max_running", 2, Anum_group_option_max_running, PG_INT32_MAX},
	{"weight", 6, Anum_group_option_weight, JOBQ_MAX_WEIGHT}
};

/* Those that groups cannot have yet. */
static const struct
{
	const char *name;
	int			argument;
}			refused[] = {
	{"rate_limit", 3},
	{"rate_period", 4},
	{"rate_burst", 5}
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

/* Raises 22023 or 0A000 for options that a group cannot have. */
static void
check_arguments(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < lengthof(refused); i++)
	{
		if (!PG_ARGISNULL(refused[i].argument))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("option \"%s\" cannot be set for a group yet",
							refused[i].name),
					 errhint("Available options of a group: max_running, weight.")));
	}
	for (int i = 0; i < lengthof(options); i++)
	{
		if (!PG_ARGISNULL(options[i].argument))
			check_option(i, PG_GETARG_INT32(options[i].argument));
	}
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
