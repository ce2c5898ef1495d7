/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  A registry in shared memory of the jobs that are held by a lease, so
 *	  that expiry scans no table.
 *
 * The registry has an entry for each job in state running.  Commit callbacks
 * keep it; the coordinator fills it when the server has started, and looks
 * through it when the earliest end is due.  An entry is a hint: before
 * anything is done to a job its row is locked and looked at.  When shared
 * memory is full the coordinator looks at the table as well.
 *
 * IDENTIFICATION
 *	  src/lease.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "late.h"
#include "lease.h"
#include "on_dead.h"
#include "xact.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * Where the registry has no room: how often to look at the table of jobs at
 * most, and that this takes such a part of the time at most.
 */
#define TABLE_INTERVAL (100 * INT64CONST(1000))
#define TABLE_SHARE 20

/* See jobq_leases_bound(). */
static uint64 nbound = 0;

static void
make_key(JobqLeaseKey *key, int64 job_id, int64 lease)
{
	memset(key, 0, sizeof(*key));
	key->job_id = job_id;
	key->lease = lease;
	key->dboid = MyDatabaseId;
}

void
jobq_lease_register(int64 job_id, int64 lease, TimestampTz until, int procno)
{
	JobqDatabase *database = jobq_database();
	JobqLeaseKey key;
	JobqLeaseEntry *entry;

	make_key(&key, job_id, lease);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
	entry = hash_search(jobq_shared_leases, &key, HASH_ENTER_NULL, NULL);
	if (entry != NULL)
	{
		entry->until = until;
		entry->proc = procno;
	}
	else
		database->leases_overflow = true;
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	jobq_note_due(database, until);
}

/*
 * Enters a lease that is bound to this session, before the claim's commit:
 * nothing but the entry tells that the session is alive.  False if there is
 * no room.  Who rolls back forgets it.
 */
bool
jobq_lease_reserve(int64 job_id, int64 lease)
{
	JobqLeaseKey key;
	JobqLeaseEntry *entry;

	nbound++;
	make_key(&key, job_id, lease);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
	entry = hash_search(jobq_shared_leases, &key, HASH_ENTER_NULL, NULL);
	if (entry != NULL)
	{
		entry->until = JOBQ_NEVER;
		entry->proc = JOBQ_MY_PROC_NUMBER;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	return entry != NULL;
}

void
jobq_lease_forget(int64 job_id, int64 lease)
{
	JobqLeaseKey key;

	make_key(&key, job_id, lease);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
	(void) hash_search(jobq_shared_leases, &key, HASH_REMOVE, NULL);
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
}

uint64
jobq_leases_bound(void)
{
	return nbound;
}

void
jobq_leases_of_process_end(int procno, int64 except)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;
	bool		any = false;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->proc == procno && entry->key.dboid == MyDatabaseId &&
			entry->key.lease != except)
		{
			entry->until = DT_NOBEGIN;
			entry->proc = JOBQ_NO_PROCESS;
			any = true;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	if (any)
		jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_LEASES);
}

static void
end_session_leases(int code, Datum arg)
{
	(void) code;
	(void) arg;
	jobq_leases_of_process_end(JOBQ_MY_PROC_NUMBER, 0);
}

void
jobq_lease_watch_session(void)
{
	static bool watching = false;

	if (watching)
		return;
	before_shmem_exit(end_session_leases, (Datum) 0);
	watching = true;
}

/* Whether the registry knows the job by this very lease. */
static bool
is_registered(int64 job_id, int64 lease)
{
	JobqLeaseKey key;
	bool		result;

	make_key(&key, job_id, lease);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_SHARED);
	result = hash_search(jobq_shared_leases, &key, HASH_FIND, NULL) != NULL;
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	return result;
}

bool
jobq_lease_is_watched(int64 job_id, int64 lease)
{
	JobqDatabase *database = jobq_database();
	bool		overflow;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_SHARED);
	overflow = database->leases_overflow;
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	return overflow || is_registered(job_id, lease);
}

/* Jobs of a copied database are left alone until start(). */
static bool
is_at_home(const JobqJob *job)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);

	return queue != NULL && queue->at_home;
}

/*
 * Enters the lease of a running job that the registry did not know when the
 * job's row was read.  One that was bound to a session is over then, since a
 * session enters it before it commits: that session ended with the server.
 */
void
jobq_lease_enter(const JobqJob *job)
{
	jobq_lease_register(job->id, job->lease,
						job->lease_until == JOBQ_NEVER ?
						jobq_now() : job->lease_until, JOBQ_NO_PROCESS);
}

/* Enters the running jobs of this database that the registry does not know. */
void
jobq_leases_load(void)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(jobs);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(jobs->rel, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		JobqJob		job;

		CHECK_FOR_INTERRUPTS();
		jobq_job_read(&job, slot);
		if (job.state == JOBQ_STATE_RUNNING && is_at_home(&job) &&
			!is_registered(job.id, job.lease))
			jobq_lease_enter(&job);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	jobq_table_close(jobs);
}

/* What jobq_leases_expire() found to be over. */
typedef struct ExpiredLease
{
	int64		job_id;
	int64		lease;
} ExpiredLease;

/* A look for leases that are over. */
typedef struct LeaseSearch
{
	TimestampTz now;
	TimestampTz next;			/* when to look again */
	ExpiredLease *found;
	int			nfound;
	int			limit;
} LeaseSearch;

/*
 * Looks at the end of a lease.  What finds no room any more is left for the
 * next time, which is at once.
 */
static void
look_at_end(LeaseSearch *search, int64 job_id, int64 lease, TimestampTz until)
{
	ExpiredLease *expired;

	if (until > search->now)
	{
		search->next = Min(search->next, until);
		return;
	}
	if (search->nfound == search->limit)
	{
		search->next = search->now;
		return;
	}
	expired = &search->found[search->nfound++];
	expired->job_id = job_id;
	expired->lease = lease;
}

/* Looks through the registry. */
static void
look_at_registry(LeaseSearch *search)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_SHARED);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.dboid == MyDatabaseId)
			look_at_end(search, entry->key.job_id, entry->key.lease,
						entry->until);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
}

/*
 * A lease that is over, but cannot be ended now, is not looked at for a while,
 * lest it hides others.  If the registry has no room for it, it is found in
 * the table again when that is read the next time.
 */
static void
put_off(LeaseSearch *search, const JobqJob *job, const ExpiredLease *expired)
{
	TimestampTz due = job->lease_until == JOBQ_NEVER ?
	job->started_at : job->lease_until;
	TimestampTz until = jobq_late_retry(due, search->now);
	JobqLeaseKey key;
	JobqLeaseEntry *entry;
	bool		found;

	make_key(&key, expired->job_id, expired->lease);
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
	entry = hash_search(jobq_shared_leases, &key, HASH_ENTER_NULL, &found);
	if (entry != NULL && !found)
		entry->proc = JOBQ_NO_PROCESS;
	/* it may be that of a heartbeat by now */
	if (entry != NULL && (!found || entry->until < until))
		entry->until = until;
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	search->next = Min(search->next, until);
	if (due > DT_NOBEGIN)
		jobq_late_note(due, until, jobq_row_holder(job->slot));
}

/*
 * Whether a job that is locked is still held by the lease, and that is over by
 * its row, too; if not, the registry is put right.
 */
static bool
is_over(LeaseSearch *search, const JobqJob *job, const ExpiredLease *expired)
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
expire_one(LeaseSearch *search, JobqTable *jobs, const ExpiredLease *expired)
{
	JobqJob		job;
	const JobqQueue *queue;
	JobqFailure failure = {0};

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
	if (!jobq_on_dead_is_free(queue))
	{
		put_off(search, &job, expired);
		return;
	}

	/* an executor that was terminated in the job has said why */
	if (!jobq_job_was_terminated(&job, &failure))
		jobq_job_lease_failure(&failure, job.lease_until == JOBQ_NEVER);
	if (failure.excused)
		jobq_job_release(jobs, &job, queue, 0);
	else
		(void) jobq_job_fail(jobs, &job, queue, &failure);
}

/* Notes whether some leases have found no room in the registry. */
static void
set_overflow(bool overflow)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
	jobq_database()->leases_overflow = overflow;
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
}

/*
 * Looks for leases in the table that are not in the registry, which had no
 * room for them.  There is more room now perhaps.
 */
static void
look_at_table(LeaseSearch *search)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(jobs);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(jobs->rel, snapshot, 0, NULL);
	bool		any = false;

	/* whoever finds no room from now on sets it again */
	set_overflow(false);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		JobqJob		job;

		CHECK_FOR_INTERRUPTS();
		jobq_job_read(&job, slot);
		if (job.state != JOBQ_STATE_RUNNING || !is_at_home(&job) ||
			is_registered(job.id, job.lease))
			continue;
		any = true;
		/* who has a job in his hands gives it back, or its end takes it out */
		if (!jobq_row_is_held(slot))
			look_at_end(search, job.id, job.lease, job.lease_until);
		else if (job.lease_until <= search->now)
		{
			TimestampTz until = jobq_late_retry(job.lease_until, search->now);

			search->next = Min(search->next, until);
			jobq_late_note(job.lease_until, until, jobq_row_holder(slot));
		}
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	jobq_table_close(jobs);
	if (any)
		set_overflow(true);
}

/*
 * Does that, unless it was done a moment ago: it takes a small share of the
 * time, however large the table is.  Returns when to do it again.
 */
static TimestampTz
look_at_table_at_times(LeaseSearch *search)
{
	static TimestampTz earliest = DT_NOBEGIN;
	static TimestampTz latest = DT_NOBEGIN;
	TimestampTz next;

	/* the clock may have been set back */
	if (search->now < earliest && search->now >= latest)
		return earliest;
	latest = search->now;
	look_at_table(search);
	earliest = latest + Max(TABLE_INTERVAL,
							(jobq_now() - latest) * TABLE_SHARE);
	next = Max(search->next, earliest);
	search->next = JOBQ_NEVER;
	return next;
}

/*
 * Makes the jobs whose lease is over ready again, or dead, at most `limit` of
 * them.  Returns when the next lease ends.
 */
TimestampTz
jobq_leases_expire(int limit, bool *more)
{
	LeaseSearch search = {jobq_now(), JOBQ_NEVER, NULL, 0, limit};
	TimestampTz table_next = JOBQ_NEVER;

	search.found = palloc(limit * sizeof(ExpiredLease));
	if (jobq_database()->leases_overflow)
		table_next = look_at_table_at_times(&search);
	look_at_registry(&search);
	if (search.nfound > 0)
	{
		JobqTable  *jobs;

		PushActiveSnapshot(GetLatestSnapshot());
		jobs = jobq_table_open(JOBQ_REL_JOB);
		for (int i = 0; i < search.nfound; i++)
			expire_one(&search, jobs, &search.found[i]);
		jobq_table_close(jobs);
		PopActiveSnapshot();
	}
	pfree(search.found);
	*more = search.next <= search.now;
	return Min(search.next, table_next);
}
