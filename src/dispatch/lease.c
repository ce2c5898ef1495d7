/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  Ending leases that have run out.
 *
 * The registry (lease_registry.c) lists them.  An entry is only a hint: the
 * job's row is locked and checked before the job is changed.  Leases that the
 * registry does not list are listed in time (lease_pass.c), or, if they are over and
 * there is no room, the coordinator has them itself (lease_unlisted.c).
 *
 * IDENTIFICATION
 *	  src/dispatch/lease.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/lease.h"

#include "base/row_holder.h"
#include "base/subtransaction.h"
#include "dispatch/lease_load.h"
#include "dispatch/lease_unlisted.h"
#include "job/attempt.h"
#include "job/ended.h"
#include "job/failure.h"
#include "job/large_row.h"
#include "job/transition.h"
#include "queue/queue_cache.h"
#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/late.h"
#include "shared/lease_listing.h"
#include "shared/lease_registry.h"
#include "shared/lease_search.h"

#include "access/tableam.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * A dead job is moved to history.  After this many bytes of a role's long jobs,
 * its next one is left to another transaction.  Roles are distinguished by a
 * hash.
 */
#define ROLE_BYTES (1024 * 1024)
#define LONG_BYTES 8192

/* Delay before trying again to end a lease after an error. */
#define FAILED_DELAY (60 * USECS_PER_SEC)

/* One call of jobq_leases_expire() or jobq_leases_expire_of(). */
typedef struct Ending
{
	JobqLeaseSearch search;
	bool		unlisted;		/* those found were not in the registry */
	int			first;			/* of those found: which to end, */
	int			last;			/* up to which, without it */
	int64		bytes[JOBQ_LEASE_ROLE_SHARES];	/* that were moved, by role */
} Ending;

/*
 * Postpones a lease that has run out but cannot be ended now, so that it does
 * not hide others.
 */
static void
put_off(JobqLeaseSearch *search, const JobqJob *job, const JobqLeaseId *expired)
{
	TimestampTz due = job->lease_until == JOBQ_NEVER ?
	job->started_at : job->lease_until;
	const JobqQueue *queue = jobq_queue_by_id(job->queue);
	TimestampTz until = jobq_late_retry(queue != NULL ? queue->owner :
										InvalidOid, due, search->now);

	jobq_lease_put_off(expired->job_id, expired->lease, until);
	search->next = Min(search->next, until);
	if (due > DT_NOBEGIN)
		jobq_late_note_job(due, until, jobq_row_holder(job->slot), job->id,
						   job->queue);
}

/* The entry's job is not held by that lease. */
static void
forget(const JobqLeaseId *expired)
{
	JobqGates	gates = jobq_lease_forget(expired->job_id, expired->lease);

	jobq_queue_wake_leave(&gates);
}

/*
 * Whether a locked job is still held by the lease, and the lease has run out
 * according to the job's row, too.  If not, corrects the registry.
 */
static bool
is_over(Ending *ending, const JobqJob *job, const JobqLeaseId *expired)
{
	JobqLeaseSearch *search = &ending->search;

	/* the jobs of a copied database are left alone until start() */
	if (job->state != JOBQ_STATE_RUNNING || job->lease != expired->lease ||
		!jobq_lease_is_at_home(job))
	{
		forget(expired);
		return false;
	}

	/*
	 * a heartbeat may have found room since: then the entry says when it is
	 * over
	 */
	if (ending->unlisted &&
		jobq_lease_is_registered(expired->job_id, expired->lease))
		return false;
	/* the entry of a session that lives says "never", and is not over */
	if (job->lease_until > search->now && job->lease_until != JOBQ_NEVER)
	{
		/* extended by a heartbeat that has not updated the registry yet */
		(void) jobq_lease_enter(job);
		search->next = Min(search->next, job->lease_until);
		return false;
	}
	return true;
}

/*
 * Whether others have their turn first, since the job is long; if so, notes when
 * to look again, else counts it.  A job that is going to be tried again stays
 * where it is, and so do its values that are stored out of line.
 */
static bool
is_too_long(Ending *ending, const JobqJob *job, const JobqQueue *queue,
			const JobqLeaseId *expired, Size length)
{
	JobqLeaseSearch *search = &ending->search;
	int64	   *bytes =
	&ending->bytes[murmurhash32(queue->owner) % JOBQ_LEASE_ROLE_SHARES];
	TimestampTz until;

	if (length <= LONG_BYTES ||
		jobq_job_current_attempt(job) < jobq_job_max_attempts(job, queue))
		return false;
	if (*bytes > 0 && *bytes + (int64) length > ROLE_BYTES)
	{
		search->next = search->now;
		return true;
	}
	if (jobq_large_row_waits(length, search->now, &until))
	{
		jobq_lease_put_off(expired->job_id, expired->lease, until);
		search->next = Min(search->next, until);
		return true;
	}
	*bytes += length;
	return false;
}

/* Ends one lease if its job's row agrees and is not locked by others. */
static void
expire_one(Ending *ending, JobqTable *jobs, const JobqLeaseId *expired)
{
	JobqLeaseSearch *search = &ending->search;
	JobqJob		job;
	const JobqQueue *queue;
	JobqFailure failure;
	JobqState	state;
	Size		length;

	switch (jobq_job_lock(jobs, expired->job_id, JOBQ_NO_WAIT, &job))
	{
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			forget(expired);
			return;
		case JOBQ_BUSY:
			put_off(search, &job, expired);
			return;
		case JOBQ_FOUND:
			break;
	}
	if (!is_over(ending, &job, expired))
		return;
	queue = jobq_queue_by_id(job.queue);
	if (queue == NULL || !jobq_job_may_die(queue))
	{
		put_off(search, &job, expired);
		return;
	}
	length = jobq_row_bytes(job.slot);
	if (is_too_long(ending, &job, queue, expired, length))
		return;

	jobq_job_explain_lease_end(&job, queue, &failure);
	jobq_large_row_begin(length);
	state = jobq_job_fail(jobs, &job, queue, &failure);
	jobq_large_row_end();
	jobq_job_log_failure(state, &job, queue, &failure);
}

/*
 * Ends those that were found, each in a memory context of its own.  For
 * jobq_subtransaction().
 */
static void
expire_found(void *arg)
{
	Ending	   *ending = arg;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq lease",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext;
	JobqTable  *jobs;

	PushActiveSnapshot(GetLatestSnapshot());
	jobs = jobq_table_open(JOBQ_REL_JOB);
	oldcontext = MemoryContextSwitchTo(context);
	for (int i = ending->first; i < ending->last; i++)
	{
		CHECK_FOR_INTERRUPTS();
		expire_one(ending, jobs, &ending->search.found[i]);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	jobq_table_close(jobs);
	PopActiveSnapshot();
}

/*
 * Ending a lease has raised an error.  If the job is the cause, the lease is
 * tried again later, and does not hold up others; else the task has failed.
 */
static void
handle_failure(Ending *ending, ErrorData *error)
{
	const JobqLeaseId *expired = &ending->search.found[ending->first];
	TimestampTz until = ending->search.now + FAILED_DELAY;

	if (jobq_error_is_of_server(error))
		ReThrowError(error);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not end the lease of job " INT64_FORMAT ": %s",
					expired->job_id, error->message),
			 errdetail("jobq will try again in a minute.")));
	if (ending->unlisted)
		jobq_lease_unlisted_put_off(expired, until);
	jobq_lease_put_off(expired->job_id, expired->lease, until);
	ending->search.next = Min(ending->search.next, until);
}

/*
 * The same one by one, each in a subtransaction, after one of them has raised an
 * error.
 */
static void
expire_one_by_one(Ending *ending)
{
	int			n = ending->last;

	memset(ending->bytes, 0, sizeof(ending->bytes));
	for (int i = 0; i < n; i++)
	{
		ErrorData  *error;

		ending->first = i;
		ending->last = i + 1;
		error = jobq_subtransaction(expire_found, ending);
		if (error != NULL)
			handle_failure(ending, error);
	}
}

/* Ends all that were found. */
static void
expire_all_found(Ending *ending)
{
	ending->first = 0;
	ending->last = ending->search.nfound;
	if (ending->last > 0 && jobq_subtransaction(expire_found, ending) != NULL)
		expire_one_by_one(ending);
}

/* Ends the leases that the search finds. */
static void
expire_over(Ending *ending)
{
	JobqLeaseSearch *search = &ending->search;

	search->found = palloc(search->limit * sizeof(JobqLeaseId));
	search->spare = palloc(search->limit * sizeof(JobqLeaseId));
	jobq_leases_find_over(search);
	expire_all_found(ending);
	pfree(search->found);
	pfree(search->spare);
}

/* The same of leases for which the registry has no room. */
static void
expire_unlisted(Ending *ending)
{
	JobqLeaseSearch *search = &ending->search;

	search->found = palloc(search->limit * sizeof(JobqLeaseId));
	search->nfound = jobq_leases_unlisted_take(search->found, search->limit);
	ending->unlisted = true;
	expire_all_found(ending);
	pfree(search->found);
	if (jobq_leases_unlisted_any())
		search->next = search->now;
}

/*
 * Makes jobs whose lease has run out ready again, or dead, up to `limit` jobs.
 * Returns when the next lease that is listed ends.
 */
TimestampTz
jobq_leases_expire(int limit, bool *more)
{
	Ending		ending = {.search = {.now = jobq_now(),.next = JOBQ_NEVER,.limit = limit}};
	JobqLeaseSearch *search = &ending.search;

	if (jobq_leases_unlisted_any())
	{
		search->limit = limit / 2;
		expire_unlisted(&ending);
		ending.unlisted = false;
		search->nfound = 0;
	}
	expire_over(&ending);
	*more = search->next <= search->now;
	return search->next;
}

/*
 * The same for a queue that has a limit, whose leases are all listed.  Its
 * consumers may do that: the rows of no other queue are locked.
 */
void
jobq_leases_expire_of(const JobqQueue *queue, int limit)
{
	Ending		ending = {.search = {.now = jobq_now(),.next = JOBQ_NEVER,
	.limit = limit,.gate = queue->state}};

	expire_over(&ending);
}
