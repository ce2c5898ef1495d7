/*-------------------------------------------------------------------------
 *
 * queue_empty.c
 *	  Removing the jobs of a queue that is being dropped.
 *
 * An exclusive lock on the queue blocks transactions that add jobs to it
 * (jobq_queue_lock_shared()).  It does not block claims, but every free job is
 * locked and deleted here, so that claims find fewer and fewer.  Then only
 * jobs remain whose rows are locked because they are running: executors are
 * interrupted, and clients that have taken a job are waited for.  Leases do
 * not matter: their holders get JQ001.
 *
 * The transaction may roll back.  So an executor interrupted for this undoes
 * its job, as if it had not been started, and does not work the queue until
 * the transaction has ended.  A job held by a lease continues meanwhile and is
 * interrupted by the commit, unless it holds a lock that is needed here.
 *
 * Those who have locked a job, or the queue, may in turn wait for a lock of this
 * transaction.  So they are waited for in the lock manager, which finds deadlocks
 * and obeys lock_timeout.  The exceptions are executors that are interrupted: one
 * interrupt may not be enough, and they end soon in any case, since one that catches
 * the error is terminated.
 *
 * IDENTIFICATION
 *	  src/job/queue_empty.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/queue_empty.h"

#include "base/extension.h"
#include "base/row_holder.h"
#include "base/scan.h"
#include "base/table_find.h"
#include "compat.h"
#include "job/current_job.h"
#include "job/ended.h"
#include "queue/lease_end.h"
#include "queue/queue.h"
#include "queue/queue_lock.h"
#include "shared/clock.h"
#include "shared/slot_job.h"
#include "shared/wake.h"

#include "wait.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* How often to check whether executors have given way, in milliseconds. */
#define CHECK_INTERVAL_MS 20

/* Jobs that are being removed. */
typedef struct Removal
{
	int32		queue;
	int64		remaining;		/* how many others have locked */
	int64		awaited;		/* one of them, whose holder must be waited
								 * for; 0: none */
} Removal;

/* Removes a job whose row is locked. */
static void
remove_job(JobqTable *jobs, JobqJob *job)
{
	if (job->state == JOBQ_STATE_RUNNING)
	{
		jobq_at_commit_lease_end(NULL, job->id, job->lease, false);
		if (!jobq_current_job_is(job->id))
			jobq_at_commit_interrupt(job->id, job->lease);
	}
	jobq_job_removed(job);
	jobq_table_delete(jobs, job->slot);
}

/* Begins to read the queue's jobs that an index has. */
static void
begin_scan(JobqScan *scan, JobqTable *jobs, int32 queue, JobqRelation index)
{
	ScanKeyData key;

	CommandCounterIncrement();
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	jobq_scan_begin(scan, jobs, jobq_relation_oid(index), &key, 1);
}

static int64
count_in_index(int32 queue, JobqRelation index)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	int64		n = 0;
	JobqScan	scan;

	begin_scan(&scan, jobs, queue, index);
	while (jobq_scan_next(&scan))
		n++;
	jobq_scan_end(&scan);
	jobq_table_close(jobs);
	return n;
}

/* See queue_empty.h. */
int64
jobq_queue_empty_count(int32 queue)
{
	return count_in_index(queue, JOBQ_IDX_JOB_DISPATCH) +
		count_in_index(queue, JOBQ_IDX_JOB_GROUP);
}

/* Removes those jobs that an index has and nobody has locked. */
static void
remove_free_in_index(Removal *removal, JobqRelation index)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *locked = jobq_table_slot(jobs);
	JobqScan	scan;

	begin_scan(&scan, jobs, removal->queue, index);
	while (jobq_scan_next(&scan))
	{
		JobqJob		job;

		if (jobq_job_lock_row(jobs, scan.slot, scan.snapshot, locked,
							  &job) == JOBQ_FOUND)
		{
			remove_job(jobs, &job);
			continue;
		}
		removal->remaining++;
		if (removal->awaited == 0 &&
			!jobq_slot_gives_way(removal->queue, jobq_row_holder(scan.slot)))
			removal->awaited = job.id;
	}
	jobq_scan_end(&scan);
	jobq_table_close(jobs);
}

/*
 * The same for all jobs of the queue: those without a group, and the others.
 * Interrupts the executors that run those that are left.
 */
static void
remove_free_jobs(Removal *removal)
{
	removal->remaining = 0;
	removal->awaited = 0;
	remove_free_in_index(removal, JOBQ_IDX_JOB_DISPATCH);
	remove_free_in_index(removal, JOBQ_IDX_JOB_GROUP);
	if (removal->remaining > 0)
		jobq_slots_evict(removal->queue);
}

/* Waits for the transaction that has locked a job, and removes the job. */
static void
remove_awaited(const Removal *removal)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqJob		job;

	if (jobq_job_lock(jobs, removal->awaited, JOBQ_WAIT, &job) == JOBQ_FOUND)
		remove_job(jobs, &job);
	jobq_table_close(jobs);
}

/*
 * Sleeps for a moment, in which executors may give way.  Obeys lock_timeout.
 * *waiting_since is a time of jobq_stopwatch(), or 0, and is set then.
 */
static void
wait_for_executors(int64 *waiting_since)
{
	if (*waiting_since == 0)
		*waiting_since = jobq_stopwatch();
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 CHECK_INTERVAL_MS, JOBQ_WAIT_EVENT_WORKERS);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (LockTimeout > 0 && jobq_stopwatch() - *waiting_since >=
		LockTimeout * INT64CONST(1000))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("canceling statement due to lock timeout")));
}

/*
 * Interrupts the executors that run jobs of the queue and hold its lock.  Returns
 * false if others hold it, too, or alone, which is no reason to undo the work of a
 * procedure.
 */
static bool
evict_holders(int32 queue, const LOCKTAG *tag)
{
	VirtualTransactionId *holders = GetLockConflicts(tag, AccessExclusiveLock,
													 NULL);
	bool		result = true;

	for (int i = 0; VirtualTransactionIdIsValid(holders[i]); i++)
	{
		PGPROC	   *proc = JOBQ_VXID_PROC(holders[i]);
		pid_t		pid = proc != NULL ? proc->pid : 0;

		if (pid == 0 || !jobq_slot_evict_process(queue, pid))
			result = false;
	}
	pfree(holders);
	return result;
}

/* See queue_empty.h. */
void
jobq_queue_empty_lock(int32 queue, bool force)
{
	Removal		removal = {.queue = queue};
	int64		waiting_since = 0;
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, jobq_relation_oid(JOBQ_REL_QUEUE),
					   queue, 0);
	while (force)
	{
		jobq_queue_recheck(queue, JOBQ_PRIV_OWNER);
		if (LockAcquire(&tag, AccessExclusiveLock, false, true) !=
			LOCKACQUIRE_NOT_AVAIL)
			return;
		if (!evict_holders(queue, &tag))
			break;
		remove_free_jobs(&removal);
		wait_for_executors(&waiting_since);
	}
	(void) LockAcquire(&tag, AccessExclusiveLock, false, false);
}

/* See queue_empty.h. */
void
jobq_queue_empty(int32 queue)
{
	Removal		removal = {.queue = queue};
	int64		waiting_since = 0;

	for (;;)
	{
		remove_free_jobs(&removal);
		if (removal.remaining == 0)
			return;
		if (removal.awaited == 0)
			wait_for_executors(&waiting_since);
		else
		{
			remove_awaited(&removal);
			waiting_since = 0;
		}
	}
}
