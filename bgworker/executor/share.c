/*-------------------------------------------------------------------------
 *
 * share.c
 *	  Which jobs may share a transaction, and so its commit.
 *
 * A finished job waits for the commit, and jobs that share the transaction are
 * not interrupted for that: their effects outside the database would happen
 * twice.  So only jobs of queues known to have short jobs share.  Each queue
 * counts the short jobs that must be seen before (JobqQueueState.unshared).  A
 * job that is not short sets this number in proportion to the time it took: a
 * job that takes T may make JOBQ_SHARE_MAX_JOBS others wait for T, but rarely
 * enough that the average delay per job is small.
 *
 * A job must have another attempt left.  So sharing never makes it fail for good, for
 * instance by a deadlock over locks of earlier jobs or a failed commit, and a job that
 * must be tried only once is run only once.
 *
 * The owner of a queue decides whether its jobs need transactions of their own
 * (share_commits).  Jobs that open another session to the database do: that
 * session may wait for a lock of an earlier job, a deadlock that nobody would
 * detect.
 *
 * A batch has a transaction of its own: it shares its commit among its jobs.
 *
 * Since now() is the start of the transaction, the job must have been enqueued
 * and ready by then.
 *
 * IDENTIFICATION
 *	  bgworker/executor/share.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/share.h"

#include "guc.h"
#include "queue/start.h"

#include <sys/resource.h>

#include "access/xact.h"
#include "storage/proc.h"

/* A job is short if it takes this part of jobq.shared_commit_time. */
#define SHORT_PART 5

/* Number of short jobs that must follow a job that is just not short. */
#define ALONE_AFTER_LONG 500
#define MAX_ALONE 10000000

/* A process's first jobs fill its caches and are not counted as long. */
#define COLD_JOBS 10
#define COLD_FACTOR 50

/*
 * The process's use of resources is asked for at the first job of a transaction, and
 * again after this part of a short job's time: for each job it would cost a tenth of
 * what the shortest ones take.  What was used since counts as the job's.
 */
#define USAGE_PART 4

static struct rusage usage;
static TimestampTz usage_at;	/* when that was asked for */
static bool usage_is_old = true;
static int	cold_jobs = COLD_JOBS;

static int64
commit_time(void)
{
	return jobq_shared_commit_time * INT64CONST(1000);
}

void
jobq_share_begin(JobqSharing *sharing, TimestampTz begun_at)
{
	usage_is_old = true;
	sharing->begun_at = begun_at;
	sharing->possible = jobq_shared_commit_time > 0 &&
		XactIsoLevel == XACT_READ_COMMITTED;
}

bool
jobq_share_is_open(const JobqSharing *sharing, int njobs, TimestampTz now)
{
	return sharing->possible && njobs < JOBQ_SHARE_MAX_JOBS &&
		now - sharing->begun_at < commit_time() &&
		now >= sharing->begun_at &&
		!MyProc->subxidStatus.overflowed &&
		MyProc->subxidStatus.count < JOBQ_SHARE_MAX_JOBS;
}

/* A backoff_function is also the owner's code, but not isolated like a job. */
bool
jobq_share_allows_queue(const JobqQueue *queue)
{
	return jobq_shared_commit_time > 0 && queue->share_commits &&
		!jobq_queue_has_batches(queue) &&
		!jobq_start_is_kept(queue) &&
		queue->state != NULL && queue->backoff_function == NULL &&
		pg_atomic_read_u32(&queue->state->unshared) == 0;
}

bool
jobq_share_allows_job(const JobqSharing *sharing, const JobqJob *job,
					  const JobqQueue *queue)
{
	return jobq_share_allows_queue(queue) &&
		jobq_run_at_real(job->run_at) <= sharing->begun_at &&
		job->enqueued_at <= sharing->begun_at &&
		jobq_job_current_attempt(job) < jobq_job_max_attempts(job, queue);
}

static int64
microseconds(const struct timeval *time)
{
	return time->tv_sec * USECS_PER_SEC + time->tv_usec;
}

/*
 * Time that a seemingly long job took, excluding time in which the process was
 * runnable but not running.
 */
static int64
time_taken(int64 elapsed)
{
	struct rusage now;

	if (getrusage(RUSAGE_SELF, &now) != 0 || now.ru_nvcsw != usage.ru_nvcsw)
		return elapsed;
	return Min(microseconds(&now.ru_utime) + microseconds(&now.ru_stime) -
			   microseconds(&usage.ru_utime) -
			   microseconds(&usage.ru_stime), elapsed);
}

static void
set_unshared(JobqQueueState *state, uint32 njobs)
{
	uint32		known = pg_atomic_read_u32(&state->unshared);

	while (known < njobs &&
		   !pg_atomic_compare_exchange_u32(&state->unshared, &known, njobs))
		;
}

void
jobq_share_note_start(const JobqSharing *sharing)
{
	if (sharing->possible && usage_is_old)
		(void) getrusage(RUSAGE_SELF, &usage);
}

void
jobq_share_note_end(const JobqSharing *sharing, JobqQueueState *state,
					TimestampTz start, TimestampTz end)
{
	int64		limit = commit_time() / SHORT_PART;
	int64		taken = end - start;

	if (state == NULL || limit <= 0 || !sharing->possible)
		return;
	if (usage_is_old)
		usage_at = start;
	usage_is_old = end < usage_at || end - usage_at > limit / USAGE_PART;
	if (cold_jobs > 0)
	{
		cold_jobs--;
		limit *= COLD_FACTOR;
	}
	if (taken > limit)
		taken = time_taken(taken);
	if (taken > limit)
		set_unshared(state, Min(taken * ALONE_AFTER_LONG / limit, MAX_ALONE));
	else
	{
		uint32		known = pg_atomic_read_u32(&state->unshared);

		/* a concurrent change by others is good enough */
		if (known > 0)
			(void) pg_atomic_compare_exchange_u32(&state->unshared, &known,
												  known - 1);
	}
}

void
jobq_share_forbid(JobqQueueState *state)
{
	if (state != NULL)
		set_unshared(state, ALONE_AFTER_LONG);
}
