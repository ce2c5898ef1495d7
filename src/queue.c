/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  Queues as a backend knows them: a cache of the table of queues, with
 *	  the built-in defaults filled in, and privileges on queues.
 *
 * The whole table is read at once, and again when the database's generation
 * counter in shared memory has moved, which the commit callback of whoever
 * changed a queue, a privilege or the history segment does.  The counter is
 * read before the table.
 *
 * A JobqQueue stays valid until the end of the transaction that looked it up,
 * even when the cache is dropped meanwhile.  What changes a queue by itself
 * (drop_queue) is kept out by jobq_queue_lock_shared().
 *
 * IDENTIFICATION
 *	  src/queue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue.h"
#include "queue_cache.h"
#include "table.h"
#include "xact.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/sequence.h"
#include "common/int.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

/* Built-in defaults; docs/reference.md lists them. */
#define DEFAULT_MAX_ATTEMPTS 10
#define DEFAULT_BACKOFF_BASE USECS_PER_SEC
#define DEFAULT_BACKOFF_FACTOR 2.0
#define DEFAULT_BACKOFF_MAX USECS_PER_HOUR
#define DEFAULT_JITTER 0.2
#define DEFAULT_LEASE (30 * USECS_PER_SEC)
#define DEFAULT_KEEP_COMPLETED USECS_PER_DAY
#define DEFAULT_KEEP_DEAD (30 * USECS_PER_DAY)

/* No duration is longer: sums with a timestamp must not overflow. */
#define MAX_DURATION (INT64CONST(10000) * 365 * USECS_PER_DAY)

typedef struct QueueCache
{
	MemoryContext context;
	uint32		generation;
	List	   *queues;			/* of JobqQueue, by id */
	JobqQueue **by_name;		/* the same, by name */
	int			history_segment;
} QueueCache;

static QueueCache *cache = NULL;
static bool cache_is_stale = false;

/*
 * Drops the cache at the next look-up.  Called when this transaction changes
 * a queue, and when such a (sub)transaction rolls back.
 */
void
jobq_queue_cache_invalidate(void)
{
	cache_is_stale = true;
}

/*
 * An interval in microseconds, a month being 30 days and a day 24 hours;
 * clamped to +-10,000 years.
 */
int64
jobq_interval_microseconds(const Interval *interval)
{
	int64		days = (int64) interval->month * 30 + interval->day;
	int64		result;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result, interval->time, &result))
		result = days < 0 ? -MAX_DURATION : MAX_DURATION;
	return Max(Min(result, MAX_DURATION), -MAX_DURATION);
}

static int64
interval_option(const Datum *values, const bool *nulls, int attnum,
				int64 by_default)
{
	if (nulls[attnum - 1])
		return by_default;
	return jobq_interval_microseconds(DatumGetIntervalP(values[attnum - 1]));
}

static int
int_option(const Datum *values, const bool *nulls, int attnum, int by_default)
{
	return nulls[attnum - 1] ? by_default : DatumGetInt32(values[attnum - 1]);
}

static bool
bool_option(const Datum *values, const bool *nulls, int attnum,
			bool by_default)
{
	return nulls[attnum - 1] ? by_default : DatumGetBool(values[attnum - 1]);
}

static char *
text_option(const Datum *values, const bool *nulls, int attnum)
{
	return nulls[attnum - 1] ? NULL : TextDatumGetCString(values[attnum - 1]);
}

static void
read_backoff(JobqQueue *queue, const Datum *values, const bool *nulls)
{
	JobqBackoff *backoff = &queue->backoff;
	char	   *kind = text_option(values, nulls, Anum_queue_backoff);

	backoff->kind = JOBQ_BACKOFF_EXPONENTIAL;
	if (kind != NULL && strcmp(kind, "linear") == 0)
		backoff->kind = JOBQ_BACKOFF_LINEAR;
	else if (kind != NULL && strcmp(kind, "fixed") == 0)
		backoff->kind = JOBQ_BACKOFF_FIXED;
	backoff->base_us = interval_option(values, nulls, Anum_queue_backoff_base,
									   DEFAULT_BACKOFF_BASE);
	backoff->factor = nulls[Anum_queue_backoff_factor - 1] ?
		DEFAULT_BACKOFF_FACTOR :
		DatumGetFloat8(values[Anum_queue_backoff_factor - 1]);
	backoff->max_us = interval_option(values, nulls, Anum_queue_backoff_max,
									  DEFAULT_BACKOFF_MAX);
	backoff->jitter = nulls[Anum_queue_jitter - 1] ? DEFAULT_JITTER :
		DatumGetFloat8(values[Anum_queue_jitter - 1]);
	backoff->steps = NULL;
	backoff->nsteps = 0;
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
	queue->backoff_function = text_option(values, nulls,
										  Anum_queue_backoff_function);
}

/* Makes a JobqQueue of a row, in the current memory context. */
static JobqQueue *
read_queue(const Datum *values, const bool *nulls)
{
	JobqQueue  *queue = palloc0(sizeof(JobqQueue));

	queue->id = DatumGetInt32(values[Anum_queue_id - 1]);
	queue->name = text_option(values, nulls, Anum_queue_name);
	queue->is_run = DatumGetBool(values[Anum_queue_is_run - 1]);
	queue->at_home =
		DatumGetInt64(values[Anum_queue_system_identifier - 1]) ==
		jobq_system_identifier() &&
		DatumGetObjectId(values[Anum_queue_database - 1]) == MyDatabaseId;
	queue->paused = DatumGetBool(values[Anum_queue_paused - 1]);
	queue->owner = DatumGetObjectId(values[Anum_queue_owner - 1]);
	queue->handler = text_option(values, nulls, Anum_queue_handler);
	queue->max_attempts = int_option(values, nulls, Anum_queue_max_attempts,
									 DEFAULT_MAX_ATTEMPTS);
	read_backoff(queue, values, nulls);
	queue->lease = interval_option(values, nulls, Anum_queue_lease,
								   DEFAULT_LEASE);
	queue->timeout = interval_option(values, nulls, Anum_queue_timeout, 0);
	queue->priority = int_option(values, nulls, Anum_queue_priority, 0);
	queue->ttl = interval_option(values, nulls, Anum_queue_ttl, 0);
	queue->payload_check = text_option(values, nulls,
									   Anum_queue_payload_check);
	queue->payload_max_bytes = int_option(values, nulls,
										  Anum_queue_payload_max_bytes, 0);
	queue->keep_completed = interval_option(values, nulls,
											Anum_queue_keep_completed,
											DEFAULT_KEEP_COMPLETED);
	queue->keep_dead = interval_option(values, nulls, Anum_queue_keep_dead,
									   DEFAULT_KEEP_DEAD);
	queue->keep_completed_count =
		int_option(values, nulls, Anum_queue_keep_completed_count, -1);
	queue->keep_dead_count = int_option(values, nulls,
										Anum_queue_keep_dead_count, -1);
	queue->on_dead = text_option(values, nulls, Anum_queue_on_dead);
	queue->notify = bool_option(values, nulls, Anum_queue_notify, true);
	queue->session_bound = bool_option(values, nulls,
									   Anum_queue_session_bound, false);
	queue->sync_completion = bool_option(values, nulls,
										 Anum_queue_sync_completion, true);
	queue->state = jobq_queue_state(queue->id);
	return queue;
}

static void
load_queues(QueueCache *new_cache, Snapshot snapshot)
{
	Relation	rel = jobq_relation_open(JOBQ_REL_QUEUE);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0,
										  NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[Natts_queue];
		bool		nulls[Natts_queue];
		JobqQueue  *queue;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		queue = read_queue(values, nulls);
		queue->generation = new_cache->generation;
		new_cache->queues = lappend(new_cache->queues, queue);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	const JobqQueue *x = lfirst(a);
	const JobqQueue *y = lfirst(b);

	return x->id < y->id ? -1 : x->id > y->id;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp((*(JobqQueue *const *) a)->name,
				  (*(JobqQueue *const *) b)->name);
}

/* Puts the queues into the orders that they are looked up by. */
static void
sort_queues(QueueCache *new_cache)
{
	int			n = list_length(new_cache->queues);
	ListCell   *lc;

	list_sort(new_cache->queues, compare_ids);
	new_cache->by_name = palloc(Max(n, 1) * sizeof(JobqQueue *));
	foreach(lc, new_cache->queues)
		new_cache->by_name[foreach_current_index(lc)] = lfirst(lc);
	qsort(new_cache->by_name, n, sizeof(JobqQueue *), compare_names);
}

static JobqQueue *
find_in(QueueCache *in, int32 id)
{
	int			low = 0;
	int			high = list_length(in->queues);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		JobqQueue  *queue = list_nth(in->queues, middle);

		if (queue->id == id)
			return queue;
		if (queue->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void
load_grants(QueueCache *new_cache, Snapshot snapshot)
{
	Relation	rel = jobq_relation_open(JOBQ_REL_QUEUE_GRANT);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0,
										  NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[Natts_queue_grant];
		bool		nulls[Natts_queue_grant];
		JobqQueue  *queue;
		JobqQueueGrant *grant;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		queue = find_in(new_cache,
						DatumGetInt32(values[Anum_queue_grant_queue - 1]));
		if (queue == NULL)
			continue;
		if (queue->grants == NULL)
			queue->grants = palloc(sizeof(JobqQueueGrant));
		else
			queue->grants = repalloc(queue->grants, (queue->ngrants + 1) *
									 sizeof(JobqQueueGrant));
		grant = &queue->grants[queue->ngrants++];
		grant->role = DatumGetObjectId(values[Anum_queue_grant_role - 1]);
		grant->privileges =
			DatumGetInt32(values[Anum_queue_grant_privileges - 1]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
load_service(QueueCache *new_cache, Snapshot snapshot)
{
	Relation	rel = jobq_relation_open(JOBQ_REL_SERVICE);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0,
										  NULL);
	HeapTuple	tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
	{
		Datum		values[Natts_service];
		bool		nulls[Natts_service];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		new_cache->history_segment =
			DatumGetInt16(values[Anum_service_history_segment - 1]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * A snapshot that sees all that has been committed, and what this transaction
 * has done.  The views come here from parallel plans, too, where nothing has
 * been written, and only catalog snapshots can be had.
 */
static Snapshot
newest_snapshot(void)
{
	if (IsInParallelMode())
		return GetCatalogSnapshot(jobq_relation_oid(JOBQ_REL_QUEUE));
	CommandCounterIncrement();
	return GetLatestSnapshot();
}

/* The cache, loaded anew if it is out of date.  Needs a transaction. */
static QueueCache *
get_cache(void)
{
	JobqDatabase *database = jobq_database();
	uint32		generation = pg_atomic_read_u32(&database->generation);
	MemoryContext context;
	MemoryContext oldcontext;
	QueueCache *new_cache;
	Snapshot	snapshot;

	if (cache != NULL && !cache_is_stale && cache->generation == generation)
		return cache;

	if (cache != NULL)
	{
		/* whoever has looked up a queue in this transaction may use it on */
		MemoryContextSetParent(cache->context, TopTransactionContext);
		cache = NULL;
	}

	pg_read_barrier();
	context = AllocSetContextCreate(CurTransactionContext, "jobq queues",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	new_cache = palloc0(sizeof(QueueCache));
	new_cache->context = context;
	new_cache->generation = generation;
	snapshot = RegisterSnapshot(newest_snapshot());
	PushActiveSnapshot(snapshot);
	load_queues(new_cache, snapshot);
	sort_queues(new_cache);
	load_grants(new_cache, snapshot);
	load_service(new_cache, snapshot);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(oldcontext);

	MemoryContextSetParent(context, TopMemoryContext);
	cache = new_cache;
	cache_is_stale = false;
	return cache;
}

/* The segment of history that finished jobs go to. */
int
jobq_history_segment(void)
{
	return get_cache()->history_segment;
}

/* All queues, as a list of JobqQueue; the list belongs to the cache. */
List *
jobq_queues_all(void)
{
	return get_cache()->queues;
}

/*
 * The cache anew, after a look-up without success: rows that were not written
 * by jobq's functions (a restored dump) have told nobody of themselves.
 */
static QueueCache *
get_cache_anew(void)
{
	jobq_queue_cache_invalidate();
	return get_cache();
}

/* NULL if there is none. */
const JobqQueue *
jobq_queue_by_id(int32 id)
{
	JobqQueue  *queue = find_in(get_cache(), id);

	return queue != NULL ? queue : find_in(get_cache_anew(), id);
}

static const JobqQueue *
find_name_in(QueueCache *in, const char *name)
{
	int			low = 0;
	int			high = list_length(in->queues);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = strcmp(in->by_name[middle]->name, name);

		if (order == 0)
			return in->by_name[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* NULL if there is none. */
const JobqQueue *
jobq_queue_find(const char *name)
{
	const JobqQueue *queue = find_name_in(get_cache(), name);

	return queue != NULL ? queue : find_name_in(get_cache_anew(), name);
}

/* The name most like the given one among those the user may see, or NULL. */
static const char *
closest_name(const char *name)
{
	const char *best = NULL;
	int			best_distance = Max((int) strlen(name) / 2, 1) + 1;
	ListCell   *lc;

	if (strlen(name) > JOBQ_MAX_NAME_LENGTH)
		return NULL;
	foreach(lc, get_cache()->queues)
	{
		JobqQueue  *queue = lfirst(lc);
		int			distance;

		if (queue->is_run || !jobq_queue_allows(queue, GetUserId(), ~0))
			continue;
		distance = varstr_levenshtein_less_equal(name, strlen(name),
												 queue->name,
												 strlen(queue->name),
												 1, 1, 1, best_distance, true);
		if (distance < best_distance)
		{
			best = queue->name;
			best_distance = distance;
		}
	}
	return best;
}

/* Raises 42704 if there is none, with a HINT. */
const JobqQueue *
jobq_queue_by_name(const char *name)
{
	const JobqQueue *queue = jobq_queue_find(name);
	const char *closest;

	if (queue != NULL)
		return queue;
	closest = closest_name(name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("queue \"%s\" does not exist", name),
			 closest != NULL ?
			 errhint("Perhaps you meant the queue \"%s\".", closest) :
			 errhint("Create it with jobq.create_queue(%s).",
					 quote_literal_cstr(name))));
	return NULL;				/* keep compiler quiet */
}

/*
 * Whether a role has one of the privileges (a mask) on a queue: as its owner,
 * as a member of a role that has it, or as one who may do everything.
 */
bool
jobq_queue_allows(const JobqQueue *queue, Oid role, int privilege)
{
	if (role == queue->owner || has_privs_of_role(role, queue->owner))
		return true;
	for (int i = 0; i < queue->ngrants; i++)
	{
		if ((queue->grants[i].privileges & privilege) != 0 &&
			has_privs_of_role(role, queue->grants[i].role))
			return true;
	}
	return jobq_is_administrator(role);
}

/* Raises 42501 unless the current user has the privilege (one bit). */
void
jobq_queue_check_privilege(const JobqQueue *queue, int privilege)
{
	const char *needed;

	if (jobq_queue_allows(queue, GetUserId(), privilege))
		return;
	needed = privilege == JOBQ_PRIV_ENQUEUE ? "enqueue" :
		privilege == JOBQ_PRIV_CONSUME ? "consume" :
		privilege == JOBQ_PRIV_MANAGE ? "manage" : "read";
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 privilege == JOBQ_PRIV_OWNER ?
			 errmsg("must be owner of queue \"%s\"", queue->name) :
			 errmsg("permission denied for queue \"%s\"", queue->name),
			 privilege == JOBQ_PRIV_OWNER ? 0 :
			 errhint("Its owner can grant the privilege with jobq.grant_queue(%s, %s, '%s').",
					 quote_literal_cstr(queue->name),
					 quote_literal_cstr(quote_identifier(GetUserNameFromId(GetUserId(), false))),
					 needed)));
}

/*
 * The same for one who has named a job.  A queue that is not the user's
 * business is not named to him: ids are easily guessed.
 */
void
jobq_queue_check_job_privilege(const JobqQueue *queue, int privilege,
							   int64 job_id)
{
	if (jobq_queue_allows(queue, GetUserId(), ~0))
		jobq_queue_check_privilege(queue, privilege);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for job " INT64_FORMAT, job_id)));
}

/* By name and with a privilege: 42704, 42501. */
const JobqQueue *
jobq_queue_require(const char *name, int privilege)
{
	const JobqQueue *queue = jobq_queue_by_name(name);

	jobq_queue_check_privilege(queue, privilege);
	return queue;
}

/*
 * Raises 55000 if the queue came here with a copy of another database: its
 * jobs must not run here before start() says so.
 */
void
jobq_queue_check_home(const JobqQueue *queue)
{
	if (queue->at_home)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("queue \"%s\" belongs to another database", queue->name),
			 errdetail("This database was copied or restored, and the jobs that came with it may be running in the original."),
			 errhint("SELECT jobq.start() makes the queues of this database its own.")));
}

/*
 * Keeps the queue from being dropped until the end of the transaction.  Other
 * enqueuers are not in the way; drop_queue takes the same lock in
 * AccessExclusive mode.  Raises 42704 if the queue is gone.
 */
void
jobq_queue_lock_shared(const JobqQueue *queue)
{
	int32		id = queue->id;
	const char *name = queue->name;

	LockDatabaseObject(jobq_relation_oid(JOBQ_REL_QUEUE), id, 0,
					   AccessShareLock);
	if (cache == NULL || cache_is_stale ||
		cache->generation != pg_atomic_read_u32(&jobq_database()->generation))
	{
		if (jobq_queue_by_id(id) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("queue \"%s\" does not exist", name)));
	}
}

/* The queue of a role's run() commands in the cache, or NULL. */
static const JobqQueue *
find_run_queue(Oid role)
{
	ListCell   *lc;

	foreach(lc, get_cache()->queues)
	{
		JobqQueue  *queue = lfirst(lc);

		if (queue->is_run && queue->owner == role)
			return queue;
	}
	return NULL;
}

/*
 * The queue of a role's run() commands, made if it is not there.  Waits for
 * another transaction that is just making it.
 */
const JobqQueue *
jobq_queue_run_of(Oid role)
{
	const JobqQueue *queue = find_run_queue(role);
	char	   *name;

	if (queue != NULL)
		return queue;

	name = psprintf("run:%s", GetUserNameFromId(role, false));
	for (;;)
	{
		JobqTable  *table = jobq_table_open(JOBQ_REL_QUEUE);
		Datum		values[Natts_queue] = {0};
		bool		nulls[Natts_queue];
		ItemPointerData conflict;
		int32		id;

		memset(nulls, true, sizeof(nulls));
		memset(nulls, false, Anum_queue_database * sizeof(bool));
		nulls[Anum_queue_handler - 1] = true;
		id = (int32) nextval_internal(jobq_relation_oid(JOBQ_SEQ_QUEUE_ID),
									  false);
		values[Anum_queue_id - 1] = Int32GetDatum(id);
		values[Anum_queue_name - 1] = CStringGetTextDatum(name);
		values[Anum_queue_is_run - 1] = BoolGetDatum(true);
		values[Anum_queue_owner - 1] = ObjectIdGetDatum(role);
		values[Anum_queue_paused - 1] = BoolGetDatum(false);
		values[Anum_queue_created_at - 1] = TimestampTzGetDatum(jobq_now());
		values[Anum_queue_system_identifier - 1] =
			Int64GetDatum(jobq_system_identifier());
		values[Anum_queue_database - 1] = ObjectIdGetDatum(MyDatabaseId);
		if (jobq_table_insert_unique(table,
									 jobq_relation_oid(JOBQ_IDX_QUEUE_NAME),
									 values, nulls, &conflict))
			jobq_at_commit_config_changed();
		else
			jobq_queue_cache_invalidate();
		jobq_table_close(table);

		queue = find_run_queue(role);
		if (queue != NULL)
			return queue;
		/* the name is that of a role renamed since, or taken by nobody now */
		name = psprintf("run:%s:%u", GetUserNameFromId(role, false), role);
	}
}

/*
 * The queues that executors of a role may work now: a new list of JobqQueue.
 * None if the role was dropped: DROP ROLE does not know of its executors, and
 * its jobs are to wait for another owner.
 */
List *
jobq_queues_of_executor(Oid role)
{
	List	   *result = NIL;
	ListCell   *lc;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		return NIL;
	foreach(lc, get_cache()->queues)
	{
		JobqQueue  *queue = lfirst(lc);

		if (jobq_queue_has_executors(queue) && queue->owner == role &&
			queue->at_home && !queue->paused)
			result = lappend(result, queue);
	}
	return result;
}

/*
 * Why a role cannot run the jobs of its queues: no executor could connect as
 * that role.  NULL if it can.
 */
const char *
jobq_queue_owner_problem(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		may_log_in;

	if (!HeapTupleIsValid(tuple))
		return "it does not exist";
	may_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin ||
		JOBQ_BYPASS_LOGIN_CHECK != 0;
	ReleaseSysCache(tuple);
	if (!may_log_in)
		return "it is not permitted to log in";
	if (!jobq_may_connect(MyDatabaseId, role))
		return "it has no CONNECT privilege on the database";
	return NULL;
}
