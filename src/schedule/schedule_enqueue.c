/*-------------------------------------------------------------------------
 *
 * schedule_enqueue.c
 *	  Adding the jobs of schedules' runs.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_enqueue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/schedule_enqueue.h"

#include "base/extension.h"
#include "base/json_object.h"
#include "job/enqueue.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_lock.h"
#include "shared/interval.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define HEADER_CAUGHT_UP "caught_up"

const JobqQueue *
jobq_schedule_queue(const Datum *values, const bool *nulls, char **problem)
{
	Oid			owner = DatumGetObjectId(values[Anum_schedule_owner - 1]);
	const JobqQueue *queue;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owner)))
	{
		*problem = pstrdup("its owner does not exist");
		return NULL;
	}
	if (!nulls[Anum_schedule_command - 1])
		return jobq_queue_run_of(owner);

	queue = jobq_queue_by_id(DatumGetInt32(values[Anum_schedule_queue - 1]));
	if (queue == NULL)
		*problem = pstrdup("its queue was dropped");
	else if (!jobq_queue_allows(queue, owner, JOBQ_PRIV_ENQUEUE))
	{
		/* the owner is told */
		*problem = psprintf("role \"%s\" has no privilege to enqueue into %s",
							GetUserNameFromId(owner, false),
							jobq_queue_may_name(queue, owner) ?
							psprintf("queue \"%s\"", queue->name) :
							"its queue");
		queue = NULL;
	}
	return queue;
}

/*
 * The jitter of a run: 0 to max microseconds, always the same for a schedule
 * and nominal time, different for others.  (The mixing function is
 * splitmix64's.)
 */
static int64
jitter_of_run(int64 schedule, TimestampTz slot, int64 max)
{
	uint64		hash;

	if (max <= 0)
		return 0;
	hash = (uint64) schedule * UINT64CONST(0x9E3779B97F4A7C15) + (uint64) slot;
	hash = (hash ^ (hash >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	hash = (hash ^ (hash >> 27)) * UINT64CONST(0x94D049BB133111EB);
	hash ^= hash >> 31;
	return (int64) (hash % ((uint64) max + 1));
}

/* A time for a header, formatted like to_jsonb(), in UTC. */
static char *
header_time(Datum timestamp)
{
	int			utc = 0;

	return JsonEncodeDateTime(NULL, timestamp, TIMESTAMPTZOID, &utc);
}

/* The headers that tell a job about its run. */
static Datum
headers_of_run(const Datum *values, const bool *nulls, TimestampTz slot,
			   bool caught_up)
{
	JobqJsonObject object;

	jobq_json_begin(&object);
	jobq_json_add_string(&object, "schedule",
						 TextDatumGetCString(values[Anum_schedule_name - 1]));
	jobq_json_add_string(&object, "scheduled_at",
						 header_time(TimestampTzGetDatum(slot)));
	if (nulls[Anum_schedule_last_run - 1])
		jobq_json_add_null(&object, "previous");
	else
		jobq_json_add_string(&object, "previous",
							 header_time(values[Anum_schedule_last_run - 1]));
	jobq_json_add_bool(&object, HEADER_CAUGHT_UP, caught_up);
	return jobq_json_end(&object);
}

/* See schedule_enqueue.h. */
const JobqQueue *
jobq_schedule_lock_queue(const JobqQueue *queue, Oid owner)
{
	const JobqQueue *locked = jobq_queue_lock_shared(queue);

	if (locked != queue &&
		!jobq_queue_allows(locked, owner, JOBQ_PRIV_ENQUEUE))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the schedule's queue"),
				 errdetail("Role \"%s\", the owner of the schedule, must have the privilege to enqueue.",
						   GetUserNameFromId(owner, false))));
	return locked;
}

/* See schedule_enqueue.h. */
int64
jobq_schedule_enqueue(JobqTable *jobs, const JobqQueue *queue,
					  const Datum *values, const bool *nulls,
					  TimestampTz slot, bool caught_up)
{
	Datum		jitter = values[Anum_schedule_jitter - 1];
	TimestampTz run_at = slot;
	JobqEnqueueOptions options;

	if (!nulls[Anum_schedule_jitter - 1])
		run_at += jitter_of_run(DatumGetInt64(values[Anum_schedule_id - 1]),
								slot,
								jobq_interval_microseconds(DatumGetIntervalP(jitter)));
	jobq_enqueue_defaults(&options, queue);
	options.run_at = Max(options.run_at, run_at);
	if (queue->ttl > 0)
		options.expires_at = options.run_at + queue->ttl;
	if (!nulls[Anum_schedule_priority - 1])
		options.priority = DatumGetInt32(values[Anum_schedule_priority - 1]);
	if (!nulls[Anum_schedule_max_attempts - 1])
		options.max_attempts =
			DatumGetInt32(values[Anum_schedule_max_attempts - 1]);
	if (!nulls[Anum_schedule_timeout - 1])
		options.timeout = DatumGetIntervalP(values[Anum_schedule_timeout - 1]);
	if (!nulls[Anum_schedule_tags - 1])
		options.tags = values[Anum_schedule_tags - 1];
	if (!nulls[Anum_schedule_command - 1])
		options.command =
			TextDatumGetCString(values[Anum_schedule_command - 1]);
	options.headers = headers_of_run(values, nulls, slot, caught_up);
	options.unchecked = true;
	return jobq_enqueue_job(jobs, &options, values[Anum_schedule_payload - 1]);
}

/* Whether the headers of a job are those of headers_of_run(). */
static bool
is_caught_up(JobqTable *jobs, HeapTuple job)
{
	bool		isnull;
	Datum		headers = heap_getattr(job, Anum_job_headers,
									   RelationGetDescr(jobs->rel), &isnull);
	JsonbValue	value;

	return !isnull && jobq_json_find(headers, HEADER_CAUGHT_UP, &value) &&
		value.type == jbvBool && value.val.boolean;
}

bool
jobq_schedule_job_is_live(JobqTable *jobs, int64 id, bool *caught_up)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	job;

	ScanKeyInit(&key, Anum_job_id, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
	scan = systable_beginscan(jobs->rel, jobq_relation_oid(JOBQ_IDX_JOB),
							  true, GetActiveSnapshot(), 1, &key);
	job = systable_getnext(scan);
	if (HeapTupleIsValid(job) && caught_up != NULL)
		*caught_up = is_caught_up(jobs, job);
	systable_endscan(scan);
	return HeapTupleIsValid(job);
}
