/*-------------------------------------------------------------------------
 *
 * share.c
 *	  Which jobs may share a transaction, and so its commit.
 *
 * A job that is through waits for the commit, and the jobs that share it are
 * not interrupted for that: their effects outside the database would happen
 * twice.  So only jobs of queues that are known for short ones share.  Each
 * queue has a number of short jobs that are to be seen before that
 * (JobqQueueState.unshared).  A job that is not short sets it, in proportion
 * to the time it took: a job that takes T may make JOBQ_SHARE_MAX_JOBS others
 * wait for T, once in so many jobs that this is little for each of them.
 *
 * A job must have another attempt left: whatever sharing may do to it, such as
 * a deadlock over locks that jobs before it have left, or to be run once more
 * when the commit fails, never is the end of it, and what must be tried once
 * only is.
 *
 * The owner of a queue knows whether its jobs need transactions of their own
 * (share_commits), such as those that come to the database by another session,
 * too: there they may wait for a lock that a job before them has left, and
 * nobody would notice that deadlock.
 *
 * now() is the start of the transaction, so that the job must have been
 * enqueued and ready by then.
 *
 * IDENTIFICATION
 *	  bgworker/executor/share.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/share.h"

#include "guc.h"

#include <sys/resource.h>

#include "access/xact.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

/* A job is short if it takes this part of jobq.shared_commit_time. */
#define SHORT_PART 5

/* So many short jobs must follow one that is just not short. */
#define ALONE_AFTER_LONG 500
#define MAX_ALONE 10000000

/* A process's first jobs fill its caches; they are not held against anyone. */
#define COLD_JOBS 10
#define COLD_FACTOR 50

/* What the process had used when the job at hand was started. */
static struct rusage usage_at_start;
static int	cold_jobs = COLD_JOBS;

static int64
commit_time(void)
{
	return jobq_shared_commit_time * INT64CONST(1000);
}

void
jobq_share_begin(JobqSharing *sharing, TimestampTz begun_at)
{
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

/*
 * A backoff_function is the owner's code, too, but not isolated as a job is.
 */
bool
jobq_share_allows_queue(const JobqQueue *queue)
{
	return jobq_shared_commit_time > 0 && queue->share_commits &&
		queue->state != NULL && queue->backoff_function == NULL &&
		pg_atomic_read_u32(&queue->state->unshared) == 0;
}

bool
jobq_share_allows_job(const JobqSharing *sharing, const JobqJob *job,
					  const JobqQueue *queue)
{
	return jobq_share_allows_queue(queue) &&
		job->run_at <= sharing->begun_at &&
		job->enqueued_at <= sharing->begun_at &&
		jobq_job_current_attempt(job) < jobq_job_max_attempts(job, queue);
}

static int64
microseconds(const struct timeval *time)
{
	return time->tv_sec * USECS_PER_SEC + time->tv_usec;
}

/*
 * What a job took that seems to have been long: not counting the time in which
 * the processor was taken from a process that was not waiting for anything.
 */
static int64
time_taken(int64 elapsed)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0 ||
		usage.ru_nvcsw != usage_at_start.ru_nvcsw)
		return elapsed;
	return Min(microseconds(&usage.ru_utime) + microseconds(&usage.ru_stime) -
			   microseconds(&usage_at_start.ru_utime) -
			   microseconds(&usage_at_start.ru_stime), elapsed);
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
	if (sharing->possible)
		(void) getrusage(RUSAGE_SELF, &usage_at_start);
}

void
jobq_share_note_end(const JobqSharing *sharing, JobqQueueState *state,
					TimestampTz start, TimestampTz end)
{
	int64		limit = commit_time() / SHORT_PART;
	int64		taken = end - start;

	if (state == NULL || limit <= 0 || !sharing->possible)
		return;
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

		/* if somebody else changes it, that will do */
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
