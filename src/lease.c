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

#include "lease.h"
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

/* How soon to look again after a lease that cannot be ended at the moment. */
#define BUSY_RETRY (100 * INT64CONST(1000))

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

/*
 * Adds leases that are over to the n there are, up to limit; *next is the end
 * of the next.
 */
static int
collect_expired(ExpiredLease *expired, int n, int limit, TimestampTz now,
				TimestampTz *next)
{
	HASH_SEQ_STATUS status;
	JobqLeaseEntry *entry;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_SHARED);
	hash_seq_init(&status, jobq_shared_leases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.dboid != MyDatabaseId)
			continue;
		if (entry->until > now)
			*next = Min(*next, entry->until);
		else if (n < limit)
		{
			expired[n].job_id = entry->key.job_id;
			expired[n].lease = entry->key.lease;
			n++;
		}
		else
			*next = now;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	return n;
}

/*
 * Ends one lease if its job's row agrees.  Returns when to look at it again,
 * JOBQ_NEVER if it is settled.
 */
static TimestampTz
expire_one(JobqTable *jobs, const ExpiredLease *expired, TimestampTz now)
{
	JobqJob		job;
	const JobqQueue *queue;
	JobqFailure failure = {0};

	switch (jobq_job_lock(jobs, expired->job_id, JOBQ_NO_WAIT, &job))
	{
		case JOBQ_MISSING:
		case JOBQ_UNWANTED:
			jobq_lease_forget(expired->job_id, expired->lease);
			return JOBQ_NEVER;
		case JOBQ_BUSY:
			return now + BUSY_RETRY;
		case JOBQ_FOUND:
			break;
	}
	if (job.state != JOBQ_STATE_RUNNING || job.lease != expired->lease)
	{
		jobq_lease_forget(expired->job_id, expired->lease);
		return JOBQ_NEVER;
	}
	/* the entry of a session that lives says "never", and is not over */
	if (job.lease_until > now && job.lease_until != JOBQ_NEVER)
	{
		/* extended by a heartbeat that has yet to tell the registry */
		jobq_lease_register(job.id, job.lease, job.lease_until,
							JOBQ_NO_PROCESS);
		return JOBQ_NEVER;
	}
	queue = jobq_queue_by_id(job.queue);
	if (queue == NULL)
	{
		jobq_lease_forget(expired->job_id, expired->lease);
		return JOBQ_NEVER;
	}

	/* an executor that was terminated in the job has said why */
	if (!jobq_job_was_terminated(&job, &failure))
		jobq_job_lease_failure(&failure, job.lease_until == JOBQ_NEVER);
	if (failure.excused)
		jobq_job_release(jobs, &job, queue, 0);
	else
		(void) jobq_job_fail(jobs, &job, queue, &failure);
	return JOBQ_NEVER;
}

/*
 * Collects up to limit leases that are over and not in the registry, by a look
 * at the table: it had no room for them.  *next is the end of the next.
 */
static int
look_at_table(ExpiredLease *expired, int limit, TimestampTz now,
			  TimestampTz *next)
{
	JobqDatabase *database = jobq_database();
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(jobs);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(jobs->rel, snapshot, 0, NULL);
	bool		any = false;
	int			n = 0;

	/* whoever finds no room from now on sets it again */
	LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
	database->leases_overflow = false;
	LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		JobqJob		job;

		CHECK_FOR_INTERRUPTS();
		jobq_job_read(&job, slot);
		if (job.state != JOBQ_STATE_RUNNING || !is_at_home(&job) ||
			is_registered(job.id, job.lease))
			continue;
		any = true;
		if (job.lease_until <= now && n < limit)
		{
			expired[n].job_id = job.id;
			expired[n].lease = job.lease;
			n++;
		}
		else
			*next = Min(*next, Max(job.lease_until, now));
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	jobq_table_close(jobs);
	if (any)
	{
		LWLockAcquire(jobq_lock(JOBQ_LOCK_LEASES), LW_EXCLUSIVE);
		database->leases_overflow = true;
		LWLockRelease(jobq_lock(JOBQ_LOCK_LEASES));
	}
	return n;
}

/*
 * Makes the jobs whose lease is over ready again, or dead, at most `limit` of
 * them.  Returns when the next lease ends.
 */
TimestampTz
jobq_leases_expire(int limit, bool *more)
{
	TimestampTz now = jobq_now();
	TimestampTz next = JOBQ_NEVER;
	ExpiredLease *expired = palloc(limit * sizeof(ExpiredLease));
	JobqTable  *jobs;
	int			n;

	*more = false;
	n = 0;
	if (jobq_database()->leases_overflow)
		n = look_at_table(expired, limit, now, &next);
	n = collect_expired(expired, n, limit, now, &next);
	if (n > 0)
	{
		PushActiveSnapshot(GetLatestSnapshot());
		jobs = jobq_table_open(JOBQ_REL_JOB);
		for (int i = 0; i < n; i++)
		{
			TimestampTz again = expire_one(jobs, &expired[i], now);

			next = Min(next, again);
		}
		jobq_table_close(jobs);
		PopActiveSnapshot();
	}
	*more = next <= now;
	pfree(expired);
	return next;
}
