/*-------------------------------------------------------------------------
 *
 * queue_ddl.c
 *	  SQL functions that create and change queues; for dropping them see
 *	  queue_drop.c.
 *
 * The row of jobq_store.queue is what they write.  Its lock orders those who
 * change a queue; everybody else learns of the change from the log of
 * changes, which the commit callback writes (queue_change.c).
 *
 * IDENTIFICATION
 *	  src/queue_ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "arguments.h"
#include "queue_options.h"
#include "xact.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(jobq_create_queue);
PG_FUNCTION_INFO_V1(jobq_alter_queue);
PG_FUNCTION_INFO_V1(jobq_reset_queue);
PG_FUNCTION_INFO_V1(jobq_pause);
PG_FUNCTION_INFO_V1(jobq_resume);

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

/* The queue's name, always the first argument; NULL is refused with 22004. */
static char *
name_argument(FunctionCallInfo fcinfo)
{
	jobq_require_argument(fcinfo, 0, "queue");
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

static void
note_changed_option(QueueRow *row, AttrNumber attnum)
{
	if (attnum == Anum_queue_owner || attnum == Anum_queue_handler ||
		attnum == Anum_queue_backoff_function ||
		attnum == Anum_queue_payload_check || attnum == Anum_queue_on_dead)
		row->check = true;
	if (attnum == Anum_queue_owner || attnum == Anum_queue_handler)
		row->resync = true;
	if (attnum == Anum_queue_keep_completed ||
		attnum == Anum_queue_keep_completed_count ||
		attnum == Anum_queue_keep_dead ||
		attnum == Anum_queue_keep_dead_count)
		row->keep = true;
}

/*
 * Checks the options among the arguments of the calling function, and puts
 * those that are not null into the row.
 *
 * Arguments are told by their names, so that functions of an older or newer
 * version of the extension's script work with this library.
 */
static void
apply_arguments(FunctionCallInfo fcinfo, QueueRow *row)
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

	for (int i = 1; i < nargs; i++)
	{
		const JobqQueueOption *option = jobq_queue_option(names[i]);
		Datum		value;

		if (option == NULL)
			elog(ERROR, "unknown option \"%s\"", names[i]);
		if (PG_ARGISNULL(i))
			continue;
		value = PG_GETARG_DATUM(i);
		if (option->check != NULL)
			option->check(option->name, value);
		if (option->convert != NULL)
			value = option->convert(value);
		row->values[option->attnum - 1] = value;
		row->nulls[option->attnum - 1] = false;
		note_changed_option(row, option->attnum);
	}
}

/* What every change of a queue does at commit. */
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

/*
 * create_queue(queue, <options>): 42710 if there is one, 22023 for a bad
 * value.
 */
Datum
jobq_create_queue(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	QueueRow	row;
	JobqTable  *table;
	ItemPointerData conflict;

	jobq_begin_write("jobq.create_queue()");
	jobq_queue_name_check(name);
	memset(&row, 0, sizeof(row));
	memset(row.nulls, true, sizeof(row.nulls));
	memset(row.nulls, false, Anum_queue_database * sizeof(bool));
	row.nulls[Anum_queue_handler - 1] = true;
	row.values[Anum_queue_name - 1] = CStringGetTextDatum(name);
	row.values[Anum_queue_is_run - 1] = BoolGetDatum(false);
	row.values[Anum_queue_owner - 1] = ObjectIdGetDatum(GetUserId());
	row.values[Anum_queue_paused - 1] = BoolGetDatum(false);
	row.values[Anum_queue_created_at - 1] = TimestampTzGetDatum(jobq_now());
	row.values[Anum_queue_system_identifier - 1] =
		Int64GetDatum(jobq_system_identifier());
	row.values[Anum_queue_database - 1] = ObjectIdGetDatum(MyDatabaseId);
	apply_arguments(fcinfo, &row);
	jobq_queue_row_check(row.values, row.nulls);

	row.values[Anum_queue_id - 1] =
		Int32GetDatum((int32) nextval_internal(jobq_relation_oid(JOBQ_SEQ_QUEUE_ID),
											   false));
	table = jobq_table_open(JOBQ_REL_QUEUE);
	if (!jobq_table_insert_unique(table,
								  jobq_relation_oid(JOBQ_IDX_QUEUE_NAME),
								  row.values, row.nulls, &conflict))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("queue \"%s\" already exists", name)));
	jobq_table_close(table);
	row.resync = false;			/* it has no jobs */
	row.old_owner = DatumGetObjectId(row.values[Anum_queue_owner - 1]);
	note_change(&row);

	/*
	 * There may be no coordinator, if an extension was dropped here, and the
	 * queue's entry in shared memory may be that of another one of its id.
	 */
	jobq_at_commit_wake(JOBQ_WAKE_WORK);
	PG_RETURN_VOID();
}

/*
 * Looks up a queue, checks the privilege, locks the queue's row (waiting for
 * others who are changing it) and reads it.  Raises 42704 and 42501.
 */
static JobqTable *
open_queue(const char *name, int privilege, TupleTableSlot **slot,
		   QueueRow *row)
{
	const JobqQueue *queue = jobq_queue_require(name, privilege);
	JobqTable  *table = jobq_table_open(JOBQ_REL_QUEUE);
	ScanKeyData key;

	*slot = jobq_table_slot(table);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue->id));
	if (jobq_table_find(table, jobq_relation_oid(JOBQ_IDX_QUEUE), &key, 1,
						JOBQ_WAIT, *slot) != JOBQ_FOUND)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("queue \"%s\" does not exist", name)));
	slot_getallattrs(*slot);
	memset(row, 0, sizeof(QueueRow));
	memcpy(row->values, (*slot)->tts_values, sizeof(row->values));
	memcpy(row->nulls, (*slot)->tts_isnull, sizeof(row->nulls));
	row->old_owner = DatumGetObjectId(row->values[Anum_queue_owner - 1]);
	return table;
}

static void
refuse_for_run_queue(const QueueRow *row, const char *name)
{
	if (DatumGetBool(row->values[Anum_queue_is_run - 1]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue \"%s\" belongs to its role", name),
				 errdetail("It holds the commands that the role gave to jobq.run().")));
}

/* alter_queue(queue, <options>): sets those that are not null. */
Datum
jobq_alter_queue(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	QueueRow	row;
	TupleTableSlot *slot;
	JobqTable  *table;
	Oid			owner;

	jobq_begin_write("jobq.alter_queue()");
	table = open_queue(name, JOBQ_PRIV_OWNER, &slot, &row);
	owner = DatumGetObjectId(row.values[Anum_queue_owner - 1]);
	apply_arguments(fcinfo, &row);
	if (owner != DatumGetObjectId(row.values[Anum_queue_owner - 1]))
		refuse_for_run_queue(&row, name);
	if (row.check)
		jobq_queue_row_check(row.values, row.nulls);
	jobq_table_update(table, slot, row.values, row.nulls);
	jobq_table_close(table);
	note_change(&row);
	PG_RETURN_VOID();
}

/* reset_queue(queue, option, ...): back to the defaults. */
Datum
jobq_reset_queue(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	QueueRow	row;
	TupleTableSlot *slot;
	JobqTable  *table;
	Datum	   *elements;
	int			nelements;

	jobq_begin_write("jobq.reset_queue()");
	elements = jobq_array_elements("options", PG_GETARG_ARRAYTYPE_P(1),
								   TEXTOID, NULL, &nelements);
	table = open_queue(name, JOBQ_PRIV_OWNER, &slot, &row);
	for (int i = 0; i < nelements; i++)
	{
		const JobqQueueOption *option;
		char	   *option_name = TextDatumGetCString(elements[i]);

		option = jobq_queue_option(option_name);
		if (option == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized queue option \"%s\"", option_name),
					 errhint("Options are: %s.", jobq_queue_option_names())));
		if (!option->resettable)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" has no default", option_name),
					 errhint("Use jobq.alter_queue().")));
		row.nulls[option->attnum - 1] = true;
		note_changed_option(&row, option->attnum);
	}
	jobq_table_update(table, slot, row.values, row.nulls);
	jobq_table_close(table);
	note_change(&row);
	PG_RETURN_VOID();
}

/* Sets whether a queue is paused; false if that changes nothing. */
static bool
set_paused(const char *name, bool paused)
{
	QueueRow	row;
	TupleTableSlot *slot;
	JobqTable  *table;
	bool		changed;

	jobq_begin_write(paused ? "jobq.pause()" : "jobq.resume()");
	table = open_queue(name, JOBQ_PRIV_MANAGE, &slot, &row);
	changed = DatumGetBool(row.values[Anum_queue_paused - 1]) != paused;
	if (changed)
	{
		row.values[Anum_queue_paused - 1] = BoolGetDatum(paused);
		jobq_table_update(table, slot, row.values, row.nulls);
		row.resync = !paused;
		note_change(&row);
	}
	jobq_table_close(table);
	return changed;
}

/* pause(queue): false if it was paused already. */
Datum
jobq_pause(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_paused(name_argument(fcinfo), true));
}

/* resume(queue): false if it was not paused. */
Datum
jobq_resume(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_paused(name_argument(fcinfo), false));
}
