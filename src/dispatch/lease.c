/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  Ending the leases that are over.
 *
 * The registry (lease_registry.c) says which they are; an entry is a hint:
 * before anything is done to a job its row is locked and looked at.  What the
 * registry does not list is looked for in the table.
 *
 * IDENTIFICATION
 *	  src/dispatch/lease.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/lease.h"

#include "job/attempt.h"
#include "job/ended.h"
#include "job/failure.h"
#include "job/transition.h"
#include "queue/queue_cache.h"
#include "shared/clock.h"
#include "shared/late.h"
#include "shared/lease_registry.h"

#include "access/tableam.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/snapmgr.h"

/*
 * Where the registry has not all leases: how often to look at the table of jobs at
 * most, and that this takes such a part of the time at most.
 */
#define TABLE_INTERVAL (100 * INT64CONST(1000))
#define TABLE_SHARE 20

/* Jobs of a copied database are left alone until start(). */
static bool
is_at_home(const JobqJob *job)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);

	return queue != NULL && queue->at_home;
}

/*
 * When the lease of a running job ends that the registry did not know when the
 * job's row was read.  One that was bound to a session is over, since a session
 * enters it before it commits: that session ended with the server.
 */
static TimestampTz
unlisted_until(const JobqJob *job)
{
	return job->lease_until == JOBQ_NEVER ? jobq_now() : job->lease_until;
}

/* Lists the lease of such a job, as the queue's owner's. */
void
jobq_lease_enter(const JobqJob *job)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);

	jobq_lease_list(job->id, job->lease, unlisted_until(job),
					queue != NULL ? queue->owner : InvalidOid);
}

/*
 * Lists those running jobs of this database that the registry does not know,
 * as far as they end soon and there is room.
 */
void
jobq_leases_load(void)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(jobs);
	Snapshot	snapshot;
	TableScanDesc scan;

	jobq_leases_begin_look();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = table_beginscan(jobs->rel, snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		JobqJob		job;

		CHECK_FOR_INTERRUPTS();
		jobq_job_read(&job, slot);
		if (job.state == JOBQ_STATE_RUNNING && is_at_home(&job) &&
			!jobq_lease_is_registered(job.id, job.lease))
			jobq_lease_enter(&job);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	jobq_table_close(jobs);
	jobq_leases_end_look();
}

/*
 * A lease that is over, but cannot be ended now, is not looked at for a while,
 * lest it hides others.
 */
static void
put_off(JobqLeaseSearch *search, const JobqJob *job, const JobqExpiredLease *expired)
{
	TimestampTz due = job->lease_until == JOBQ_NEVER ?
	job->started_at : job->lease_until;
	TimestampTz until = jobq_late_retry(due, search->now);

	jobq_lease_put_off(expired->job_id, expired->lease, until);
	search->next = Min(search->next, until);
	if (due > DT_NOBEGIN)
		jobq_late_note(due, until, jobq_row_holder(job->slot));
}

/*
 * Whether a job that is locked is still held by the lease, and that is over by
 * its row, too; if not, the registry is put right.
 */
static bool
is_over(JobqLeaseSearch *search, const JobqJob *job, const JobqExpiredLease *expired)
{
	/* the jobs of a copied database are left alone until start() */
	if (job->state != JOBQ_STATE_RUNNING || job->lease != expired->lease ||
		!is_at_home(job))
	{
		jobq_lease_forget(expired->job_id, expired->lease);
		return false;
	}
	/* the entry of a session that lives says "never", and is not over */
	if (job->lease_until > search->now && job->lease_until != JOBQ_NEVER)
	{
		/* extended by a heartbeat that has yet to tell the registry */
		jobq_lease_register(job->id, job->lease, job->lease_until,
							JOBQ_NO_PROCESS);
		search->next = Min(search->next, job->lease_until);
		return false;
	}
	return true;
}

/* Ends one lease if its job's row agrees, and nobody is in the way. */
static void
expire_one(JobqLeaseSearch *search, JobqTable *jobs, const JobqExpiredLease *expired)
{
	JobqJob		job;
	const JobqQueue *queue;
	JobqFailure failure;
	JobqState	state;

	switch (jobq_job_lock(jobs, expired->job_id, JOBQ_NO_WAIT, &job))
	{
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			jobq_lease_forget(expired->job_id, expired->lease);
			return;
		case JOBQ_BUSY:
			put_off(search, &job, expired);
			return;
		case JOBQ_FOUND:
			break;
	}
	if (!is_over(search, &job, expired))
		return;
	queue = jobq_queue_by_id(job.queue);
	if (queue == NULL || !jobq_job_may_die(queue))
	{
		put_off(search, &job, expired);
		return;
	}

	jobq_job_explain_lease_end(&job, queue, &failure);
	state = jobq_job_fail(jobs, &job, queue, &failure);
	jobq_job_log_failure(state, &job, queue, &failure);
}

/*
 * Looks at the table if a lease that is not listed may be over, unless it was
 * done a moment ago: it takes a small share of the time, however large the
 * table is.  Returns when to do it again.
 */
static TimestampTz
list_what_is_due(TimestampTz now)
{
	static TimestampTz earliest = DT_NOBEGIN;
	static TimestampTz latest = DT_NOBEGIN;
	TimestampTz due = jobq_leases_unlisted_due();

	if (due > now)
		return due;
	/* the clock may have been set back */
	if (now < earliest && now >= latest)
		return earliest;
	latest = now;
	earliest = now + TABLE_INTERVAL;
	jobq_leases_load();
	earliest = latest + Max(TABLE_INTERVAL,
							(jobq_now() - latest) * TABLE_SHARE);
	return Max(jobq_leases_unlisted_due(), earliest);
}

/*
 * Makes the jobs whose lease is over ready again, or dead, at most `limit` of
 * them.  Returns when the next lease ends.
 */
TimestampTz
jobq_leases_expire(int limit, bool *more)
{
	JobqLeaseSearch search = {.now = jobq_now(),.next = JOBQ_NEVER,.limit = limit};
	TimestampTz table_next = list_what_is_due(search.now);

	search.found = palloc(limit * sizeof(JobqExpiredLease));
	search.spare = palloc(limit * sizeof(JobqExpiredLease));
	jobq_leases_find_over(&search);
	if (search.nfound > 0)
	{
		JobqTable  *jobs;

		PushActiveSnapshot(GetLatestSnapshot());
		jobs = jobq_table_open(JOBQ_REL_JOB);
		for (int i = 0; i < search.nfound; i++)
		{
			CHECK_FOR_INTERRUPTS();
			expire_one(&search, jobs, &search.found[i]);
		}
		jobq_table_close(jobs);
		PopActiveSnapshot();
	}
	pfree(search.found);
	pfree(search.spare);
	*more = search.next <= search.now;
	return Min(search.next, table_next);
}
