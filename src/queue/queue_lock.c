/*-------------------------------------------------------------------------
 *
 * queue_lock.c
 *	  Queues as their rows are at this moment, for those who change a queue
 *	  or have waited.
 *
 * A privilege is judged on the queue as it is when the change is made.  While
 * a call waits for another transaction the queue can get another owner, a
 * grant can be revoked, and a role can lose a membership.  So whoever has
 * waited asks again, and whoever changes a queue asks when its row is locked.
 * The row and its grants are read by the latest snapshot, whatever the
 * isolation level, and not from the cache: COMMIT PREPARED wakes those who
 * wait before it can tell that caches are out of date.
 *
 * IDENTIFICATION
 *	  src/queue/queue_lock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_lock.h"

#include "base/catalog.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "shared/queue_state.h"

#include "access/twophase.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"

/*
 * The queue as it is now, with what this transaction has done; NULL if there
 * is none.  Allocated in the current memory context.
 */
const JobqQueue *
jobq_queue_read_now(int32 id)
{
	JobqQueue  *queue = palloc(sizeof(JobqQueue));

	AcceptInvalidationMessages();
	if (!jobq_queue_read(id, queue, CurrentMemoryContext))
		return NULL;
	queue->state = jobq_queue_state(id, queue->owner);
	return queue;
}

/*
 * The queue for one who may have waited.  Only prepared transactions can have
 * ended without telling that the cache is out of date.
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
 * For who may have waited, or has run users' code, since he was found to have
 * the privilege: raises 42501 if he has it no longer, and 42704 if the queue is
 * gone, which users' code may have dropped in this transaction.  It may have another
 * name now.
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

/* The same for one who has named a job. */
void
jobq_queue_recheck_job(int32 id, int privilege, int64 job_id)
{
	const JobqQueue *queue = read_again(id);

	if (queue != NULL)
		jobq_queue_check_job_privilege(queue, privilege, job_id);
}

/*
 * Locks the row of the queue of that name, after waiting for others who change
 * it, and reads it into *locked.  False if there is none; then nothing is
 * left open.  Checks no privilege.
 */
bool
jobq_queue_find_and_lock(JobqLockedQueue *locked, const char *name)
{
	ScanKeyData key;

	locked->table = jobq_table_open(JOBQ_REL_QUEUE);
	locked->slot = jobq_table_slot(locked->table);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name));
	if (jobq_table_find(locked->table, jobq_relation_oid(JOBQ_IDX_QUEUE_NAME),
						&key, 1, JOBQ_WAIT, locked->slot) != JOBQ_FOUND)
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
 * The same for a user who needs the privilege: 42704, 42501.  Who does not
 * have it waits for nobody.
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
 * For who has waited while he held the row locked: owner and grants are as
 * they were, but roles may have changed.
 */
void
jobq_queue_recheck_locked(const JobqLockedQueue *locked, int privilege)
{
	AcceptInvalidationMessages();
	jobq_queue_check_privilege(locked->queue, privilege);
}

/*
 * Keeps the queue from being dropped until the end of the transaction.  Other
 * enqueuers are not in the way; drop_queue takes the same lock in
 * AccessExclusive mode.  Returns the queue as it is then: whoever needs a
 * privilege on it checks that now, if this is not what it was.  NULL if the
 * queue is gone.
 *
 * Of a call's locks this is the first one (docs/internals.md, "Order of
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
