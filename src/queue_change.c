/*-------------------------------------------------------------------------
 *
 * queue_change.c
 *	  How processes learn that somebody has changed a queue.
 *
 * Each database has a log of changes in shared memory: the ids of the queues
 * that were changed last, or whose grants were, with the owner at that time,
 * and a counter of all changes.  A process remembers how far it has read, and
 * forgets what it knows of those queues when it reads on (queue_cache.c).  Who
 * has fallen so far behind that entries were overwritten forgets all queues,
 * and reads those that it needs again one by one.
 *
 * A transaction notes its changes while it runs, in memory that is there from
 * the start, and its commit callback writes them to the log: after it has
 * become visible, and before it gives back its locks.  Whoever reads the
 * counter and then the row of a queue, with a new snapshot, knows as much as
 * the log says at that place, or more.
 *
 * An entry without a queue stands for the service's row.
 *
 * IDENTIFICATION
 *	  src/queue_change.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue_cache.h"
#include "queue_row.h"

#include "miscadmin.h"

/* What this transaction has changed.  More than fit is everything. */
static JobqQueueChange noted[JOBQ_QUEUE_CHANGES];
static int	nnoted = 0;
static bool all_noted = false;

/*
 * This transaction has changed the row or the grants of a queue, which belongs
 * to the owner; or belonged to him, who then is noted as well.
 * JOBQ_NO_QUEUE: the service's row.
 */
void
jobq_queue_change_note(int32 queue, Oid owner)
{
	jobq_queue_cache_forget(queue, owner);
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

/* This transaction may have changed any queue. */
void
jobq_queue_change_note_all(void)
{
	jobq_queue_cache_forget_all();
	all_noted = true;
}

/* Writes `n` changes into the log, or has every process forget all. */
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

/* The transaction has become visible: tells the others what it changed. */
void
jobq_queue_changes_publish(void)
{
	if (nnoted > 0 || all_noted)
		publish(jobq_database(), noted, nnoted, all_noted);
	jobq_queue_changes_forget();
}

/* Nobody knows what has been changed. */
void
jobq_queue_changes_publish_all(JobqDatabase *database)
{
	publish(database, NULL, 0, true);
}

/*
 * The changes, or some of them, were rolled back: what this process knows of
 * the queues may have been read meanwhile.
 */
void
jobq_queue_changes_undo(void)
{
	for (int i = 0; i < nnoted; i++)
		jobq_queue_cache_forget(noted[i].queue, noted[i].owner);
	if (all_noted)
		jobq_queue_cache_forget_all();
}

/* The transaction is over. */
void
jobq_queue_changes_forget(void)
{
	nnoted = 0;
	all_noted = false;
}

/*
 * The changes from a place in the log on, which is moved to the end.  Their
 * number, or -1 if they are there no longer.
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
