/*-------------------------------------------------------------------------
 *
 * retention_attempt.c
 *	  Removing the attempts of jobs that are gone.
 *
 * When a segment of history is emptied, the attempts of its jobs are left
 * behind.  The table of attempts is then scanned, some blocks per transaction.
 * Whether a job still exists is determined by the same snapshot as its
 * attempts, so concurrent changes of its state do not matter.
 *
 * IDENTIFICATION
 *	  src/job/retention_attempt.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/retention_attempt.h"

#include "base/table_find.h"
#include "base/walk.h"
#include "compat.h"
#include "job/large_row.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "utils/fmgroids.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

/* Each row may require a lookup in all tables of jobs. */
#define BLOCKS (JOBQ_WALK_BLOCKS / 8)

/* The tables that a job may be in: live jobs, and history. */
#define NTABLES (1 + JOBQ_HISTORY_SEGMENTS)

/* A search for jobs by id. */
typedef struct Search
{
	JobqTable  *tables[NTABLES];
	TupleTableSlot *slots[NTABLES];
	Relation	indexes[NTABLES];
	IndexScanDesc scans[NTABLES];
	MemoryContext context;		/* of the scans */
	TupleTableSlot *locked;		/* for attempts */
	int64		last_id;		/* a job's attempts are mostly neighbours */
	bool		last_found;
	int64		bytes;			/* of deleted attempts */
} Search;

static BlockNumber next_block = 0;
static bool due = true;

void
jobq_retention_attempts_are_due(void)
{
	due = true;
	next_block = 0;
}

static void
begin_search(Search *search, JobqTable *attempts)
{
	memset(search, 0, sizeof(*search));
	search->context = CurrentMemoryContext;
	search->locked = jobq_table_slot(attempts);
	for (int i = 0; i < NTABLES; i++)
	{
		JobqTable  *table = jobq_table_open(i == 0 ? JOBQ_REL_JOB :
											JOBQ_REL_HISTORY_0 + i - 1);

		search->tables[i] = table;
		search->slots[i] = jobq_table_slot(table);
		search->indexes[i] = index_open(jobq_primary_key_index(table->rel),
										AccessShareLock);
		search->scans[i] = jobq_index_beginscan(table->rel,
												search->indexes[i],
												GetActiveSnapshot(), 1);
	}
}

static void
end_search(Search *search)
{
	for (int i = 0; i < NTABLES; i++)
	{
		index_endscan(search->scans[i]);
		index_close(search->indexes[i], NoLock);
		jobq_table_close(search->tables[i]);
	}
}

/* Whether a job exists, finished or not. */
static bool
job_exists(Search *search, int64 id)
{
	ScanKeyData key;
	MemoryContext oldcontext;

	if (id == search->last_id)
		return search->last_found;
	search->last_id = id;
	search->last_found = false;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(id));

	/* a scan keeps the memory that it allocates when it reads rows */
	oldcontext = MemoryContextSwitchTo(search->context);
	for (int i = 0; i < NTABLES && !search->last_found; i++)
	{
		index_rescan(search->scans[i], &key, 1, NULL, 0);
		search->last_found = index_getnext_slot(search->scans[i],
												ForwardScanDirection,
												search->slots[i]);
	}
	MemoryContextSwitchTo(oldcontext);
	return search->last_found;
}

/*
 * Deletes an attempt whose job is gone, unless it is locked.  Keeps those of
 * queues that are not at home, since a dump may be being restored, one table
 * after another.  Stops after many bytes.
 */
static bool
visit_attempt(JobqTable *table, TupleTableSlot *row, Snapshot snapshot,
			  void *arg)
{
	Search	   *search = arg;
	const JobqQueue *queue;
	bool		isnull;
	int64		id = DatumGetInt64(slot_getattr(row, Anum_attempt_job_id,
												&isnull));

	if (job_exists(search, id))
		return true;
	queue = jobq_queue_by_id(DatumGetInt32(slot_getattr(row,
														Anum_attempt_queue,
														&isnull)));
	if (queue != NULL && queue->at_home &&
		jobq_table_lock(table, &row->tts_tid, snapshot,
						search->locked) == JOBQ_FOUND)
	{
		jobq_table_delete(table, search->locked);
		search->bytes += jobq_row_bytes(row);
	}
	return search->bytes < JOBQ_MOVE_BYTES;
}

/* For jobq_walk(). */
static BlockNumber
visit_attempts(ItemPointer from, ItemPointer to, void *arg)
{
	JobqTable  *attempts = jobq_table_open(JOBQ_REL_ATTEMPT);
	Search		search;
	BlockNumber stopped;

	begin_search(&search, attempts);
	stopped = jobq_walk_rows(attempts, from, to, visit_attempt, &search);
	end_search(&search);
	jobq_table_close(attempts);
	return stopped;
}

TimestampTz
jobq_retention_clean_attempts(TimestampTz now, bool careful)
{
	JobqWalk	walk = {.relation = JOBQ_REL_ATTEMPT,.visit = visit_attempts,
	.careful = careful,.repeatable = true};

	if (!due)
		return JOBQ_NEVER;
	next_block = jobq_walk(&walk, next_block, BLOCKS);
	due = next_block != InvalidBlockNumber;
	return due ? now : JOBQ_NEVER;
}
