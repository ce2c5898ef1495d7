/*-------------------------------------------------------------------------
 *
 * admission.c
 *	  Whether a queue takes new jobs.
 *
 * The limit max_queued is judged by the counter of committed jobs in shared
 * memory (unfinished.h) and by what this transaction has added.  If the counter
 * is not known, the jobs are counted in the table, but not far beyond the limit.
 * The margin keeps a queue with many more jobs from being counted again for each
 * job that ends.
 *
 * IDENTIFICATION
 *	  src/job/admission.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/admission.h"

#include "base/extension.h"
#include "jobq.h"
#include "queue/enqueue_rate.h"
#include "shared/unfinished.h"

#include "access/genam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* How far beyond the limit jobs are counted. */
#define COUNT_MARGIN(limit) ((limit) / 2 + 1000)

static int64 (*make_room) (JobqTable *jobs, const JobqQueue *queue,
						   int64 wanted, int64 spared) = NULL;

/* The number of the queue's entries in an index, `most` if more. */
static int64
count_in_index(JobqTable *jobs, const JobqQueue *queue, JobqRelation relation,
			   Snapshot snapshot, int64 most)
{
	Relation	index = index_open(jobq_relation_oid(relation),
								   AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	int64		n = 0;

	ScanKeyInit(&key, Anum_job_queue, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue->id));
	scan = systable_beginscan_ordered(jobs->rel, index, snapshot, 1, &key);

	while (n < most && HeapTupleIsValid(systable_getnext_ordered(scan,
																 ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		n++;
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return n;
}

/* The number of the queue's jobs that a snapshot shows, `most` if more. */
static int64
count_jobs(JobqTable *jobs, const JobqQueue *queue, Snapshot snapshot,
		   int64 most)
{
	int64		n = count_in_index(jobs, queue, JOBQ_IDX_JOB_DISPATCH,
								   snapshot, most);

	return n + count_in_index(jobs, queue, JOBQ_IDX_JOB_GROUP, snapshot,
							  most - n);
}

/*
 * Counts the jobs, those of this transaction included, and sets the counter if
 * there is one.
 */
static int64
recount(JobqTable *jobs, const JobqQueue *queue)
{
	int64		most = (int64) queue->max_queued +
	COUNT_MARGIN(queue->max_queued);
	JobqRecount of_queue;
	int64		n;

	/* rows of this very command count */
	CommandCounterIncrement();
	if (queue->state == NULL)
	{
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

		n = count_jobs(jobs, queue, snapshot, queue->max_queued + INT64CONST(1));
		UnregisterSnapshot(snapshot);
		return n;
	}
	jobq_recount_begin(&of_queue, queue->state, jobq_table_storage(jobs));
	n = count_jobs(jobs, queue, of_queue.snapshot, most);
	jobq_recount_end(&of_queue, n - jobq_count_own(queue->id),
					 n < most ? JOBQ_COUNT_ALL : JOBQ_COUNT_AT_LEAST);
	return n;
}

/* By how many jobs the queue would exceed its limit with njobs more. */
static int64
excess(JobqTable *jobs, const JobqQueue *queue, int njobs)
{
	int64		count;
	JobqCountKind kind = JOBQ_COUNT_UNKNOWN;

	if (queue->state != NULL)
	{
		jobq_count_watch(queue->state);
		kind = jobq_count_read(queue->state, jobq_table_storage(jobs), &count);
		count += jobq_count_own(queue->id);
	}
	if (kind == JOBQ_COUNT_UNKNOWN ||
		(kind == JOBQ_COUNT_AT_LEAST && count + njobs <= queue->max_queued))
		count = recount(jobs, queue);
	return count + njobs - queue->max_queued;
}

/* See admission.h. */
void
jobq_admission_follow(int64 (*make) (JobqTable *jobs, const JobqQueue *queue,
									 int64 wanted, int64 spared))
{
	make_room = make;
}

/* Raises JQ002. */
static void
refuse_if_draining(const JobqQueue *queue)
{
	if (queue->draining)
		ereport(ERROR,
				(errcode(ERRCODE_JOBQ_QUEUE_FULL),
				 errmsg("queue \"%s\" is draining", queue->name),
				 errdetail("It accepts no new jobs, and finishes those that it has."),
				 errhint("It accepts jobs again after jobq.resume().")));
}

/* See admission.h. */
void
jobq_admission_check(JobqTable *jobs, const JobqQueue *queue, int njobs,
					 int64 spared)
{
	int64		over;

	refuse_if_draining(queue);
	if (queue->max_queued == 0)
	{
		if (queue->state != NULL)
			jobq_count_unwatch(queue->state);
		return;
	}
	over = excess(jobs, queue, njobs);
	if (over > 0 && queue->on_full == JOBQ_FULL_DROP_OLDEST &&
		njobs <= queue->max_queued)
		over -= make_room(jobs, queue, over, spared);
	if (over > 0)
		ereport(ERROR,
				(errcode(ERRCODE_JOBQ_QUEUE_FULL),
				 errmsg("queue \"%s\" is full", queue->name),
				 errdetail("Its option max_queued allows %d unfinished jobs.",
						   queue->max_queued),
				 errhint("Try again when jobs have been finished, or have the queue's owner raise the limit.")));
}

/* Raises JQ003: the rate of a group, or (NULL) of the queue. */
static void
report_rate(const JobqQueue *queue, const char *group, int limit,
			int64 microseconds)
{
	Interval	period = {.time = microseconds};
	char	   *text = DatumGetCString(DirectFunctionCall1(interval_out,
														   IntervalPGetDatum(&period)));

	ereport(ERROR,
			(errcode(ERRCODE_JOBQ_RATE_LIMIT),
			 group != NULL ?
			 errmsg("rate limit of group \"%s\" of queue \"%s\" is exceeded",
					group, queue->name) :
			 errmsg("rate limit of queue \"%s\" is exceeded", queue->name),
			 errdetail_plural("It accepts at most %d new job in %s.",
							  "It accepts at most %d new jobs in %s.",
							  limit, limit, text),
			 errhint("Try again later.")));
}

/* See admission.h. */
int
jobq_admission_by_rate(const JobqQueue *queue, int njobs, bool force)
{
	int			admitted;

	if (!queue->admits_by_rate)
		return njobs;
	if (!force)
		refuse_if_draining(queue);
	admitted = jobq_enqueue_rate_admit(queue, njobs, force);
	if (admitted < njobs && queue->on_limit == JOBQ_LIMIT_ERROR)
		report_rate(queue, NULL, queue->rate_limit, queue->rate_period);
	return admitted;
}

/* See admission.h. */
bool
jobq_admission_by_rates(const JobqQueue *queue, const char *group, bool force,
						JobqGroupAdmissions *admissions)
{
	JobqNewJobRate rate;

	if (group == NULL || !jobq_queue_may_admit_in_groups(queue))
		return jobq_admission_by_rate(queue, 1, force) > 0;
	if (!force)
		refuse_if_draining(queue);
	if (!jobq_enqueue_group_rate_admit(queue, group, force, admissions, &rate))
	{
		if (queue->on_limit == JOBQ_LIMIT_ERROR)
			report_rate(queue, group, rate.limit, rate.period);
		return false;
	}
	if (jobq_admission_by_rate(queue, 1, force) > 0)
		return true;
	jobq_enqueue_group_rate_undo_last(admissions);
	return false;
}
