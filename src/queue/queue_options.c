/*-------------------------------------------------------------------------
 *
 * queue_options.c
 *	  The options of queues: their names, where they are stored and which
 *	  values they accept.
 *
 * An option's name is that of the argument of create_queue and alter_queue and
 * of the column of jobq_store.queue; "How to add" in docs/internals.md has the
 * places of a new one.  queue_check.c checks options that depend on each other.
 *
 * IDENTIFICATION
 *	  src/queue/queue_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_options.h"

#include "base/arguments.h"
#include "jobq.h"
#include "queue/forbid_keys.h"
#include "queue/handler.h"
#include "queue/limit.h"
#include "queue/payload.h"
#include "queue/queue.h"
#include "queue/queue_check.h"
#include "shared/interval.h"

#include <math.h>

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define LEASE_MIN INT64CONST(1000)	/* 1 ms */
#define LEASE_MAX (366 * USECS_PER_DAY)
#define MAX_BACKOFF_STEPS 1000
#define MAX_PATH_SIZE 8192

static void check_batch_size(const char *name, Datum value);
static void check_priority(const char *name, Datum value);
static void check_backoff(const char *name, Datum value);
static void check_factor(const char *name, Datum value);
static void check_jitter(const char *name, Datum value);
static void check_steps(const char *name, Datum value);
static void check_interval(const char *name, Datum value);
static void check_timeout(const char *name, Datum value);
static void check_lease(const char *name, Datum value);
static void check_on_limit(const char *name, Datum value);
static void check_handler(const char *name, Datum value);
static void check_backoff_function(const char *name, Datum value);
static void check_payload_check(const char *name, Datum value);
static void check_payload_path(const char *name, Datum value);
static void check_owner(const char *name, Datum value);
static void check_on_full(const char *name, Datum value);
static void check_group_on_failure(const char *name, Datum value);
static Datum function_to_text(Datum value, const Datum *row);
static Datum on_dead_to_id(Datum value, const Datum *row);
static Datum limit_to_id(Datum value, const Datum *row);

static const JobqQueueOption options[] = {
	{"handler", Anum_queue_handler, true, check_handler, function_to_text},
	{"description", Anum_queue_description, true, NULL, NULL},
	{"owner", Anum_queue_owner, false, check_owner, NULL},
	{"max_attempts", Anum_queue_max_attempts, true, jobq_queue_positive_check,
	NULL},
	{"backoff", Anum_queue_backoff, true, check_backoff, NULL},
	{"backoff_base", Anum_queue_backoff_base, true, check_interval, NULL},
	{"backoff_factor", Anum_queue_backoff_factor, true, check_factor, NULL},
	{"backoff_max", Anum_queue_backoff_max, true, check_interval, NULL},
	{"jitter", Anum_queue_jitter, true, check_jitter, NULL},
	{"backoff_steps", Anum_queue_backoff_steps, true, check_steps, NULL},
	{"backoff_function", Anum_queue_backoff_function, true,
	check_backoff_function, function_to_text},
	{"lease", Anum_queue_lease, true, check_lease, NULL},
	{"timeout", Anum_queue_timeout, true, check_timeout, NULL},
	{"priority", Anum_queue_priority, true, check_priority, NULL},
	{"ttl", Anum_queue_ttl, true, check_timeout, NULL},
	{"payload_check", Anum_queue_payload_check, true, check_payload_check,
	function_to_text},
	{"payload_path", Anum_queue_payload_path, true, check_payload_path, NULL},
	{"forbid_keys", Anum_queue_forbid_keys, true, jobq_forbid_keys_validate,
	NULL},
	{"payload_max_bytes", Anum_queue_payload_max_bytes, true,
	jobq_queue_positive_check, NULL},
	{"keep_completed", Anum_queue_keep_completed, true, check_interval, NULL},
	{"keep_completed_count", Anum_queue_keep_completed_count, true,
	jobq_queue_not_negative_check, NULL},
	{"keep_dead", Anum_queue_keep_dead, true, check_interval, NULL},
	{"keep_dead_count", Anum_queue_keep_dead_count, true,
	jobq_queue_not_negative_check, NULL},
	{"on_dead", Anum_queue_on_dead, true, NULL, on_dead_to_id},
	{"notify", Anum_queue_notify, true, NULL, NULL},
	{"session_bound", Anum_queue_session_bound, true, NULL, NULL},
	{"sync_completion", Anum_queue_sync_completion, true, NULL, NULL},
	{"share_commits", Anum_queue_share_commits, true, NULL, NULL},
	{"max_running", Anum_queue_max_running, true,
	jobq_queue_not_negative_check, NULL},
	{"max_running_per_group", Anum_queue_max_running_per_group, true,
	jobq_queue_positive_check, NULL},
	{"group_on_failure", Anum_queue_group_on_failure, true,
	check_group_on_failure, NULL},
	{"group_rate_limit", Anum_queue_group_rate_limit, true,
	jobq_queue_positive_check, NULL},
	{"group_rate_period", Anum_queue_group_rate_period, true,
	jobq_queue_period_check, NULL},
	{"group_rate_burst", Anum_queue_group_rate_burst, true,
	jobq_queue_positive_check, NULL},
	{"max_queued", Anum_queue_max_queued, true, jobq_queue_positive_check,
	NULL},
	{"on_full", Anum_queue_on_full, true, check_on_full, NULL},
	{"lifo", Anum_queue_lifo, true, NULL, NULL},
	{"batch_size", Anum_queue_batch_size, true, check_batch_size, NULL},
	{"batch_wait", Anum_queue_batch_wait, true, check_interval, NULL},
	{"unique_when_dead", Anum_queue_unique_when_dead, true, NULL, NULL},
	{"rate_limit", Anum_queue_rate_limit, true, jobq_queue_positive_check,
	NULL},
	{"rate_period", Anum_queue_rate_period, true, jobq_queue_period_check,
	NULL},
	{"rate_burst", Anum_queue_rate_burst, true, jobq_queue_positive_check,
	NULL},
	{"on_limit", Anum_queue_on_limit, true, check_on_limit, NULL},
	{"shared_limit", Anum_queue_shared_limit, true, NULL, limit_to_id},
};

/* The option with that name, or NULL. */
const JobqQueueOption *
jobq_queue_option(const char *name)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}

/* The names of the options that can be reset, for a HINT; palloc'd. */
char *
jobq_queue_option_names(void)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].resettable)
			appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
							 options[i].name);
	}
	return text.data;
}

/* Resets all options of a row that have a default. */
void
jobq_queue_reset_options(bool *nulls)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].resettable)
			nulls[options[i].attnum - 1] = true;
	}
}

/* Takes the arguments of errmsg(). */
#define out_of_range(...) \
	ereport(ERROR, \
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), \
			 errmsg(__VA_ARGS__)))

/* See queue_options.h. */
void
jobq_queue_positive_check(const char *name, Datum value)
{
	if (DatumGetInt32(value) < 1)
		out_of_range("option \"%s\" must be at least 1", name);
}

/* See queue_options.h. */
void
jobq_queue_not_negative_check(const char *name, Datum value)
{
	if (DatumGetInt32(value) < 0)
		out_of_range("option \"%s\" must not be negative", name);
}

static void
check_batch_size(const char *name, Datum value)
{
	int			size = DatumGetInt32(value);

	if (size < 1 || size > JOBQ_MAX_BATCH)
		out_of_range("option \"%s\" must be between 1 and %d", name,
					 JOBQ_MAX_BATCH);
}

static void
check_priority(const char *name, Datum value)
{
	int			priority = DatumGetInt32(value);

	if (priority < PG_INT16_MIN || priority > PG_INT16_MAX)
		out_of_range("option \"%s\" must be between %d and %d", name,
					 PG_INT16_MIN, PG_INT16_MAX);
}

/* Reports a word that is none of those that the option may be. */
static void
bad_word(const char *name, const char *word, const char *const *words,
		 int nwords)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < nwords; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", words[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", name, word),
			 errhint("Available values: %s.", names.data)));
}

static void
check_backoff(const char *name, Datum value)
{
	char	   *word = TextDatumGetCString(value);
	JobqBackoffKind kind;

	if (!jobq_backoff_kind_lookup(word, &kind))
		bad_word(name, word, jobq_backoff_kind_names, JOBQ_BACKOFF_KINDS);
}

static void
check_on_limit(const char *name, Datum value)
{
	char	   *word = TextDatumGetCString(value);
	JobqOnLimit on_limit;

	if (!jobq_on_limit_lookup(word, &on_limit))
		bad_word(name, word, jobq_on_limit_names, JOBQ_ON_LIMIT_KINDS);
}

static void
check_on_full(const char *name, Datum value)
{
	char	   *word = TextDatumGetCString(value);

	if (strcmp(word, "error") != 0 && strcmp(word, JOBQ_DROP_OLDEST) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, word),
				 errhint("Available values: error, %s.", JOBQ_DROP_OLDEST)));
}

static void
check_group_on_failure(const char *name, Datum value)
{
	char	   *word = TextDatumGetCString(value);

	if (strcmp(word, "wait") != 0 && strcmp(word, JOBQ_SKIP) != 0 &&
		strcmp(word, JOBQ_STOP) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, word),
				 errhint("Available values: wait, %s, %s.", JOBQ_SKIP,
						 JOBQ_STOP)));
}

static void
check_factor(const char *name, Datum value)
{
	double		factor = DatumGetFloat8(value);

	if (!(factor >= 1.0) || isinf(factor))
		out_of_range("option \"%s\" must be at least 1 and finite", name);
}

static void
check_jitter(const char *name, Datum value)
{
	double		jitter = DatumGetFloat8(value);

	if (!(jitter >= 0.0 && jitter <= 1.0))
		out_of_range("option \"%s\" must be between 0 and 1", name);
}

static void
check_interval(const char *name, Datum value)
{
	if (jobq_interval_microseconds(DatumGetIntervalP(value)) < 0)
		out_of_range("option \"%s\" must not be negative", name);
}

static void
check_timeout(const char *name, Datum value)
{
	if (jobq_interval_microseconds(DatumGetIntervalP(value)) < LEASE_MIN)
		out_of_range("option \"%s\" must be at least 1 ms", name);
}

/* See queue_options.h. */
void
jobq_queue_period_check(const char *name, Datum value)
{
	int64		period = jobq_interval_microseconds(DatumGetIntervalP(value));

	if (period < 1 || period > JOBQ_GCRA_PERIOD_MAX)
		out_of_range("option \"%s\" must be between 1 microsecond and 1000 years",
					 name);
}

static void
check_lease(const char *name, Datum value)
{
	int64		lease = jobq_interval_microseconds(DatumGetIntervalP(value));

	if (lease < LEASE_MIN || lease > LEASE_MAX)
		out_of_range("option \"%s\" must be between 1 ms and 366 days",
					 name);
}

static void
check_steps(const char *name, Datum value)
{
	int			nelements;

	/* every session keeps them in memory */
	Datum	   *elements = jobq_option_elements(name, value, INTERVALOID,
												MAX_BACKOFF_STEPS, &nelements);

	for (int i = 0; i < nelements; i++)
		check_interval(name, elements[i]);
}

static void
check_handler(const char *name, Datum value)
{
	JobqHandler handler;

	jobq_handler_describe(DatumGetObjectId(value), &handler);
}

static void
check_backoff_function(const char *name, Datum value)
{
	jobq_backoff_function_validate(DatumGetObjectId(value));
}

static void
check_payload_check(const char *name, Datum value)
{
	jobq_payload_check_validate(DatumGetObjectId(value));
}

static void
check_payload_path(const char *name, Datum value)
{
	jobq_payload_path_validate(value);
	/* sessions keep it in memory */
	if (toast_raw_datum_size(value) > MAX_PATH_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of option \"%s\" is too long", name),
				 errdetail("It takes %zu bytes; at most %d are allowed.",
						   toast_raw_datum_size(value), MAX_PATH_SIZE)));
}

static Datum
function_to_text(Datum value, const Datum *row)
{
	return CStringGetTextDatum(jobq_function_text(DatumGetObjectId(value)));
}

static void
check_owner(const char *name, Datum value)
{
	jobq_queue_owner_check(DatumGetObjectId(value));
}

/* The id of a queue by name; raises 42704 and 22023. */
static Datum
on_dead_to_id(Datum value, const Datum *row)
{
	char	   *name = TextDatumGetCString(value);
	const JobqQueue *target;

	if (strcmp(name, TextDatumGetCString(row[Anum_queue_name - 1])) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"on_dead\" must not name the queue itself")));
	target = jobq_queue_by_name(name);
	if (target->is_run)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"on_dead\" must not name a queue of jobq.run()")));
	return Int32GetDatum(target->id);
}

/* The id of a limit by name; raises 42704. */
static Datum
limit_to_id(Datum value, const Datum *row)
{
	JobqLimit	limit;

	jobq_limit_require(TextDatumGetCString(value), &limit);
	return Int32GetDatum(limit.id);
}
