/*-------------------------------------------------------------------------
 *
 * queue_change.c
 *	  How processes learn that somebody has changed a queue.
 *
 * Each database has a log of changes in shared memory: the ids of the queues
 * that were changed last, or whose grants were, with the owner at that time,
 * and a counter of all changes.  A process remembers how far it has read, and
 * forgets those queues when it reads on (queue_cache.c).  A process so far
 * behind that entries were overwritten forgets all queues, and reads again,
 * one by one, those that it needs.
 *
 * A transaction notes its changes while it runs, in preallocated memory, and
 * its commit callback writes them to the log: after it has become visible,
 * and before it gives back its locks.  A process that reads the counter and
 * then, with a new snapshot, a queue's row knows at least what the log says
 * up to that place.
 *
 * An entry without a queue stands for the service's row.
 *
 * IDENTIFICATION
 *	  src/shared/queue_change.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/queue_change.h"

#include "shared/database.h"
#include "shared/mark.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "access/xlog.h"
#include "storage/spin.h"

/* What this transaction has changed. If there is no more room: everything. */
static JobqQueueChange noted[JOBQ_QUEUE_CHANGES];
static int	nnoted = 0;
static bool all_noted = false;

/* Highest nesting level at which something was changed, 0: nothing. */
static int	changed_level = 0;

/* Not only queues have changed. */
static bool all_changed = false;

static void (*forget_queue) (int32 queue, Oid owner) = NULL;
static void (*forget_queues) (void) = NULL;

void
jobq_queue_change_follow(void (*forget) (int32 queue, Oid owner),
						 void (*forget_all) (void))
{
	forget_queue = forget;
	forget_queues = forget_all;
}

/* The current subtransaction has changed what others keep in memory. */
static void
note_level(void)
{
	changed_level = Max(changed_level, GetCurrentTransactionNestLevel());
}

void
jobq_at_commit_queue_changed(int32 queue, Oid owner)
{
	note_level();
	forget_queue(queue, owner);
	for (int i = nnoted - 1; i >= 0; i--)
	{
		if (noted[i].queue == queue && noted[i].owner == owner)
			return;
	}
	if (nnoted < JOBQ_QUEUE_CHANGES)
	{
		noted[nnoted].queue = queue;
		noted[nnoted].owner = owner;
		nnoted++;
	}
	else
		all_noted = true;
}

void
jobq_at_commit_service_changed(void)
{
	jobq_at_commit_wake(JOBQ_WAKE_CONFIG);
	jobq_at_commit_queue_changed(JOBQ_NO_QUEUE, InvalidOid);
}

void
jobq_at_commit_all_changed(void)
{
	jobq_at_commit_wake(JOBQ_WAKE_CONFIG);
	note_level();
	forget_queues();
	all_noted = true;
	all_changed = true;
}

/* Writes `n` changes to the log, or makes every process forget all. */
static void
publish(JobqDatabase *database, const JobqQueueChange *changes, int n,
		bool all)
{
	uint64		count;

	SpinLockAcquire(&database->changes_mutex);
	count = pg_atomic_read_u64(&database->nchanges);
	if (all)
		count += JOBQ_QUEUE_CHANGES + 1;
	else
	{
		for (int i = 0; i < n; i++)
			database->changes[count++ % JOBQ_QUEUE_CHANGES] = changes[i];
	}
	pg_atomic_write_u64(&database->nchanges, count);
	SpinLockRelease(&database->changes_mutex);
}

/* See queue_change.h. */
void
jobq_queue_changes_publish(JobqDatabase *database, int32 queue, Oid owner)
{
	JobqQueueChange change = {queue, owner};

	publish(database, &change, 1, false);
}

/* Nobody knows what has been changed. */
void
jobq_queue_changes_publish_all(JobqDatabase *database)
{
	publish(database, NULL, 0, true);
}

/*
 * The changes from a place in the log on, which is advanced to the end.
 * Returns their number, or -1 if they are no longer there.
 */
int
jobq_queue_changes_read(uint64 *position, JobqQueueChange *changes)
{
	JobqDatabase *database = jobq_database();
	int			n = -1;
	uint64		count;

	SpinLockAcquire(&database->changes_mutex);
	count = pg_atomic_read_u64(&database->nchanges);
	if (count - *position <= JOBQ_QUEUE_CHANGES)
	{
		n = (int) (count - *position);
		for (int i = 0; i < n; i++)
			changes[i] = database->changes[(*position + i) %
										   JOBQ_QUEUE_CHANGES];
	}
	SpinLockRelease(&database->changes_mutex);
	*position = count;
	return n;
}

/* Whether a queue may have been changed since a place in the log. */
bool
jobq_queue_changed_since(int32 queue, uint64 position)
{
	JobqQueueChange changes[JOBQ_QUEUE_CHANGES];
	int			n;

	if (position == pg_atomic_read_u64(&jobq_database()->nchanges))
		return false;
	n = jobq_queue_changes_read(&position, changes);
	for (int i = 0; i < n; i++)
	{
		if (changes[i].queue == queue)
			return true;
	}
	return n < 0;
}

/* See queue_change.h. */
bool
jobq_queue_change_is_own(int32 queue)
{
	for (int i = 0; i < nnoted; i++)
	{
		if (noted[i].queue == queue)
			return true;
	}
	return all_noted;
}

/* See queue_change.h. */
uint64
jobq_queue_changes_position(void)
{
	return pg_atomic_read_u64(&jobq_database()->nchanges);
}

/*
 * The changes, or some of them, were rolled back: this process may have read
 * the queues meanwhile.
 */
static void
undo(void)
{
	for (int i = 0; i < nnoted; i++)
		forget_queue(noted[i].queue, noted[i].owner);
	if (all_noted)
		forget_queues();
}

/* The transaction has become visible: tells the others what it changed. */
static void
tell(void)
{
	if (nnoted > 0 || all_noted)
		publish(jobq_database(), noted, nnoted, all_noted);
	if (all_changed)
		pg_atomic_fetch_add_u32(&jobq_database()->generation, 1);
}

/* Makes marks of the changes, for the session that finishes the transaction. */
static void
mark(void)
{
	for (int i = 0; i < nnoted; i++)
	{
		jobq_mark(JOBQ_MARK_CHANGED, noted[i].queue);
		jobq_mark(JOBQ_MARK_OWNER, noted[i].owner);
	}
	if (all_noted)
		jobq_mark(JOBQ_MARK_MANY_CHANGED, 0);
	if (all_changed)
		jobq_mark(JOBQ_MARK_ALL, 0);
}

static void
at_transaction_end(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			mark();
			return;
		case XACT_EVENT_COMMIT:
			tell();
			break;
		case XACT_EVENT_ABORT:
			undo();
			break;
		case XACT_EVENT_PREPARE:
			/* it is not visible yet, not even to this session */
			undo();
			break;
		default:
			return;
	}
	nnoted = 0;
	all_noted = false;
	changed_level = 0;
	all_changed = false;

	/* a standby is not told of changes */
	if (RecoveryInProgress() && forget_queues != NULL)
		forget_queues();
}

static void
at_subtransaction_end(SubXactEvent event, int level)
{
	if (changed_level < level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		undo();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		changed_level = level - 1;
}

/* Called once, by _PG_init. */
void
jobq_queue_change_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_QUEUE_CHANGES,
						 JOBQ_XACT_BEFORE_PREPARE | JOBQ_XACT_AT_END,
						 at_transaction_end, at_subtransaction_end);
}
