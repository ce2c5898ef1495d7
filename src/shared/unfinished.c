/*-------------------------------------------------------------------------
 *
 * unfinished.c
 *	  How many unfinished jobs queues have, for those with max_queued.
 *
 * Three things make a counter exact without stopping anybody:
 *
 *	- Each process publishes what it is about to commit before the commit, and
 *	  adds it to the counters after that, both under JOBQ_LOCK_COUNTS, shared.
 *	  A recount takes its snapshot with the lock held exclusively.  So what its
 *	  snapshot shows is in the counter, or was published, or both are false.
 *	- A transaction that has written before the counting began has noted
 *	  nothing.  Its XID is older than `count_since`: until the snapshot of a
 *	  recount shows that all of those have ended, the counter is provisional,
 *	  and counted again when they have, and every few seconds.  Such a one counts
 *	  again after each rollback to a savepoint, too.
 *	- What commits without a callback (COMMIT PREPARED) makes the counter
 *	  unknown, and so does another file of the table, which may have lost its
 *	  rows (TRUNCATE).
 *
 * IDENTIFICATION
 *	  src/shared/unfinished.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/unfinished.h"

#include "compat.h"
#include "shared/mark.h"
#include "shared/queue_state.h"
#include "shared/xact_end.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Queues of one transaction that are published; with more, no recount ends. */
#define MAX_PUBLISHED 6

/* How long a provisional count will do. */
#define PROVISIONAL_TIME (5 * USECS_PER_SEC)

/* What a transaction that is about to commit has done to one queue. */
typedef struct JobqCommitting
{
	TransactionId xid;
	int64		njobs;
} JobqCommitting;

/* What a process is about to commit; under JOBQ_LOCK_COUNTS, by itself. */
typedef struct Published
{
	TransactionId xid;			/* invalid: nothing */
	int			n;				/* more than MAX_PUBLISHED: not all are here */
	struct
	{
		JobqEntryKey key;
		int64		njobs;
	}			queues[MAX_PUBLISHED];
} Published;

/* What this transaction has done to a queue at one level, from 1. */
typedef struct OwnCount
{
	JobqQueueState *state;
	int32		queue;
	int			level;
	int64		njobs;
} OwnCount;

static Published *published = NULL;

/* In TopTransactionContext, levels ascending; NULL: none. */
static OwnCount *own = NULL;
static int	nown = 0;
static int	max_own = 0;

/*
 * How many subtransactions of this transaction have been rolled back; how many had
 * been when it last counted the jobs of a queue, and which queue that was.
 */
static uint32 nrollbacks = 0;
static uint32 recounted_after = 0;
static const JobqQueueState *recounted = NULL;

static int
max_processes(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

Size
jobq_unfinished_size(void)
{
	return mul_size(max_processes(), sizeof(Published));
}

/* Makes the array in shared memory; called while that is set up. */
void
jobq_unfinished_startup(void)
{
	bool		found;

	published = ShmemInitStruct("jobq commits", jobq_unfinished_size(),
								&found);
	if (!found)
		memset(published, 0, jobq_unfinished_size());
}

/* Adds to the entry of the queue at this level, which it makes if needed. */
static void
add_own(JobqQueueState *state, int32 queue, int level, int64 njobs)
{
	for (int i = nown - 1; i >= 0 && own[i].level == level; i--)
	{
		if (own[i].queue == queue)
		{
			own[i].njobs += njobs;
			return;
		}
	}
	if (own == NULL)
	{
		max_own = 8;
		own = MemoryContextAlloc(TopTransactionContext,
								 max_own * sizeof(OwnCount));
	}
	else if (nown == max_own)
	{
		own = repalloc_huge(own, 2 * max_own * sizeof(OwnCount));
		max_own *= 2;
	}
	own[nown].state = state;
	own[nown].queue = queue;
	own[nown].level = level;
	own[nown].njobs = njobs;
	nown++;
}

void
jobq_count_add(JobqQueueState *state, int32 queue, int64 njobs)
{
	/* there may be room for the queue by now */
	if (state == NULL)
		state = jobq_queue_state_find(queue);
	if (state == NULL || pg_atomic_read_u32(&state->counted) == 0 ||
		!jobq_queue_state_is_of(state, queue))
		return;
	add_own(state, queue, GetCurrentTransactionNestLevel(), njobs);
}

int64
jobq_count_own(int32 queue)
{
	int64		sum = 0;

	for (int i = 0; i < nown; i++)
	{
		if (own[i].queue == queue)
			sum += own[i].njobs;
	}
	return sum;
}

/*
 * Who gets an XID after count_since was read sees that the queue is counted,
 * since it looks after it has written its row.
 */
void
jobq_count_watch(JobqQueueState *state)
{
	if (pg_atomic_read_u32(&state->counted) != 0)
		return;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_COUNTS), LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&state->counted) == 0)
	{
		state->count_kind = JOBQ_COUNT_UNKNOWN;
		state->count_provisional = true;
		state->count_version++;
		pg_atomic_write_u32(&state->counted, 1);
		pg_memory_barrier();
		state->count_since = ReadNextFullTransactionId();
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_COUNTS));
}

void
jobq_count_unwatch(JobqQueueState *state)
{
	if (pg_atomic_read_u32(&state->counted) != 0)
		pg_atomic_write_u32(&state->counted, 0);
}

/*
 * Whether transactions with XIDs below `since` may be running, where xmin is a
 * snapshot's.
 */
static bool
older_may_run(TransactionId xmin, FullTransactionId since)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		age = XidFromFullTransactionId(next) - xmin;

	return U64FromFullTransactionId(next) - age <
		U64FromFullTransactionId(since);
}

/* Whether the counter may be off by what older transactions have done. */
static bool
is_outdated(const JobqQueueState *state)
{
	return state->count_provisional &&
		(!older_may_run(RecentXmin, state->count_since) ||
		 GetCurrentTimestamp() - state->counted_at > PROVISIONAL_TIME);
}

/*
 * Whether what this transaction had done before the counting began, which is in the
 * counter, has been rolled back in part since it was counted.
 */
static bool
has_rolled_back(const JobqQueueState *state)
{
	FullTransactionId mine;

	if (nrollbacks == 0 || !state->count_provisional ||
		(recounted == state && recounted_after == nrollbacks))
		return false;
	mine = GetTopFullTransactionIdIfAny();
	return FullTransactionIdIsValid(mine) &&
		FullTransactionIdPrecedes(mine, state->count_since);
}

JobqCountKind
jobq_count_read(JobqQueueState *state, Oid storage, int64 *count)
{
	JobqCountKind kind;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_COUNTS), LW_SHARED);
	kind = is_outdated(state) || has_rolled_back(state) ||
		state->count_storage != storage ?
		JOBQ_COUNT_UNKNOWN : state->count_kind;
	*count = (int64) pg_atomic_read_u64(&state->count);
	LWLockRelease(jobq_lock(JOBQ_LOCK_COUNTS));
	return kind;
}

/* Copies what others are about to do to the queue; under the lock. */
static void
copy_published(JobqRecount *recount)
{
	for (int i = 0; i < max_processes(); i++)
	{
		const Published *commit = &published[i];

		if (!TransactionIdIsValid(commit->xid))
			continue;
		if (commit->n > MAX_PUBLISHED)
			recount->certain = false;
		for (int j = 0; j < Min(commit->n, MAX_PUBLISHED); j++)
		{
			const JobqEntryKey *key = &commit->queues[j].key;

			if (key->dboid != recount->state->entry.key.dboid ||
				key->id != recount->state->entry.key.id)
				continue;
			recount->committing[recount->n].xid = commit->xid;
			recount->committing[recount->n++].njobs = commit->queues[j].njobs;
		}
	}
}

void
jobq_recount_begin(JobqRecount *recount, JobqQueueState *state, Oid storage)
{
	recount->state = state;
	recount->storage = storage;
	recount->certain = true;
	recount->n = 0;
	recount->committing = palloc(sizeof(JobqCommitting) * max_processes());
	LWLockAcquire(jobq_lock(JOBQ_LOCK_COUNTS), LW_EXCLUSIVE);
	recount->version = state->count_version;
	recount->count = (int64) pg_atomic_read_u64(&state->count);
	copy_published(recount);
	recount->snapshot = GetLatestSnapshot();
	LWLockRelease(jobq_lock(JOBQ_LOCK_COUNTS));
	recount->snapshot = RegisterSnapshot(recount->snapshot);
}

/* What the snapshot has shown of commits that were not in the counter yet. */
static int64
seen_of_committing(const JobqRecount *recount)
{
	int64		sum = 0;

	for (int i = 0; i < recount->n; i++)
	{
		TransactionId xid = recount->committing[i].xid;

		if (!XidInMVCCSnapshot(xid, recount->snapshot) &&
			TransactionIdDidCommit(xid))
			sum += recount->committing[i].njobs;
	}
	return sum;
}

void
jobq_recount_end(JobqRecount *recount, int64 njobs, JobqCountKind kind)
{
	JobqQueueState *state = recount->state;
	int64		difference = njobs - recount->count -
	seen_of_committing(recount);

	LWLockAcquire(jobq_lock(JOBQ_LOCK_COUNTS), LW_EXCLUSIVE);
	if (recount->certain && recount->version == state->count_version)
	{
		pg_atomic_fetch_add_u64(&state->count, difference);
		state->count_kind = kind;
		state->count_storage = recount->storage;
		state->counted_at = GetCurrentTimestamp();
		state->count_provisional = state->count_provisional &&
			older_may_run(recount->snapshot->xmin, state->count_since);
		state->count_version++;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_COUNTS));
	recounted = state;
	recounted_after = nrollbacks;
	UnregisterSnapshot(recount->snapshot);
	pfree(recount->committing);
}

/*
 * Before the commit: tells recounts what it will add.  No subtransaction is left,
 * so each queue has one entry.
 */
static void
publish(void)
{
	Published  *mine = &published[JOBQ_MY_PROC_NUMBER];

	LWLockAcquire(jobq_lock(JOBQ_LOCK_COUNTS), LW_SHARED);
	for (int i = 0; i < Min(nown, MAX_PUBLISHED); i++)
	{
		mine->queues[i].key.dboid = MyDatabaseId;
		mine->queues[i].key.id = own[i].queue;
		mine->queues[i].njobs = own[i].njobs;
	}
	mine->n = nown;
	mine->xid = GetTopTransactionIdIfAny();
	LWLockRelease(jobq_lock(JOBQ_LOCK_COUNTS));
}

/* After the end of the transaction; adds what it has done if it committed. */
static void
settle(bool committed)
{
	Published  *mine = &published[JOBQ_MY_PROC_NUMBER];

	LWLockAcquire(jobq_lock(JOBQ_LOCK_COUNTS), LW_SHARED);
	for (int i = 0; i < nown && committed; i++)
	{
		if (jobq_queue_state_is_of(own[i].state, own[i].queue))
			pg_atomic_fetch_add_u64(&own[i].state->count, own[i].njobs);
	}
	mine->xid = InvalidTransactionId;
	LWLockRelease(jobq_lock(JOBQ_LOCK_COUNTS));
}

/* The counts end with the transaction, whose context has their memory. */
static void
at_transaction_end(XactEvent event)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
	{
		nrollbacks = 0;
		recounted = NULL;
	}
	/* the memory goes, even if all of it has been rolled back */
	if (own == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			publish();
			return;
		case XACT_EVENT_PRE_PREPARE:
			for (int i = 0; i < nown; i++)
				jobq_mark(JOBQ_MARK_COUNT, own[i].queue);
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			settle(event == XACT_EVENT_COMMIT);
			break;
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	own = NULL;
	nown = 0;
}

/* What a subtransaction has done is undone, or is its parent's. */
static void
at_subtransaction_end(SubXactEvent event, int level)
{
	int			end = nown;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		nrollbacks++;
	while (nown > 0 && own[nown - 1].level >= level)
		nown--;
	for (int i = nown; i < end && event == SUBXACT_EVENT_COMMIT_SUB; i++)
	{
		/* no more entries than before: this needs no memory */
		OwnCount	count = own[i];

		add_own(count.state, count.queue, level - 1, count.njobs);
	}
}

/* Called once, by _PG_init. */
void
jobq_unfinished_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_COUNTS,
						 JOBQ_XACT_BEFORE_COMMIT | JOBQ_XACT_BEFORE_PREPARE |
						 JOBQ_XACT_AT_END,
						 at_transaction_end, at_subtransaction_end);
}
