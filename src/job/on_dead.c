/*-------------------------------------------------------------------------
 *
 * on_dead.c
 *	  Reporting a dead job to its queue's on_dead queue.
 *
 * The report is an ordinary job, enqueued in the transaction that makes the
 * job dead.  Dead reports are not reported again, so that two queues that name
 * each other do not cause an endless loop.
 *
 * IDENTIFICATION
 *	  src/job/on_dead.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/on_dead.h"

#include "base/extension.h"
#include "base/json_object.h"
#include "job/ended.h"
#include "job/enqueue.h"
#include "job/failure.h"
#include "job/history.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"

#include "access/detoast.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

/*
 * A report contains the dead job's payload up to this size in memory: the
 * coordinator makes reports, and large ones must not hold it up; and a
 * payload of nearly the maximum size of jsonb does not fit into an object.
 */
#define MAX_REPORTED_PAYLOAD (256 * 1024)

static bool
is_report(const JobqJob *job)
{
	JsonbValue	value;

	return jobq_job_header(job, JOBQ_REPORT_HEADER, &value);
}

/* The queue to which a queue's dead jobs are reported, or NULL. */
static const JobqQueue *
find_target(const JobqQueue *queue)
{
	const JobqQueue *target;

	if (queue->on_dead == 0)
		return NULL;
	target = jobq_queue_by_id(queue->on_dead);
	if (target == NULL || target->is_run || target->id == queue->id ||
		!jobq_queue_allows(target, queue->owner, JOBQ_PRIV_ENQUEUE))
		return NULL;
	return target;
}

/*
 * Whether a job of the queue can become dead without waiting for a transaction
 * that drops the on_dead queue.  If so, this stays true until the end of the
 * transaction.
 */
static bool
is_free(const JobqQueue *queue)
{
	const JobqQueue *target = find_target(queue);

	return target == NULL ||
		ConditionalLockDatabaseObject(jobq_relation_oid(JOBQ_REL_QUEUE),
									  target->id, 0, AccessShareLock);
}

/* Adds the job's payload, or null and its length, if it has one. */
static void
add_payload(JobqJsonObject *object, const JobqJob *job)
{
	Datum		payload = job->values[Anum_job_payload - 1];
	Size		length;

	if (job->nulls[Anum_job_payload - 1])
	{
		jobq_json_add_null(object, "payload");
		return;
	}
	length = toast_raw_datum_size(payload);
	if (length <= MAX_REPORTED_PAYLOAD)
	{
		jobq_json_add_jsonb(object, "payload", DatumGetJsonbP(payload));
		return;
	}
	jobq_json_add_null(object, "payload");
	jobq_json_add_int(object, "payload_bytes", (int64) length);
}

/*
 * Enqueues the report as the owner of the dead job's queue, unless the on_dead
 * queue was dropped or that role may no longer enqueue into it.  The
 * payload_check is not called, since a failure would keep the job from
 * becoming dead.
 */
static void
tell(const JobqJob *job, const JobqQueue *queue, const JobqEnd *end)
{
	const JobqQueue *target = find_target(queue);
	JobqEnqueueOptions options;
	JobqJsonObject object;
	JobqTable  *jobs;
	Datum		payload;

	if (target == NULL || is_report(job))
		return;
	target = jobq_queue_try_lock_shared(target);
	if (target == NULL ||
		!jobq_queue_allows(target, queue->owner, JOBQ_PRIV_ENQUEUE))
		return;

	jobq_json_begin(&object);
	jobq_json_add_int(&object, "job_id", job->id);
	jobq_json_add_string(&object, "queue", queue->name);
	add_payload(&object, job);
	jobq_json_add_int(&object, "attempt", job->attempt);
	jobq_json_add_string(&object, "error", end->error == NULL ? NULL :
						 text_to_cstring(jobq_bounded_text(end->error)));
	jobq_json_add_string(&object, "sqlstate", end->sqlstate);
	payload = jobq_json_end(&object);

	jobq_enqueue_defaults(&options, target);
	options.unchecked = true;
	jobq_json_begin(&object);
	jobq_json_add_int(&object, JOBQ_REPORT_HEADER, job->id);
	options.headers = jobq_json_end(&object);
	jobs = jobq_table_open(JOBQ_REL_JOB);
	(void) jobq_enqueue_job(jobs, &options, payload);
	jobq_table_close(jobs);
}

/* Called once, by _PG_init. */
void
jobq_on_dead_init(void)
{
	jobq_ended_follow_deaths(is_free, tell);
}
