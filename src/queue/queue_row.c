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
#include "base/visit.h"
#include "queue/forbid_keys.h"
#include "queue/limit_row.h"
#include "shared/database.h"
#include "shared/interval.h"
#include "shared/limit_state.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
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
	[Anum_queue_max_running] = {OPTION_INTEGER, FIELD(max_running), -1},
	[Anum_queue_max_running_per_group] = {OPTION_INTEGER, FIELD(max_running_per_group), -1},
	[Anum_queue_group_rate_limit] = {OPTION_INTEGER, FIELD(group_rate_limit), 0},
	[Anum_queue_group_rate_period] = {OPTION_INTERVAL, FIELD(group_rate_period), USECS_PER_SEC},
	[Anum_queue_group_rate_burst] = {OPTION_INTEGER, FIELD(group_rate_burst), 0},
	[Anum_queue_max_queued] = {OPTION_INTEGER, FIELD(max_queued), 0},
	[Anum_queue_lifo] = {OPTION_BOOLEAN, FIELD(lifo), false},
	[Anum_queue_batch_size] = {OPTION_INTEGER, FIELD(batch_size), 1},
	[Anum_queue_batch_wait] = {OPTION_INTERVAL, FIELD(batch_wait), 0},
	[Anum_queue_unique_when_dead] = {OPTION_BOOLEAN, FIELD(unique_when_dead), false},
	[Anum_queue_rate_limit] = {OPTION_INTEGER, FIELD(rate_limit), 0},
	[Anum_queue_rate_period] = {OPTION_INTERVAL, FIELD(rate_period), USECS_PER_SEC},
	[Anum_queue_rate_burst] = {OPTION_INTEGER, FIELD(rate_burst), 0},
	[Anum_queue_shared_limit] = {OPTION_INTEGER, FIELD(shared_limit), JOBQ_NO_LIMIT},
};

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

/* A rate, with burst 0 for the default. */
static JobqGcraResult
make_rate(JobqGcra *rate, int limit, int64 period, int burst)
{
	if (burst == 0)
		burst = jobq_gcra_default_burst(limit, period);
	return jobq_gcra_make(rate, limit, period, burst);
}

/* See queue_row.h; JOBQ_GCRA_BAD_LIMIT: the row has none. */
JobqGcraResult
jobq_queue_rate_of_row(const Datum *values, const bool *nulls, JobqGcra *rate)
{
	return make_rate(rate, int_option(values, nulls, Anum_queue_rate_limit),
					 interval_option(values, nulls, Anum_queue_rate_period),
					 int_option(values, nulls, Anum_queue_rate_burst));
}

/* See queue_row.h; as above. */
JobqGcraResult
jobq_queue_group_rate_of_row(const Datum *values, const bool *nulls,
							 JobqGcra *rate)
{
	return make_rate(rate,
					 int_option(values, nulls, Anum_queue_group_rate_limit),
					 interval_option(values, nulls,
									 Anum_queue_group_rate_period),
					 int_option(values, nulls, Anum_queue_group_rate_burst));
}

const char *const jobq_on_limit_names[] = {"wait", "skip", "error"};

bool
jobq_on_limit_lookup(const char *word, JobqOnLimit *on_limit)
{
	for (int i = 0; i < JOBQ_ON_LIMIT_KINDS; i++)
	{
		if (strcmp(word, jobq_on_limit_names[i]) != 0)
			continue;
		*on_limit = (JobqOnLimit) i;
		return true;
	}
	return false;
}

/* What the option group_on_failure says. */
static JobqGroupFailure
read_group_on_failure(const Datum *values, const bool *nulls)
{
	char	   *word = text_option(values, nulls, Anum_queue_group_on_failure);

	if (word != NULL && strcmp(word, JOBQ_SKIP) == 0)
		return JOBQ_FAILED_SKIP;
	if (word != NULL && strcmp(word, JOBQ_STOP) == 0)
		return JOBQ_FAILED_STOP;
	return JOBQ_FAILED_WAIT;
}

/* The option on_limit, 'wait' by default. */
static JobqOnLimit
read_on_limit(const Datum *values, const bool *nulls)
{
	char	   *word = text_option(values, nulls, Anum_queue_on_limit);
	JobqOnLimit on_limit = JOBQ_LIMIT_WAIT;

	if (word != NULL)
		(void) jobq_on_limit_lookup(word, &on_limit);
	return on_limit;
}

/* The rates of starts, or of new jobs.  Jobs that jobq makes are not refused. */
static void
read_rates(JobqQueue *queue, const Datum *values, const bool *nulls)
{
	bool		has_group_rate =
	jobq_queue_group_rate_of_row(values, nulls,
								 &queue->group_rate) == JOBQ_GCRA_OK;

	queue->on_limit = read_on_limit(values, nulls);
	queue->has_group_rate = has_group_rate && queue->on_limit == JOBQ_LIMIT_WAIT;
	queue->admits_by_group_rate = has_group_rate && !queue->has_group_rate;
	if (queue->admits_by_group_rate)
		jobq_gcra_allow_force(&queue->group_rate, queue->group_rate_period);
	if (jobq_queue_rate_of_row(values, nulls, &queue->rate) != JOBQ_GCRA_OK)
		return;
	queue->has_rate = queue->on_limit == JOBQ_LIMIT_WAIT;
	queue->admits_by_rate = !queue->has_rate;
	if (queue->admits_by_rate)
		jobq_gcra_allow_force(&queue->rate, queue->rate_period);
}

/* Whether a queue belongs to this database and did not come with a copy. */
static bool
is_at_home(const Datum *values)
{
	return jobq_home_is(values[Anum_queue_system_identifier - 1],
						values[Anum_queue_database - 1]);
}

/* The limit that a queue shares; one without a row lets nothing start. */
static JobqLimit
read_limit(int32 id)
{
	JobqLimit	limit = {
		.max_running = JOBQ_UNLIMITED,.max_running_per_group = JOBQ_UNLIMITED
	};

	if (id != JOBQ_NO_LIMIT && !jobq_limit_read(id, &limit))
		limit.max_running = 0;
	return limit;
}

/* Fills in what the limit says that a queue shares, once its row is read. */
static void
add_limit(JobqQueue *queue)
{
	JobqLimit	limit = read_limit(queue->shared_limit);

	queue->limit_max_running = limit.max_running;
	queue->limit_max_running_per_group = limit.max_running_per_group;
	queue->limit_has_rate = limit.has_rate;
	queue->limit_rate = limit.rate;
	queue->limit_owner = limit.owner;
}

/* The same for a brief. */
static void
add_limit_to_brief(JobqQueueBrief *brief)
{
	JobqLimit	limit = read_limit(brief->shared_limit);

	brief->limit_max_running = limit.max_running;
	brief->limit_max_running_per_group = limit.max_running_per_group;
	brief->limit_has_rate = limit.has_rate;
	brief->limit_rate = limit.rate;
	brief->limit_owner = limit.owner;
	brief->limit = brief->shared_limit == JOBQ_NO_LIMIT ? NULL :
		jobq_limit_state(brief->shared_limit, brief->limit_owner);
}

/* Fills in a JobqQueue from its row, except grants, limit and state. */
static void
read_queue(JobqQueue *queue, const Datum *values, const bool *nulls)
{
	char	   *word;

	memset(queue, 0, sizeof(JobqQueue));
	queue->id = DatumGetInt32(values[Anum_queue_id - 1]);
	queue->name = text_option(values, nulls, Anum_queue_name);
	queue->is_run = DatumGetBool(values[Anum_queue_is_run - 1]);
	queue->at_home = is_at_home(values);
	queue->paused = DatumGetBool(values[Anum_queue_paused - 1]);
	queue->draining = DatumGetBool(values[Anum_queue_draining - 1]);
	queue->has_group_options =
		DatumGetBool(values[Anum_queue_has_group_options - 1]);
	queue->owner = DatumGetObjectId(values[Anum_queue_owner - 1]);
	for (int attnum = 1; attnum <= Natts_queue; attnum++)
		read_option(queue, values, nulls, attnum);
	read_backoff(queue, values, nulls);
	word = text_option(values, nulls, Anum_queue_on_full);
	queue->on_full = JOBQ_FULL_ERROR;
	if (word != NULL && strcmp(word, JOBQ_DROP_OLDEST) == 0)
		queue->on_full = JOBQ_FULL_DROP_OLDEST;
	queue->group_on_failure = read_group_on_failure(values, nulls);
	read_rates(queue, values, nulls);
	if (!nulls[Anum_queue_payload_path - 1])
		queue->payload_path =
			PointerGetDatum(PG_DETOAST_DATUM_COPY(values[Anum_queue_payload_path - 1]));
	if (!nulls[Anum_queue_forbid_keys - 1])
		queue->forbid_keys =
			jobq_forbid_keys_read(values[Anum_queue_forbid_keys - 1]);
}

static const JobqLookup queue_by_id = {
	JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE, Anum_queue_id, F_INT4EQ
};

static const JobqLookup grants_of_queue = {
	JOBQ_REL_QUEUE_GRANT, JOBQ_IDX_QUEUE_GRANT, Anum_queue_grant_queue,
	F_INT4EQ
};

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
	jobq_visit_rows(&grants_of_queue, Int32GetDatum(target->queue->id),
					visit_grant, target);
}

/* Reads a queue for jobq_queue_read(), as the tables are when it begins. */
static void
read_once(int32 id, Target *target)
{
	JobqQueue  *queue = target->queue;

	queue->id = JOBQ_NO_QUEUE;
	jobq_visit_rows(&queue_by_id, Int32GetDatum(id), visit_queue, target);
	if (queue->id != JOBQ_NO_QUEUE)
	{
		read_grants(target);
		add_limit(queue);
	}
}

/*
 * Reads a queue with its grants but without its state, allocating in the
 * memory context.  Returns false if there is none.  Locks all tables first: while
 * one of them is waited for, the queue could get another owner.  An index may have to
 * be waited for, too: then the queue is read again if it has changed.
 */
bool
jobq_queue_read(int32 id, JobqQueue *queue, MemoryContext context)
{
	Target		target = {queue, context};
	Relation	grants = jobq_relation_open(JOBQ_REL_QUEUE_GRANT);
	Relation	limits = jobq_relation_open(JOBQ_REL_LIMIT_DEF);
	uint64		position;

	do
	{
		CHECK_FOR_INTERRUPTS();
		position = pg_atomic_read_u64(&jobq_database()->nchanges);
		read_once(id, &target);
	} while (jobq_queue_changed_since(id, position));
	table_close(limits, AccessShareLock);
	table_close(grants, AccessShareLock);
	return queue->id != JOBQ_NO_QUEUE;
}

/* See queue_row.h. */
void
jobq_queue_find_states(JobqQueue *queue)
{
	queue->state = jobq_queue_state(queue->id, queue->owner);
	queue->limit = queue->shared_limit == JOBQ_NO_LIMIT ? NULL :
		jobq_limit_state(queue->shared_limit, queue->limit_owner);
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
	add_limit(queue);
	queue->state = jobq_queue_state_find(queue->id);
	if (queue->shared_limit != JOBQ_NO_LIMIT)
		queue->limit = jobq_limit_state_find(queue->shared_limit);
	return queue;
}

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
	brief->has_group_options =
		DatumGetBool(values[Anum_queue_has_group_options - 1]);
	brief->notify = bool_option(values, nulls, Anum_queue_notify);
	brief->keep_completed = interval_option(values, nulls,
											Anum_queue_keep_completed);
	brief->keep_completed_count =
		int_option(values, nulls, Anum_queue_keep_completed_count);
	brief->keep_dead_count = int_option(values, nulls,
										Anum_queue_keep_dead_count);
	brief->max_running = int_option(values, nulls, Anum_queue_max_running);
	brief->max_running_per_group =
		int_option(values, nulls, Anum_queue_max_running_per_group);
	brief->group_on_failure = read_group_on_failure(values, nulls);
	brief->on_limit = read_on_limit(values, nulls);
	brief->has_group_rate = brief->on_limit == JOBQ_LIMIT_WAIT &&
		jobq_queue_group_rate_of_row(values, nulls,
									 &brief->group_rate) == JOBQ_GCRA_OK;
	brief->on_dead = int_option(values, nulls, Anum_queue_on_dead);
	brief->batch_size = int_option(values, nulls, Anum_queue_batch_size);
	brief->batch_wait = interval_option(values, nulls, Anum_queue_batch_wait);
	brief->has_rate = brief->on_limit == JOBQ_LIMIT_WAIT &&
		jobq_queue_rate_of_row(values, nulls, &brief->rate) == JOBQ_GCRA_OK;
	brief->shared_limit = int_option(values, nulls, Anum_queue_shared_limit);
	brief->state = jobq_queue_state(brief->id, brief->owner);
	add_limit_to_brief(brief);
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

	jobq_visit_all_rows(JOBQ_REL_QUEUE, visit_all_briefs, &briefs);
	return briefs;
}

/* Reads one of them; returns false if it does not exist. */
bool
jobq_queue_read_brief(int32 id, JobqQueueBrief *brief)
{
	brief->id = JOBQ_NO_QUEUE;
	jobq_visit_rows(&queue_by_id, Int32GetDatum(id), visit_brief, brief);
	return brief->id != JOBQ_NO_QUEUE;
}
