/*-------------------------------------------------------------------------
 *
 * limit_ddl.c
 *	  SQL functions that create, change and drop the limits that queues share.
 *
 * They write the row of jobq_store.limit_def, whose lock serializes changes of a
 * limit.  Others learn of a change as they do of that of a queue.
 *
 * IDENTIFICATION
 *	  src/queue/limit_ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/new_id.h"
#include "base/table_find.h"
#include "compat.h"
#include "queue/limit.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_check.h"
#include "queue/queue_id.h"
#include "queue/queue_options.h"
#include "queue/start_row.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_create_limit);
PG_FUNCTION_INFO_V1(jobq_alter_limit);
PG_FUNCTION_INFO_V1(jobq_reset_limit);
PG_FUNCTION_INFO_V1(jobq_drop_limit);

/* The options, in the order of the arguments after the name. */
static const struct
{
	const char *name;
	AttrNumber	attnum;
	void		(*check) (const char *name, Datum value);
}			options[] = {
	{"max_running", Anum_limit_def_max_running, jobq_queue_not_negative_check},
	{"max_running_per_group", Anum_limit_def_max_running_per_group,
	jobq_queue_positive_check},
	{"rate_limit", Anum_limit_def_rate_limit, jobq_queue_positive_check},
	{"rate_period", Anum_limit_def_rate_period, jobq_queue_period_check},
	{"rate_burst", Anum_limit_def_rate_burst, jobq_queue_positive_check},
};

/* The argument of alter_limit() that follows them. */
#define OWNER_ARGUMENT ((int) lengthof(options) + 1)

/* Number of queues named in the error about queues that share a limit. */
#define MAX_QUEUES_NAMED 10

/* A row of jobq_store.limit_def that is being changed. */
typedef struct LimitRow
{
	JobqTable  *table;
	TupleTableSlot *slot;		/* the locked row */
	Datum		values[Natts_limit_def];
	bool		nulls[Natts_limit_def];
	JobqLimit	limit;			/* as it was read */
} LimitRow;

/* Raises 22023 unless the options of a rate fit together. */
static void
check_rate(const LimitRow *row)
{
	JobqGcra	rate;
	JobqGcraResult result = jobq_limit_rate_of_row(row->values, row->nulls,
												   &rate);

	if (!row->nulls[Anum_limit_def_rate_limit - 1])
		jobq_queue_rate_report(result,
							   DatumGetInt32(row->values[Anum_limit_def_rate_limit - 1]),
							   DatumGetInt32(row->values[Anum_limit_def_rate_burst - 1]),
							   "");
}

/* Checks the options among the arguments, and stores those that are not null. */
static void
apply_arguments(FunctionCallInfo fcinfo, LimitRow *row)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (PG_ARGISNULL(i + 1))
			continue;
		options[i].check(options[i].name, PG_GETARG_DATUM(i + 1));
		row->values[options[i].attnum - 1] = PG_GETARG_DATUM(i + 1);
		row->nulls[options[i].attnum - 1] = false;
	}
}

/* Locks the row of a limit, waiting for others that change it, and reads it. */
static bool
find_and_lock(LimitRow *row, const char *name)
{
	row->table = jobq_table_open(JOBQ_REL_LIMIT_DEF);
	row->slot = jobq_table_slot(row->table);
	if (!jobq_table_lock_name(row->table, JOBQ_IDX_LIMIT_DEF_NAME, name,
							  row->slot))
		return false;
	slot_getallattrs(row->slot);
	memcpy(row->values, row->slot->tts_values, sizeof(row->values));
	memcpy(row->nulls, row->slot->tts_isnull, sizeof(row->nulls));
	jobq_limit_of_row(&row->limit, row->values, row->nulls);
	return true;
}

/*
 * The same for a user who may change the limit; raises 42704 and 42501.  Does not
 * wait if the user may not.
 */
static void
open_limit(LimitRow *row, const char *name)
{
	JobqLimit	limit;

	jobq_limit_require(name, &limit);
	jobq_limit_check_owner(&limit);
	if (!find_and_lock(row, name))
		jobq_limit_report_missing(name);
	jobq_limit_check_owner(&row->limit);
}

/* Writes the changed row. */
static void
write_limit(LimitRow *row)
{
	check_rate(row);
	jobq_table_update(row->table, row->slot, row->values, row->nulls);
	jobq_table_close(row->table);
	jobq_at_commit_limit_changed(row->limit.id, row->limit.owner);
}

/* Returns the id of a new limit. */
static int32
new_id(void)
{
	static const JobqIdPlace place = {JOBQ_REL_LIMIT_DEF, JOBQ_IDX_LIMIT_DEF};

	return jobq_new_id(JOBQ_SEQ_LIMIT_ID, &place, 1);
}

/* create_limit(name, <options>): raises 42710 if the limit exists. */
Datum
jobq_create_limit(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "name");
	LimitRow	row = {0};
	int32		id;
	ItemPointerData conflict;

	jobq_begin_write("jobq.create_limit()");
	jobq_check_name(name, "limit name");
	memset(row.nulls, true, sizeof(row.nulls));
	memset(row.nulls, false, Anum_limit_def_owner * sizeof(bool));
	apply_arguments(fcinfo, &row);
	check_rate(&row);
	id = new_id();
	row.values[Anum_limit_def_id - 1] = Int32GetDatum(id);
	row.values[Anum_limit_def_name - 1] = CStringGetTextDatum(name);
	row.values[Anum_limit_def_owner - 1] = ObjectIdGetDatum(GetUserId());
	row.table = jobq_table_open(JOBQ_REL_LIMIT_DEF);
	if (!jobq_table_insert_unique(row.table,
								  jobq_relation_oid(JOBQ_IDX_LIMIT_DEF_NAME),
								  row.values, row.nulls, &conflict))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("limit \"%s\" already exists", name)));
	jobq_table_close(row.table);

	/* this may have waited for another user of the name */
	jobq_recheck_function(fcinfo, true);
	jobq_at_commit_limit_made(id, GetUserId(),
							  !row.nulls[Anum_limit_def_max_running_per_group - 1]);
	PG_RETURN_VOID();
}

/*
 * Checks the new owner, if one is among the arguments, and stores it; the row is
 * locked.
 */
static void
apply_owner(FunctionCallInfo fcinfo, LimitRow *row)
{
	Oid			owner;

	if (PG_ARGISNULL(OWNER_ARGUMENT))
		return;
	owner = PG_GETARG_OID(OWNER_ARGUMENT);
	jobq_limit_check_new_owner(&row->limit, owner);
	row->values[Anum_limit_def_owner - 1] = ObjectIdGetDatum(owner);
}

/* alter_limit(name, <options>, owner): sets those that are not null. */
Datum
jobq_alter_limit(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "name");
	LimitRow	row;

	jobq_begin_write("jobq.alter_limit()");
	open_limit(&row, name);
	apply_arguments(fcinfo, &row);
	apply_owner(fcinfo, &row);
	write_limit(&row);
	PG_RETURN_VOID();
}

/* Sets an option to NULL; raises 22023 if there is none of that name. */
static void
reset_option(LimitRow *row, const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (strcmp(options[i].name, name) == 0)
		{
			row->nulls[options[i].attnum - 1] = true;
			return;
		}
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", options[i].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized limit option \"%s\"", name),
			 errhint("Available options: %s.", names.data)));
}

/* reset_limit(name, option, ...): restores defaults. */
Datum
jobq_reset_limit(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "name");
	LimitRow	row;
	Datum	   *elements;
	int			nelements;

	jobq_begin_write("jobq.reset_limit()");
	jobq_require_argument(fcinfo, 1, "options");
	elements = jobq_array_elements("options", PG_GETARG_ARRAYTYPE_P(1),
								   TEXTOID, NULL, &nelements);
	open_limit(&row, name);
	for (int i = 0; i < nelements; i++)
		reset_option(&row, TextDatumGetCString(elements[i]));
	write_limit(&row);
	PG_RETURN_VOID();
}

/*
 * The names of the first queues of a list, for a message.  The owner of a limit may
 * know who shares it.  *others: whether the user may not change some of them, or there
 * are more.
 */
static char *
names_of_queues(const List *ids, bool *others)
{
	StringInfoData names;
	int			n = Min(list_length(ids), MAX_QUEUES_NAMED);

	initStringInfo(&names);
	*others = list_length(ids) > n;
	for (int i = 0; i < n; i++)
	{
		const JobqQueue *queue = jobq_queue_by_id(list_nth_int(ids, i));

		if (queue == NULL)
			continue;
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						 queue->name);
		if (!jobq_queue_allows(queue, GetUserId(), JOBQ_PRIV_OWNER))
			*others = true;
	}
	if (list_length(ids) > n)
		appendStringInfo(&names, ", and %d more", list_length(ids) - n);
	return names.data;
}

/* Raises 2BP01 if queues share the limit. */
static void
refuse_if_shared(const JobqLimit *limit)
{
	List	   *ids = jobq_queue_read_sharing(limit->id);
	char	   *names;
	bool		others;

	if (ids == NIL)
		return;
	list_sort(ids, list_int_cmp);
	names = names_of_queues(ids, &others);
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot drop limit \"%s\" because queues share it",
					limit->name),
			 errdetail_plural("%d queue shares it: %s.",
							  "%d queues share it: %s.",
							  list_length(ids), list_length(ids), names),
			 others ?
			 errhint("The owners of the queues, and superusers, can take them out with jobq.reset_queue(..., 'shared_limit'). jobq.alter_limit(%s, max_running => 0) keeps their jobs from starting.",
					 quote_literal_cstr(limit->name)) :
			 errhint("Use jobq.reset_queue(..., 'shared_limit') first.")));
}

/*
 * drop_limit(name): raises 2BP01 while queues share it.  Slots that are out, of
 * jobs whose queue shared it when they started, do not matter.
 */
Datum
jobq_drop_limit(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "name");
	JobqLimit	limit;
	LimitRow	row;

	jobq_begin_write("jobq.drop_limit()");
	jobq_limit_require(name, &limit);
	jobq_limit_check_owner(&limit);
	jobq_limit_lock_to_drop(limit.id);
	open_limit(&row, name);

	/* another one may have the name by now */
	if (row.limit.id != limit.id)
		jobq_limit_report_missing(name);
	refuse_if_shared(&row.limit);
	jobq_start_row_remove(-limit.id);
	jobq_table_delete(row.table, row.slot);
	/* the tables of queues and of starts may have been waited for */
	jobq_limit_check_owner(&row.limit);
	jobq_table_close(row.table);
	jobq_at_commit_limit_dropped(limit.id);
	PG_RETURN_VOID();
}
