/*-------------------------------------------------------------------------
 *
 * queue_row.c
 *	  Reading queues, and privileges on them, from the tables.
 *
 * Readers use indexes, so that the cost does not depend on the number of other
 * rows; only jobq_queue_read_briefs() reads the whole table.
 *
 * IDENTIFICATION
 *	  src/queue/queue_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_row.h"

#include "base/extension.h"
#include "base/home.h"
#include "shared/interval.h"
#include "shared/queue_state.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define FIELD(name) offsetof(JobqQueue, name)

typedef enum OptionKind
{
	OPTION_OTHER,				/* not read by the table */
	OPTION_INTEGER,
	OPTION_BOOLEAN,
	OPTION_DOUBLE,
	OPTION_INTERVAL,			/* microseconds, in an int64 */
	OPTION_TEXT					/* NULL by default */
} OptionKind;

/* Where an option goes when a queue is read, and what it is if it is NULL. */
typedef struct Option
{
	OptionKind	kind;
	size_t		field;			/* of JobqQueue */
	double		by_default;		/* holds any of them exactly */
} Option;

/*
 * By the column's number.  The view jobq.queues and docs/reference.md show the
 * same defaults: tools/check-places compares them.
 */
static const Option options[Natts_queue + 1] = {
	[Anum_queue_handler] = {OPTION_TEXT, FIELD(handler)},
	[Anum_queue_max_attempts] = {OPTION_INTEGER, FIELD(max_attempts), 10},
	[Anum_queue_backoff_base] = {OPTION_INTERVAL, FIELD(backoff.base_us), USECS_PER_SEC},
	[Anum_queue_backoff_factor] = {OPTION_DOUBLE, FIELD(backoff.factor), 2},
	[Anum_queue_backoff_max] = {OPTION_INTERVAL, FIELD(backoff.max_us), USECS_PER_HOUR},
	[Anum_queue_jitter] = {OPTION_DOUBLE, FIELD(backoff.jitter), 0.2},
	[Anum_queue_backoff_function] = {OPTION_TEXT, FIELD(backoff_function)},
	[Anum_queue_lease] = {OPTION_INTERVAL, FIELD(lease), 30 * USECS_PER_SEC},
	[Anum_queue_timeout] = {OPTION_INTERVAL, FIELD(timeout), 0},
	[Anum_queue_priority] = {OPTION_INTEGER, FIELD(priority), 0},
	[Anum_queue_ttl] = {OPTION_INTERVAL, FIELD(ttl), 0},
	[Anum_queue_payload_check] = {OPTION_TEXT, FIELD(payload_check)},
	[Anum_queue_payload_max_bytes] = {OPTION_INTEGER, FIELD(payload_max_bytes), 0},
	[Anum_queue_keep_completed] = {OPTION_INTERVAL, FIELD(keep_completed), USECS_PER_DAY},
	[Anum_queue_keep_completed_count] = {OPTION_INTEGER, FIELD(keep_completed_count), -1},
	[Anum_queue_keep_dead] = {OPTION_INTERVAL, FIELD(keep_dead), 30 * USECS_PER_DAY},
	[Anum_queue_keep_dead_count] = {OPTION_INTEGER, FIELD(keep_dead_count), -1},
	[Anum_queue_on_dead] = {OPTION_INTEGER, FIELD(on_dead), JOBQ_NO_QUEUE},
	[Anum_queue_notify] = {OPTION_BOOLEAN, FIELD(notify), true},
	[Anum_queue_session_bound] = {OPTION_BOOLEAN, FIELD(session_bound), false},
	[Anum_queue_sync_completion] = {OPTION_BOOLEAN, FIELD(sync_completion), true},
	[Anum_queue_share_commits] = {OPTION_BOOLEAN, FIELD(share_commits), true},
};

/* Called for each row that was read. */
typedef void (*RowVisitor) (void *arg, const Datum *values, const bool *nulls);

static int64
interval_option(const Datum *values, const bool *nulls, int attnum)
{
	if (nulls[attnum - 1])
		return (int64) options[attnum].by_default;
	return jobq_interval_microseconds(DatumGetIntervalP(values[attnum - 1]));
}

static int
int_option(const Datum *values, const bool *nulls, int attnum)
{
	return nulls[attnum - 1] ? (int) options[attnum].by_default :
		DatumGetInt32(values[attnum - 1]);
}

static bool
bool_option(const Datum *values, const bool *nulls, int attnum)
{
	return nulls[attnum - 1] ? options[attnum].by_default != 0 :
		DatumGetBool(values[attnum - 1]);
}

static double
double_option(const Datum *values, const bool *nulls, int attnum)
{
	return nulls[attnum - 1] ? options[attnum].by_default :
		DatumGetFloat8(values[attnum - 1]);
}

static char *
text_option(const Datum *values, const bool *nulls, int attnum)
{
	return nulls[attnum - 1] ? NULL : TextDatumGetCString(values[attnum - 1]);
}

/* Reads one of the options that the table has. */
static void
read_option(JobqQueue *queue, const Datum *values, const bool *nulls,
			int attnum)
{
	void	   *field = (char *) queue + options[attnum].field;

	switch (options[attnum].kind)
	{
		case OPTION_OTHER:
			break;
		case OPTION_INTEGER:
			*(int *) field = int_option(values, nulls, attnum);
			break;
		case OPTION_BOOLEAN:
			*(bool *) field = bool_option(values, nulls, attnum);
			break;
		case OPTION_DOUBLE:
			*(double *) field = double_option(values, nulls, attnum);
			break;
		case OPTION_INTERVAL:
			*(int64 *) field = interval_option(values, nulls, attnum);
			break;
		case OPTION_TEXT:
			*(char **) field = text_option(values, nulls, attnum);
			break;
	}
}

/* The kind of backoff, exponential by default, and the steps. */
static void
read_backoff(JobqQueue *queue, const Datum *values, const bool *nulls)
{
	JobqBackoff *backoff = &queue->backoff;
	char	   *kind = text_option(values, nulls, Anum_queue_backoff);

	backoff->kind = JOBQ_BACKOFF_EXPONENTIAL;
	if (kind != NULL)
		(void) jobq_backoff_kind_lookup(kind, &backoff->kind);
	if (!nulls[Anum_queue_backoff_steps - 1])
	{
		Datum	   *elements;
		int			nelements;
		int64	   *steps;

		deconstruct_array(DatumGetArrayTypeP(values[Anum_queue_backoff_steps - 1]),
						  INTERVALOID, sizeof(Interval), false,
						  TYPALIGN_DOUBLE, &elements, NULL, &nelements);
		steps = palloc(Max(nelements, 1) * sizeof(int64));
		for (int i = 0; i < nelements; i++)
			steps[i] = jobq_interval_microseconds(DatumGetIntervalP(elements[i]));
		backoff->steps = steps;
		backoff->nsteps = nelements;
	}
}

/* Whether a queue belongs to this database and did not come with a copy. */
static bool
is_at_home(const Datum *values)
{
	return DatumGetInt64(values[Anum_queue_system_identifier - 1]) ==
		jobq_home_identifier() &&
		DatumGetObjectId(values[Anum_queue_database - 1]) == MyDatabaseId;
}

/* Fills in a JobqQueue from its row, except grants and state. */
static void
read_queue(JobqQueue *queue, const Datum *values, const bool *nulls)
{
	memset(queue, 0, sizeof(JobqQueue));
	queue->id = DatumGetInt32(values[Anum_queue_id - 1]);
	queue->name = text_option(values, nulls, Anum_queue_name);
	queue->is_run = DatumGetBool(values[Anum_queue_is_run - 1]);
	queue->at_home = is_at_home(values);
	queue->paused = DatumGetBool(values[Anum_queue_paused - 1]);
	queue->owner = DatumGetObjectId(values[Anum_queue_owner - 1]);
	for (int attnum = 1; attnum <= Natts_queue; attnum++)
		read_option(queue, values, nulls, attnum);
	read_backoff(queue, values, nulls);
	if (!nulls[Anum_queue_payload_path - 1])
		queue->payload_path =
			PointerGetDatum(PG_DETOAST_DATUM_COPY(values[Anum_queue_payload_path - 1]));
}

/* ---------------------------------------------------------------- scans */

/*
 * A snapshot that sees everything committed and this transaction's own
 * changes.  Views also call this in parallel workers, where nothing has been
 * written and only catalog snapshots are available.
 */
static Snapshot
newest_snapshot(void)
{
	if (IsInParallelMode())
		return GetCatalogSnapshot(jobq_relation_oid(JOBQ_REL_QUEUE));
	CommandCounterIncrement();
	return GetLatestSnapshot();
}

/*
 * Calls a function for rows of a table: those with the given key in the first
 * column of an index, or all if key is NULL.  The attribute number of the key
 * is that of the table.
 */
static void
visit_rows(JobqRelation relation, JobqRelation index, ScanKey key,
		   RowVisitor visit, void *arg)
{
	Relation	rel = jobq_relation_open(relation);
	int			natts = RelationGetDescr(rel)->natts;
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	Snapshot	snapshot = RegisterSnapshot(newest_snapshot());
	SysScanDesc scan;
	HeapTuple	tuple;

	PushActiveSnapshot(snapshot);
	scan = systable_beginscan(rel, key != NULL ? jobq_relation_oid(index) :
							  InvalidOid, key != NULL, snapshot,
							  key != NULL ? 1 : 0, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		visit(arg, values, nulls);
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	pfree(values);
	pfree(nulls);
}

/*
 * The same for the rows with a value in a column, the first one of the index;
 * `equals` is the function of the type's operator =.
 */
static void
visit_rows_with(JobqRelation relation, JobqRelation index, AttrNumber column,
				RegProcedure equals, Datum value, RowVisitor visit, void *arg)
{
	ScanKeyData key;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, equals, value);
	visit_rows(relation, index, &key, visit, arg);
}

/* --------------------------------------------------------------- queues */

/* Destination of a queue that is read. */
typedef struct Target
{
	JobqQueue  *queue;
	MemoryContext context;
} Target;

static void
visit_queue(void *arg, const Datum *values, const bool *nulls)
{
	Target	   *target = arg;
	MemoryContext oldcontext = MemoryContextSwitchTo(target->context);

	read_queue(target->queue, values, nulls);
	MemoryContextSwitchTo(oldcontext);
}

static void
visit_grant(void *arg, const Datum *values, const bool *nulls)
{
	Target	   *target = arg;
	JobqQueue  *queue = target->queue;
	JobqQueueGrant *grant;

	if (queue->grants == NULL)
		queue->grants = MemoryContextAlloc(target->context,
										   sizeof(JobqQueueGrant));
	else if ((queue->ngrants & (queue->ngrants - 1)) == 0)
		queue->grants = repalloc(queue->grants, 2 * queue->ngrants *
								 sizeof(JobqQueueGrant));
	grant = &queue->grants[queue->ngrants++];
	grant->role = DatumGetObjectId(values[Anum_queue_grant_role - 1]);
	grant->privileges =
		DatumGetInt32(values[Anum_queue_grant_privileges - 1]);
}

static void
read_grants(Target *target)
{
	visit_rows_with(JOBQ_REL_QUEUE_GRANT, JOBQ_IDX_QUEUE_GRANT,
					Anum_queue_grant_queue, F_INT4EQ,
					Int32GetDatum(target->queue->id), visit_grant, target);
}

/*
 * Reads a queue with its grants but without its state, allocating in the
 * memory context.  Returns false if there is none.
 */
bool
jobq_queue_read(int32 id, JobqQueue *queue, MemoryContext context)
{
	Target		target = {queue, context};

	queue->id = JOBQ_NO_QUEUE;
	visit_rows_with(JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE, Anum_queue_id, F_INT4EQ,
					Int32GetDatum(id), visit_queue, &target);
	if (queue->id == JOBQ_NO_QUEUE)
		return false;
	read_grants(&target);
	return true;
}

/*
 * Makes a JobqQueue from a row that the caller has read, and may have locked,
 * with the current grants.  Used to check privileges; it is not the version
 * that look-ups return.
 */
JobqQueue *
jobq_queue_of_row(const Datum *values, const bool *nulls)
{
	JobqQueue  *queue = palloc(sizeof(JobqQueue));
	Target		target = {queue, CurrentMemoryContext};

	read_queue(queue, values, nulls);
	read_grants(&target);
	queue->state = jobq_queue_state_find(queue->id);
	return queue;
}

/* --------------------------------------------------------- ids of queues */

static void
visit_id(void *arg, const Datum *values, const bool *nulls)
{
	*(int32 *) arg = DatumGetInt32(values[Anum_queue_id - 1]);
}

/* The id of the queue with a name, JOBQ_NO_QUEUE if there is none. */
int32
jobq_queue_read_name(const char *name)
{
	int32		id = JOBQ_NO_QUEUE;

	visit_rows_with(JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_NAME, Anum_queue_name,
					F_TEXTEQ, CStringGetTextDatum(name), visit_id, &id);
	return id;
}

static void
visit_run(void *arg, const Datum *values, const bool *nulls)
{
	if (DatumGetBool(values[Anum_queue_is_run - 1]))
		visit_id(arg, values, nulls);
}

/* The id of the queue of a role's run() commands, or JOBQ_NO_QUEUE. */
int32
jobq_queue_read_run(Oid owner)
{
	int32		id = JOBQ_NO_QUEUE;

	visit_rows_with(JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_RUN, Anum_queue_owner,
					F_OIDEQ, ObjectIdGetDatum(owner), visit_run, &id);
	return id;
}

static void
collect_id(void *arg, const Datum *values, const bool *nulls)
{
	List	  **ids = arg;

	*ids = lappend_int(*ids, DatumGetInt32(values[Anum_queue_id - 1]));
}

/* The ids of the queues that belong to a role. */
List *
jobq_queue_read_owned(Oid owner)
{
	List	   *ids = NIL;

	visit_rows_with(JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_OWNER, Anum_queue_owner,
					F_OIDEQ, ObjectIdGetDatum(owner), collect_id, &ids);
	return ids;
}

/* The ids of the queues whose dead jobs are reported to another queue. */
List *
jobq_queue_read_on_dead(int32 queue)
{
	List	   *ids = NIL;

	visit_rows_with(JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_ON_DEAD,
					Anum_queue_on_dead, F_INT4EQ, Int32GetDatum(queue),
					collect_id, &ids);
	list_sort(ids, list_int_cmp);
	return ids;
}

typedef struct Granted
{
	int			privileges;		/* wanted: any of them */
	List	   *ids;
} Granted;

static void
visit_granted(void *arg, const Datum *values, const bool *nulls)
{
	Granted    *granted = arg;

	if (DatumGetInt32(values[Anum_queue_grant_privileges - 1]) &
		granted->privileges)
		granted->ids =
			lappend_int(granted->ids,
						DatumGetInt32(values[Anum_queue_grant_queue - 1]));
}

/* The ids of the queues on which a role was granted any of the privileges. */
List *
jobq_queue_read_granted(Oid role, int privileges)
{
	Granted		granted = {.privileges = privileges,.ids = NIL};

	visit_rows_with(JOBQ_REL_QUEUE_GRANT, JOBQ_IDX_QUEUE_GRANT_ROLE,
					Anum_queue_grant_role, F_OIDEQ, ObjectIdGetDatum(role),
					visit_granted, &granted);
	return granted.ids;
}

/* --------------------------------------------------------------- briefs */

/* Hash that identifies equal handlers; not 0. */
uint64
jobq_handler_hash(const char *handler, int length)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) handler,
										   length, 0);

	return hash != 0 ? hash : 1;
}

/* Fills in the brief of a queue. */
static void
read_brief(JobqQueueBrief *brief, const Datum *values, const bool *nulls)
{
	text	   *handler = nulls[Anum_queue_handler - 1] ? NULL :
	DatumGetTextPP(values[Anum_queue_handler - 1]);

	brief->handler = handler == NULL ? 0 :
		jobq_handler_hash(VARDATA_ANY(handler), VARSIZE_ANY_EXHDR(handler));
	brief->id = DatumGetInt32(values[Anum_queue_id - 1]);
	brief->owner = DatumGetObjectId(values[Anum_queue_owner - 1]);
	brief->has_executors = handler != NULL ||
		DatumGetBool(values[Anum_queue_is_run - 1]);
	brief->at_home = is_at_home(values);
	brief->paused = DatumGetBool(values[Anum_queue_paused - 1]);
	brief->notify = bool_option(values, nulls, Anum_queue_notify);
	brief->keep_completed = interval_option(values, nulls,
											Anum_queue_keep_completed);
	brief->keep_completed_count =
		int_option(values, nulls, Anum_queue_keep_completed_count);
	brief->keep_dead_count = int_option(values, nulls,
										Anum_queue_keep_dead_count);
	brief->state = jobq_queue_state(brief->id, brief->owner);
}

static void
visit_brief(void *arg, const Datum *values, const bool *nulls)
{
	read_brief(arg, values, nulls);
}

static void
visit_all_briefs(void *arg, const Datum *values, const bool *nulls)
{
	List	  **briefs = arg;
	JobqQueueBrief *brief = palloc(sizeof(JobqQueueBrief));

	CHECK_FOR_INTERRUPTS();
	read_brief(brief, values, nulls);
	*briefs = lappend(*briefs, brief);
}

/* Reads the briefs of all queues, unordered. */
List *
jobq_queue_read_briefs(void)
{
	List	   *briefs = NIL;

	visit_rows(JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE, NULL, visit_all_briefs,
			   &briefs);
	return briefs;
}

/* Reads one of them; returns false if it does not exist. */
bool
jobq_queue_read_brief(int32 id, JobqQueueBrief *brief)
{
	brief->id = JOBQ_NO_QUEUE;
	visit_rows_with(JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE, Anum_queue_id, F_INT4EQ,
					Int32GetDatum(id), visit_brief, brief);
	return brief->id != JOBQ_NO_QUEUE;
}

/* -------------------------------------------------------------- service */

static void
visit_service(void *arg, const Datum *values, const bool *nulls)
{
	*(int *) arg = DatumGetInt16(values[Anum_service_history_segment - 1]);
}

/* The segment of history to which finished jobs are written. */
int
jobq_queue_read_history_segment(void)
{
	int			segment = 0;

	visit_rows(JOBQ_REL_SERVICE, JOBQ_IDX_SERVICE, NULL, visit_service,
			   &segment);
	return segment;
}

/* ------------------------------------------------------------ schedules */

static void
collect_owner(void *arg, const Datum *values, const bool *nulls)
{
	List	  **owners = arg;

	*owners =
		list_append_unique_oid(*owners,
							   DatumGetObjectId(values[Anum_schedule_owner - 1]));
}

/* The roles that have schedules. */
List *
jobq_queue_read_schedule_owners(void)
{
	List	   *owners = NIL;

	visit_rows(JOBQ_REL_SCHEDULE, JOBQ_IDX_SCHEDULE, NULL, collect_owner,
			   &owners);
	return owners;
}
