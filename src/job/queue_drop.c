/*-------------------------------------------------------------------------
 *
 * queue_drop.c
 *	  drop_queue(): dropping a queue with its jobs, history and grants.
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
 * interrupted by the commit, unless it holds a lock that drop_queue() needs.
 *
 * When the transaction commits, sessions that wait for jobs of the queue are
 * woken to find that it is gone, and its state in shared memory is removed.
 *
 * IDENTIFICATION
 *	  src/job/queue_drop.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/rights.h"
#include "base/scan.h"
#include "base/table_find.h"
#include "compat.h"
#include "job/current_job.h"
#include "job/ended.h"
#include "queue/lease_end.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_gone.h"
#include "queue/queue_id.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "shared/note.h"
#include "shared/queue_change.h"
#include "shared/slot_job.h"
#include "shared/wake.h"

#include "wait.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(jobq_drop_queue);

/* How often to check whether running jobs have ended, in milliseconds. */
#define BUSY_WAIT_MS 20

/* Number of attempts to get a lock without waiting, in drop_queue(force). */
#define LOCK_TRIES 250

/*
 * Runs a statement with the queue's id as $1, as the extension's owner, with
 * the latest snapshot regardless of the isolation level.
 */
static void
execute_for_queue(const char *sql, int32 queue)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(queue);
	JobqElevation elevation;
	SPIPlanPtr	plan;

	jobq_elevate(&elevation);
	SPI_connect();
	plan = SPI_prepare(sql, 1, &type);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, &value, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, false, true, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	SPI_finish();
	jobq_restore(&elevation);
}

/*
 * Scans all jobs of the queue that an index has.  With `remove`, deletes those whose rows nobody
 * has locked.  Returns the number of remaining jobs.
 */
static int64
visit_index(int32 queue, JobqRelation index, bool remove)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *locked = jobq_table_slot(jobs);
	int64		remaining = 0;
	JobqScan	scan;
	ScanKeyData key;

	CommandCounterIncrement();
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	jobq_scan_begin(&scan, jobs, jobq_relation_oid(index), &key, 1);
	while (jobq_scan_next(&scan))
	{
		JobqJob		job;

		if (!remove ||
			jobq_job_lock_row(jobs, scan.slot, scan.snapshot, locked,
							  &job) != JOBQ_FOUND)
		{
			remaining++;
			continue;
		}
		if (job.state == JOBQ_STATE_RUNNING)
		{
			jobq_at_commit_lease_end(NULL, job.id, job.lease, false);
			if (!jobq_current_job_is(job.id))
				jobq_at_commit_interrupt(job.id, job.lease);
		}
		jobq_job_removed(&job);
		jobq_table_delete(jobs, locked);
	}
	jobq_scan_end(&scan);
	jobq_table_close(jobs);
	return remaining;
}

/* The same for all jobs of the queue: those without a group, and the others. */
static int64
visit_jobs(int32 queue, bool remove)
{
	return visit_index(queue, JOBQ_IDX_JOB_DISPATCH, remove) +
		visit_index(queue, JOBQ_IDX_JOB_GROUP, remove);
}

/*
 * Deletes the free jobs, interrupts the executors that run others, and waits a
 * moment.  Returns true if no jobs were left.
 */
static bool
remove_free_jobs(int32 queue)
{
	if (visit_jobs(queue, true) == 0)
		return true;
	jobq_slots_evict(queue);
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 BUSY_WAIT_MS, JOBQ_WAIT_EVENT_WORKERS);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return false;
}

/*
 * Interrupts the executors that run jobs of the queue and hold its lock.
 * Other sessions may hold it, too, or alone, which is no reason to undo the
 * work of a procedure.
 */
static void
evict_holders(int32 queue, const LOCKTAG *tag)
{
	VirtualTransactionId *holders = GetLockConflicts(tag, AccessExclusiveLock,
													 NULL);

	for (int i = 0; VirtualTransactionIdIsValid(holders[i]); i++)
	{
		PGPROC	   *proc = JOBQ_VXID_PROC(holders[i]);
		pid_t		pid = proc != NULL ? proc->pid : 0;

		if (pid != 0)
			jobq_slot_evict_process(queue, pid);
	}
	pfree(holders);
}

/*
 * Keeps all others from adding jobs to the queue.  With `force`, interrupts
 * running jobs of the queue that hold its lock because they have added jobs;
 * since free jobs are deleted meanwhile, hardly any new ones are started.
 */
static void
lock_queue(int32 queue, bool force)
{
	LOCKTAG		tag;
	int			tries = force ? LOCK_TRIES : 0;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, jobq_relation_oid(JOBQ_REL_QUEUE),
					   queue, 0);
	while (tries-- > 0)
	{
		jobq_queue_recheck(queue, JOBQ_PRIV_OWNER);
		(void) remove_free_jobs(queue);
		if (LockAcquire(&tag, AccessExclusiveLock, false, true) !=
			LOCKACQUIRE_NOT_AVAIL)
			return;
		evict_holders(queue, &tag);
	}
	(void) LockAcquire(&tag, AccessExclusiveLock, false, false);
}

/* Raises an error if something would be lost with the queue. */
static void
refuse_if_used(int32 queue, const char *name)
{
	int64		njobs = visit_jobs(queue, false);
	StringInfoData names;
	ListCell   *lc;

	if (njobs > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop queue \"%s\" because it has unfinished jobs",
						name),
				 errdetail_plural("It has %lld job.", "It has %lld jobs.",
								  (unsigned long) njobs, (long long) njobs),
				 errhint("Use jobq.drop_queue(%s, force => true) to drop the jobs too.",
						 quote_literal_cstr(name))));
	initStringInfo(&names);
	foreach(lc, jobq_queue_read_on_dead(queue))
	{
		const JobqQueue *other = jobq_queue_by_id(lfirst_int(lc));

		if (other != NULL)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
							 other->name);
	}
	if (names.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop queue \"%s\" because other queues send their dead jobs to it",
						name),
				 errdetail("It is the on_dead queue of %s.", names.data),
				 errhint("Use jobq.drop_queue(%s, force => true) to drop it anyway.",
						 quote_literal_cstr(name))));
}

/* Clears the on_dead option of queues that name this one. */
static void
unset_on_dead(int32 queue)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_QUEUE);
	TupleTableSlot *slot = jobq_table_slot(table);
	ListCell   *lc;

	foreach(lc, jobq_queue_read_on_dead(queue))
	{
		Datum		values[Natts_queue];
		bool		nulls[Natts_queue];
		ScanKeyData key;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(lfirst_int(lc)));
		if (jobq_table_find(table, jobq_relation_oid(JOBQ_IDX_QUEUE), &key, 1,
							JOBQ_WAIT, slot) != JOBQ_FOUND)
			continue;
		slot_getallattrs(slot);
		memcpy(values, slot->tts_values, sizeof(values));
		memcpy(nulls, slot->tts_isnull, sizeof(nulls));

		/* it may have been changed while we waited */
		if (nulls[Anum_queue_on_dead - 1] ||
			DatumGetInt32(values[Anum_queue_on_dead - 1]) != queue)
			continue;
		nulls[Anum_queue_on_dead - 1] = true;
		jobq_table_update(table, slot, values, nulls);
		jobq_at_commit_queue_changed(lfirst_int(lc),
									 DatumGetObjectId(values[Anum_queue_owner - 1]));
	}
	jobq_table_close(table);
}

/* Deletes what belongs to the queue, except its jobs and its own row. */
static void
remove_belongings(int32 queue)
{
	static const char *const statements[] = {
		"DELETE FROM jobq_store.history"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.attempt"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.rate_start"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.group_option"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.group_stop"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.queue_grant"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"UPDATE jobq_store.schedule SET enabled = false, waits = false,"
		" next_run = 'infinity', disabled_reason = 'its queue was dropped'"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
	};

	for (int i = 0; i < lengthof(statements); i++)
		execute_for_queue(statements[i], queue);
	unset_on_dead(queue);
}

/*
 * Keeps others from adding jobs to the queue, and returns its current
 * definition.  Raises 42501 if the user is not, or no longer, its owner.  If
 * the queue is gone, raises 42704, or returns NULL with if_exists.
 */
static const JobqQueue *
lock_to_drop(const char *name, bool force, bool if_exists)
{
	const JobqQueue *queue = jobq_queue_find(name);

	if (queue == NULL && if_exists)
		return NULL;
	queue = jobq_queue_require(name, JOBQ_PRIV_OWNER);
	jobq_queue_gone_note_dropped(queue->id, force);
	lock_queue(queue->id, force);
	queue = jobq_queue_read_now(queue->id);
	if (queue == NULL || strcmp(queue->name, name) != 0)
	{
		/* a renamed queue stays, with the jobs that were deleted here */
		if (if_exists && queue == NULL && jobq_queue_find(name) == NULL)
			return NULL;
		jobq_queue_report_missing(name, JOBQ_PRIV_OWNER);
	}
	jobq_queue_check_privilege(queue, JOBQ_PRIV_OWNER);
	return queue;
}

/*
 * Deletes the queue's row and what belongs to it.  The row is locked only now
 * that there are no jobs to wait for: a session that runs one of them may be
 * waiting for another drop_queue() that needs this row because of its on_dead.
 */
static void
remove_queue(int32 id, const char *name)
{
	JobqLockedQueue locked;

	/* another one may have the name by now */
	if (!jobq_queue_find_and_lock(&locked, name) || locked.queue->id != id)
		jobq_queue_report_missing(name, JOBQ_PRIV_OWNER);
	jobq_queue_check_privilege(locked.queue, JOBQ_PRIV_OWNER);
	remove_belongings(id);
	jobq_queue_recheck_locked(&locked, JOBQ_PRIV_OWNER);
	jobq_table_delete(locked.table, locked.slot);
	jobq_table_close(locked.table);
	jobq_at_commit_queue_changed(id, locked.queue->owner);
}

/*
 * drop_queue(queue, force, if_exists): raises 55006 if the queue has jobs and
 * 2BP01 if other queues send their dead jobs to it, unless forced.
 */
Datum
jobq_drop_queue(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	bool		force = jobq_flag_argument(fcinfo, 1, false);
	bool		if_exists = jobq_flag_argument(fcinfo, 2, false);
	const JobqQueue *queue;

	jobq_begin_write("jobq.drop_queue()");
	queue = lock_to_drop(name, force, if_exists);
	if (queue == NULL)
	{
		ereport(NOTICE,
				(errmsg("queue \"%s\" does not exist, skipping", name)));
		PG_RETURN_VOID();
	}
	if (!force)
		refuse_if_used(queue->id, name);
	while (!remove_free_jobs(queue->id))
		continue;
	remove_queue(queue->id, name);
	PG_RETURN_VOID();
}
