/*-------------------------------------------------------------------------
 *
 * queue_lock.c
 *	  The current rows of queues, for functions that change a queue or have
 *	  waited.
 *
 * Privileges are checked on the queue as it is when the change is made.  While
 * a call waits for another transaction, the queue can get another owner, a
 * grant can be revoked, and a role can lose a membership.  So privileges are
 * checked again after waiting, and a change of a queue checks them when its
 * row is locked.  The row and its grants are read with the latest snapshot,
 * regardless of the isolation level, and not from the cache: COMMIT PREPARED
 * wakes waiting transactions before it can invalidate caches.
 *
 * IDENTIFICATION
 *	  src/queue/queue_lock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_lock.h"

#include "base/extension.h"
#include "base/table_find.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"

#include "access/twophase.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"

/*
 * The current queue, including this transaction's changes; NULL if there is
 * none.  Allocated in the current memory context.
 */
const JobqQueue *
jobq_queue_read_now(int32 id)
{
	JobqQueue  *queue = palloc(sizeof(JobqQueue));

	AcceptInvalidationMessages();
	if (!jobq_queue_read(id, queue, CurrentMemoryContext))
		return NULL;
	jobq_queue_find_states(queue);
	return queue;
}

/*
 * The queue for a caller that may have waited.  Only prepared transactions can
 * have ended without invalidating the cache.
 */
static const JobqQueue *
read_again(int32 id)
{
	if (max_prepared_xacts > 0)
		return jobq_queue_read_now(id);
	AcceptInvalidationMessages();
	return jobq_queue_by_id(id);
}

/*
 * Checks the privilege again after the caller may have waited or run users'
 * code: raises 42501 if the user no longer has it, and 42704 if the queue is
 * gone, since users' code may have dropped it in this transaction.  The queue
 * may have been renamed.
 */
void
jobq_queue_recheck(int32 id, int privilege)
{
	const JobqQueue *queue = read_again(id);

	if (queue == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the queue no longer exists")));
	if (jobq_queue_allows(queue, GetUserId(), privilege))
		return;
	if (jobq_queue_may_name(queue, GetUserId()))
		jobq_queue_check_privilege(queue, privilege);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for the queue"),
			 errdetail("The privilege was revoked, or the queue was given another owner, in the meantime.")));
}

/* The same for a user who has named a job. */
void
jobq_queue_recheck_job(int32 id, int privilege, int64 job_id)
{
	const JobqQueue *queue = read_again(id);

	if (queue != NULL)
		jobq_queue_check_job_privilege(queue, privilege, job_id);
}

/*
 * Whether a privilege may have been lost since the queue was looked up, or, if that was
 * later, since jobq_relation_waits() was `waits`.  Costs next to nothing, so that calls
 * that may have waited for an index or a sequence can ask.
 */
bool
jobq_queue_may_have_changed(const JobqQueue *queue, uint64 waits)
{
	return jobq_relation_waits() != waits ||
		!jobq_queue_cache_is_current(queue);
}

/* jobq_queue_recheck_job(), if that is so. */
void
jobq_queue_recheck_job_after(uint64 waits, const JobqQueue *queue,
							 int privilege, int64 job_id)
{
	if (jobq_queue_may_have_changed(queue, waits))
		jobq_queue_recheck_job(queue->id, privilege, job_id);
}

/*
 * Locks the row of the queue with that name, waiting for others that change
 * it, and reads it into *locked.  Returns false, with nothing left open, if
 * there is none.  Checks no privilege.
 */
bool
jobq_queue_find_and_lock(JobqLockedQueue *locked, const char *name)
{
	locked->table = jobq_table_open(JOBQ_REL_QUEUE);
	locked->slot = jobq_table_slot(locked->table);
	if (!jobq_table_lock_name(locked->table, JOBQ_IDX_QUEUE_NAME, name,
							  locked->slot))
	{
		jobq_table_close(locked->table);
		return false;
	}
	slot_getallattrs(locked->slot);
	memcpy(locked->values, locked->slot->tts_values, sizeof(locked->values));
	memcpy(locked->nulls, locked->slot->tts_isnull, sizeof(locked->nulls));

	/* memberships and grants may have changed meanwhile */
	AcceptInvalidationMessages();
	locked->queue = jobq_queue_of_row(locked->values, locked->nulls);
	return true;
}

/*
 * The same for a user who needs the privilege; raises 42704 and 42501.  Does
 * not wait if the user lacks the privilege.
 */
void
jobq_queue_lock(JobqLockedQueue *locked, const char *name, int privilege)
{
	(void) jobq_queue_require(name, privilege);
	if (!jobq_queue_find_and_lock(locked, name))
		jobq_queue_report_missing(name, privilege);
	jobq_queue_check_privilege(locked->queue, privilege);
}

/*
 * Checks the privilege again for a caller that has waited while it held the
 * row lock: owner and grants are unchanged, but roles may have changed.
 */
void
jobq_queue_recheck_locked(const JobqLockedQueue *locked, int privilege)
{
	AcceptInvalidationMessages();
	jobq_queue_check_privilege(locked->queue, privilege);
}

/*
 * Locks the queue against being dropped until the end of the transaction.
 * Does not conflict with other transactions that enqueue; drop_queue takes the
 * same lock in AccessExclusive mode.  Returns the current queue, or NULL if it
 * is gone.  If the queue has changed, the caller must check privileges on it
 * again.
 *
 * This is the first lock that a call takes (docs/internals.md, "Order of
 * locks").
 */
const JobqQueue *
jobq_queue_try_lock_shared(const JobqQueue *queue)
{
	const JobqQueue *now = queue;
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, jobq_relation_oid(JOBQ_REL_QUEUE),
					   queue->id, 0);
	if (LockAcquire(&tag, AccessShareLock, false, true) ==
		LOCKACQUIRE_NOT_AVAIL)
	{
		(void) LockAcquire(&tag, AccessShareLock, false, false);
		now = jobq_queue_read_now(queue->id);
	}
	else if (!jobq_queue_cache_is_current(queue))
		now = jobq_queue_by_id(queue->id);
	return now;
}

/* The same; raises 42704 if the queue is gone. */
const JobqQueue *
jobq_queue_lock_shared(const JobqQueue *queue)
{
	const JobqQueue *now = jobq_queue_try_lock_shared(queue);

	if (now == NULL)
		jobq_queue_report_missing(queue->name, JOBQ_PRIV_OWNER);
	return now;
}

/*
 * The queue of that name, locked likewise, for a user who needs the privilege (42501);
 * raises 42704 if there is none.
 */
const JobqQueue *
jobq_queue_require_shared(const char *name, int privilege)
{
	const JobqQueue *queue = jobq_queue_require(name, privilege);

	for (;;)
	{
		const JobqQueue *locked = jobq_queue_lock_shared(queue);

		if (locked == queue)
			return queue;
		/* it has changed, and may have another name */
		jobq_queue_check_privilege(locked, privilege);
		if (strcmp(locked->name, name) == 0)
			return locked;
		queue = jobq_queue_require(name, privilege);
	}
}
