/*-------------------------------------------------------------------------
 *
 * queue_ddl.c
 *	  SQL functions that create and change queues; for dropping them see
 *	  queue_drop.c.
 *
 * They write the row of jobq_store.queue.  Its lock serializes changes of a
 * queue; all others learn of a change from the log of changes, which the
 * commit callback writes (queue_change.c).
 *
 * IDENTIFICATION
 *	  src/queue/queue_ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/home.h"
#include "compat.h"
#include "queue/group_ddl.h"
#include "queue/limit.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_check.h"
#include "queue/queue_lock.h"
#include "queue/queue_options.h"
#include "queue/queue_row.h"
#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_create_queue);
PG_FUNCTION_INFO_V1(jobq_alter_queue);
PG_FUNCTION_INFO_V1(jobq_reset_queue);
PG_FUNCTION_INFO_V1(jobq_pause);
PG_FUNCTION_INFO_V1(jobq_resume);
PG_FUNCTION_INFO_V1(jobq_drain);

/* The argument of create_queue that is not an option. */
#define OR_REPLACE "or_replace"

/* A row of jobq_store.queue that is being changed. */
typedef struct QueueRow
{
	Datum		values[Natts_queue];
	bool		nulls[Natts_queue];
	bool		check;			/* options that depend on others changed */
	bool		resync;			/* more jobs may be claimable than before */
	bool		keep;			/* finished jobs are kept for another time */
	Oid			old_owner;
} QueueRow;

static void
note_changed_option(QueueRow *row, AttrNumber attnum)
{
	if (attnum == Anum_queue_owner || attnum == Anum_queue_handler ||
		attnum == Anum_queue_backoff_function ||
		attnum == Anum_queue_payload_check || attnum == Anum_queue_on_dead ||
		attnum == Anum_queue_batch_size ||
		attnum == Anum_queue_shared_limit)
		row->check = true;
	if (attnum == Anum_queue_owner || attnum == Anum_queue_handler ||
		attnum == Anum_queue_max_running ||
		attnum == Anum_queue_max_running_per_group ||
		attnum == Anum_queue_group_on_failure ||
		attnum == Anum_queue_batch_size || attnum == Anum_queue_batch_wait ||
		attnum == Anum_queue_group_rate_limit ||
		attnum == Anum_queue_group_rate_period ||
		attnum == Anum_queue_group_rate_burst ||
		attnum == Anum_queue_rate_limit ||
		attnum == Anum_queue_rate_period ||
		attnum == Anum_queue_rate_burst || attnum == Anum_queue_on_limit ||
		attnum == Anum_queue_shared_limit)
		row->resync = true;
	if (attnum == Anum_queue_keep_completed ||
		attnum == Anum_queue_keep_completed_count ||
		attnum == Anum_queue_keep_dead ||
		attnum == Anum_queue_keep_dead_count)
		row->keep = true;
}

/*
 * The names of the arguments of the calling function.  Arguments are
 * identified by name, so that functions of an older or newer version of the
 * extension's script work with this library.
 */
static char **
argument_names(FunctionCallInfo fcinfo)
{
	HeapTuple	tuple;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			nargs;

	tuple = SearchSysCache1(PROCOID,
							ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u",
			 fcinfo->flinfo->fn_oid);
	nargs = get_func_arg_info(tuple, &types, &names, &modes);
	ReleaseSysCache(tuple);
	if (names == NULL || nargs != PG_NARGS())
		elog(ERROR, "unexpected arguments of function %u",
			 fcinfo->flinfo->fn_oid);
	return names;
}

/*
 * The number of the argument with that name; -1 if it is NULL or does not
 * exist.
 */
static int
find_argument(FunctionCallInfo fcinfo, const char *name)
{
	char	  **names = argument_names(fcinfo);

	for (int i = 1; i < PG_NARGS(); i++)
	{
		if (strcmp(names[i], name) == 0)
			return PG_ARGISNULL(i) ? -1 : i;
	}
	return -1;
}

/* Whether there is an argument or_replace that is true. */
static bool
or_replace_argument(FunctionCallInfo fcinfo)
{
	int			argno = find_argument(fcinfo, OR_REPLACE);

	return argno >= 0 && PG_GETARG_BOOL(argno);
}

/* The argument with that name, of type text; NULL if it is not given. */
static char *
text_argument(FunctionCallInfo fcinfo, const char *name)
{
	int			argno = find_argument(fcinfo, name);

	return argno < 0 ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/* Groups that are stopped stay so when the option is changed again. */
static void
note_stopping(QueueRow *row)
{
	int			option = Anum_queue_group_on_failure - 1;

	if (!row->nulls[option] &&
		strcmp(TextDatumGetCString(row->values[option]), JOBQ_STOP) == 0)
		row->values[Anum_queue_has_group_options - 1] = BoolGetDatum(true);
}

/*
 * Checks the options among the arguments of the calling function, and stores
 * those that are not null in the row.
 */
static void
apply_arguments(FunctionCallInfo fcinfo, QueueRow *row)
{
	char	  **names = argument_names(fcinfo);

	for (int i = 1; i < PG_NARGS(); i++)
	{
		const JobqQueueOption *option = jobq_queue_option(names[i]);
		Datum		value;

		if (strcmp(names[i], OR_REPLACE) == 0)
			continue;
		if (option == NULL)
			elog(ERROR, "unknown option \"%s\"", names[i]);
		if (PG_ARGISNULL(i))
			continue;
		value = PG_GETARG_DATUM(i);
		if (option->check != NULL)
			option->check(option->name, value);
		if (option->convert != NULL)
			value = option->convert(value, row->values);
		row->values[option->attnum - 1] = value;
		row->nulls[option->attnum - 1] = false;
		note_changed_option(row, option->attnum);
	}
	note_stopping(row);
}

/* Notes what every change of a queue does at commit. */
static void
note_change(const QueueRow *row)
{
	int32		id = DatumGetInt32(row->values[Anum_queue_id - 1]);
	Oid			owner = DatumGetObjectId(row->values[Anum_queue_owner - 1]);

	jobq_at_commit_queue_changed(id, owner);
	if (row->old_owner != owner)
		jobq_at_commit_queue_changed(id, row->old_owner);
	if (row->resync)
		jobq_at_commit_look_again(id);
	if (row->keep)
		jobq_at_commit_wake(JOBQ_WAKE_RETENTION);
}

/* Prepares a locked row for changes. */
static void
begin_change(QueueRow *row, const JobqLockedQueue *locked)
{
	memset(row, 0, sizeof(QueueRow));
	memcpy(row->values, locked->values, sizeof(row->values));
	memcpy(row->nulls, locked->nulls, sizeof(row->nulls));
	row->old_owner = locked->queue->owner;
}

/*
 * Checks again whether the user may make the change, since earlier checks may
 * have waited for the on_dead queue, or the limit.
 */
static void
recheck_change(const JobqLockedQueue *locked, const QueueRow *row)
{
	Oid			owner = DatumGetObjectId(row->values[Anum_queue_owner - 1]);

	jobq_queue_recheck_locked(locked, JOBQ_PRIV_OWNER);
	if (owner != locked->queue->owner)
		jobq_queue_owner_check(owner);
}

/*
 * Locks the row of a queue for a user who needs the privilege, and prepares it
 * for changes; see jobq_queue_lock().
 */
static void
open_queue(JobqLockedQueue *locked, const char *name, int privilege,
		   QueueRow *row)
{
	jobq_queue_lock(locked, name, privilege);
	begin_change(row, locked);
}

/* Writes the changed row. */
static void
write_queue(JobqLockedQueue *locked, const QueueRow *row)
{
	jobq_queue_rate_check(row->values, row->nulls);
	jobq_table_update(locked->table, locked->slot, row->values, row->nulls);
	jobq_table_close(locked->table);
	note_change(row);
}

/*
 * Locks the current or new limit that the queue shares, unless the user and the
 * owner lack the privilege.
 */
static void
lock_limit(FunctionCallInfo fcinfo, const JobqQueue *queue)
{
	const char *name = text_argument(fcinfo, "shared_limit");
	JobqLimit	limit;

	if (name != NULL ? !jobq_limit_read_name(name, &limit) :
		queue->shared_limit == JOBQ_NO_LIMIT ||
		!jobq_limit_read(queue->shared_limit, &limit))
		return;
	if (jobq_limit_allows(&limit, GetUserId()) ||
		jobq_limit_allows(&limit, queue->owner))
		jobq_limit_lock_shared(limit.id);
}

/*
 * Locks what an existing queue names, or is going to name, against being dropped:
 * its limit, and the queue of on_dead.  Called before the queue's own row is locked,
 * since drop_queue() locks a queue before the rows of others that name it.  Errors are
 * found later.
 */
static void
lock_others(FunctionCallInfo fcinfo, const char *name)
{
	const JobqQueue *queue = jobq_queue_find(name);
	const JobqQueue *target;
	const char *target_name = text_argument(fcinfo, "on_dead");

	if (queue == NULL ||
		!jobq_queue_allows(queue, GetUserId(), JOBQ_PRIV_OWNER))
		return;
	lock_limit(fcinfo, queue);
	target = target_name != NULL ? jobq_queue_find(target_name) :
		jobq_queue_by_id(queue->on_dead);
	if (target != NULL && target->id != queue->id)
		(void) jobq_queue_try_lock_shared(target);
}

/*
 * Makes the row of a new queue of the user, with the options among the
 * arguments.
 */
static void
form_row(FunctionCallInfo fcinfo, const char *name, QueueRow *row)
{
	memset(row, 0, sizeof(*row));
	memset(row->nulls, true, sizeof(row->nulls));
	memset(row->nulls, false, Anum_queue_database * sizeof(bool));
	row->nulls[Anum_queue_handler - 1] = true;
	row->values[Anum_queue_name - 1] = CStringGetTextDatum(name);
	row->values[Anum_queue_is_run - 1] = BoolGetDatum(false);
	row->values[Anum_queue_owner - 1] = ObjectIdGetDatum(GetUserId());
	row->values[Anum_queue_paused - 1] = BoolGetDatum(false);
	row->values[Anum_queue_draining - 1] = BoolGetDatum(false);
	row->values[Anum_queue_has_group_options - 1] = BoolGetDatum(false);
	row->values[Anum_queue_created_at - 1] = TimestampTzGetDatum(jobq_now());
	row->values[Anum_queue_system_identifier - 1] =
		Int64GetDatum(jobq_home_identifier());
	row->values[Anum_queue_database - 1] = ObjectIdGetDatum(MyDatabaseId);
	apply_arguments(fcinfo, row);
	jobq_queue_row_check(row->values, row->nulls, NULL);
}

/* Adds a queue; returns false if one with that name exists. */
static bool
insert_queue(FunctionCallInfo fcinfo, const char *name)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_QUEUE);
	QueueRow	row;
	ItemPointerData conflict;
	bool		inserted;

	form_row(fcinfo, name, &row);
	row.values[Anum_queue_id - 1] =
		Int32GetDatum(jobq_queue_new_id());
	jobq_at_rollback_forget_queue(DatumGetInt32(row.values[Anum_queue_id - 1]));
	inserted = jobq_table_insert_unique(table,
										jobq_relation_oid(JOBQ_IDX_QUEUE_NAME),
										row.values, row.nulls, &conflict);
	jobq_table_close(table);
	if (!inserted)
		return false;

	/* this may have waited for another user of the name */
	jobq_recheck_function(fcinfo, true);
	jobq_queue_owner_check(DatumGetObjectId(row.values[Anum_queue_owner - 1]));
	jobq_queue_row_check(row.values, row.nulls, NULL);
	row.resync = false;			/* it has no jobs */
	row.old_owner = DatumGetObjectId(row.values[Anum_queue_owner - 1]);
	jobq_queue_state_new(DatumGetInt32(row.values[Anum_queue_id - 1]),
						 row.old_owner);
	note_change(&row);

	/*
	 * There may be no coordinator, if an extension was dropped here, and the
	 * entry in shared memory may belong to an earlier queue with this id.
	 */
	jobq_at_commit_wake(JOBQ_WAKE_WORK);
	return true;
}

/*
 * Gives an existing queue the options among the arguments and resets all
 * others.  Keeps its id, whether it is paused or draining, and its owner if none
 * is given.  Raises 42501 unless the user owns it; returns false if there is none.
 */
static bool
replace_queue(FunctionCallInfo fcinfo, const char *name)
{
	const JobqQueue *queue = jobq_queue_find(name);
	JobqLockedQueue locked;
	QueueRow	row;

	if (queue == NULL)
		return false;
	jobq_queue_check_privilege(queue, JOBQ_PRIV_OWNER);
	lock_others(fcinfo, name);
	if (!jobq_queue_find_and_lock(&locked, name))
		return false;
	jobq_queue_check_privilege(locked.queue, JOBQ_PRIV_OWNER);
	begin_change(&row, &locked);
	jobq_queue_reset_options(row.nulls);
	apply_arguments(fcinfo, &row);
	jobq_queue_row_check(row.values, row.nulls, locked.queue);
	jobq_recheck_function(fcinfo, true);
	recheck_change(&locked, &row);
	row.resync = true;
	write_queue(&locked, &row);
	return true;
}

/*
 * create_queue(queue, <options>, or_replace): raises 42710 if the queue exists
 * and or_replace is not set, and 22023 for a bad value.
 */
Datum
jobq_create_queue(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	bool		or_replace;

	jobq_begin_write("jobq.create_queue()");
	jobq_queue_name_check(name);
	or_replace = or_replace_argument(fcinfo);
	while (!(or_replace && replace_queue(fcinfo, name)) &&
		   !insert_queue(fcinfo, name))
	{
		if (!or_replace)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("queue \"%s\" already exists", name)));
		CHECK_FOR_INTERRUPTS();
	}
	PG_RETURN_VOID();
}

/* alter_queue(queue, <options>): sets those that are not null. */
Datum
jobq_alter_queue(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	JobqLockedQueue locked;
	QueueRow	row;

	jobq_begin_write("jobq.alter_queue()");
	lock_others(fcinfo, name);
	open_queue(&locked, name, JOBQ_PRIV_OWNER, &row);
	apply_arguments(fcinfo, &row);
	if (DatumGetObjectId(row.values[Anum_queue_owner - 1]) !=
		locked.queue->owner)
		jobq_queue_refuse_run(locked.queue);
	if (row.check)
		jobq_queue_row_check(row.values, row.nulls, locked.queue);
	recheck_change(&locked, &row);
	write_queue(&locked, &row);
	PG_RETURN_VOID();
}

/* reset_queue(queue, option, ...): restores defaults. */
Datum
jobq_reset_queue(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	JobqLockedQueue locked;
	QueueRow	row;
	Datum	   *elements;
	int			nelements;

	jobq_begin_write("jobq.reset_queue()");
	jobq_require_argument(fcinfo, 1, "options");
	elements = jobq_array_elements("options", PG_GETARG_ARRAYTYPE_P(1),
								   TEXTOID, NULL, &nelements);
	open_queue(&locked, name, JOBQ_PRIV_OWNER, &row);
	for (int i = 0; i < nelements; i++)
	{
		const JobqQueueOption *option;
		char	   *option_name = TextDatumGetCString(elements[i]);

		option = jobq_queue_option(option_name);
		if (option == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized queue option \"%s\"", option_name),
					 errhint("Available options: %s.", jobq_queue_option_names())));
		if (!option->resettable)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("queue option \"%s\" has no default", option_name),
					 errhint("Use jobq.alter_queue().")));
		row.nulls[option->attnum - 1] = true;
		note_changed_option(&row, option->attnum);
	}
	jobq_queue_check_batches(row.values, row.nulls);
	write_queue(&locked, &row);
	PG_RETURN_VOID();
}

/*
 * Sets flags of a queue, columns of its row, for a user who may manage it.
 * Returns false if that changes nothing.
 */
static bool
set_flags(FunctionCallInfo fcinfo, const char *function,
		  const AttrNumber *flags, int nflags, bool value)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	JobqLockedQueue locked;
	QueueRow	row;
	bool		changed = false;

	jobq_begin_write(function);
	open_queue(&locked, name, JOBQ_PRIV_MANAGE, &row);
	for (int i = 0; i < nflags; i++)
	{
		if (DatumGetBool(row.values[flags[i] - 1]) == value)
			continue;
		row.values[flags[i] - 1] = BoolGetDatum(value);
		if (flags[i] == Anum_queue_paused)
			row.resync = !value;
		changed = true;
	}
	if (changed)
		write_queue(&locked, &row);
	else
		jobq_table_close(locked.table);
	return changed;
}

/* What keeps a queue from starting jobs, or from taking new ones. */
static const AttrNumber flags[] = {Anum_queue_paused, Anum_queue_draining};

/* pause(queue, group_key): false if it, or the group, was paused already. */
Datum
jobq_pause(PG_FUNCTION_ARGS)
{
	if (PG_NARGS() > 1 && !PG_ARGISNULL(1))
		PG_RETURN_BOOL(jobq_group_set_paused(fcinfo, "jobq.pause()", true));
	PG_RETURN_BOOL(set_flags(fcinfo, "jobq.pause()", &flags[0], 1, true));
}

/* drain(queue): false if it was draining already. */
Datum
jobq_drain(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_flags(fcinfo, "jobq.drain()", &flags[1], 1, true));
}

/*
 * resume(queue, group_key): false if it was neither paused nor draining, or the group
 * was not paused.
 */
Datum
jobq_resume(PG_FUNCTION_ARGS)
{
	if (PG_NARGS() > 1 && !PG_ARGISNULL(1))
		PG_RETURN_BOOL(jobq_group_set_paused(fcinfo, "jobq.resume()", false));
	PG_RETURN_BOOL(set_flags(fcinfo, "jobq.resume()", flags, lengthof(flags),
							 false));
}
