/*-------------------------------------------------------------------------
 *
 * retention_count.c
 *	  Limits by number: keep_completed_count and keep_dead_count.
 *
 * History has no index by queue and time, since it would make finishing each
 * job more expensive.  So it is scanned twice, some blocks per transaction:
 * first to find the oldest job that each limit keeps, and then to delete older
 * ones.  The cost does not depend on the number of limits.  This is done every
 * ten minutes if jobs have finished since, and takes at most a fiftieth of the
 * time.
 *
 * For each limit, the newest jobs seen so far are remembered, up to twice the
 * limit.  If the limit is higher than MAX_KEPT, only a sample of the jobs,
 * chosen by their ids, is looked at, and slightly more jobs are kept than the
 * limit says.  If all limits together would take too much memory, they are
 * handled in several turns.
 *
 * IDENTIFICATION
 *	  src/job/retention_count.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/retention_count.h"

#include "base/extension.h"
#include "base/table_find.h"
#include "base/walk.h"
#include "job/history.h"
#include "job/large_row.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"

#include "common/hashfn.h"
#include "pgstat.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define EVERY (10 * USECS_PER_MINUTE)
#define SHARE 50

/*
 * Maximum number of jobs remembered for a limit, and for all limits of a turn.
 */
#define MAX_KEPT 32768
#define MAX_REMEMBERED (1024 * 1024)

/*
 * The limit is raised by one part in this many if only a sample of the jobs is
 * looked at.
 */
#define MARGIN 25

/* A finished job, and when it finished. */
typedef struct Finished
{
	TimestampTz at;
	int64		id;
} Finished;

typedef struct LimitKey
{
	int32		queue;
	int32		completed;		/* 1: keep_completed_count */
} LimitKey;

typedef struct CountLimit
{
	LimitKey	key;
	int			count;			/* number kept, of those looked at */
	int			stride;			/* one in this many jobs is looked at */
	int			nnewest;
	int			max_newest;		/* allocated */
	Finished   *newest;
	Finished	oldest;			/* that is kept */
} CountLimit;

typedef enum Phase
{
	PHASE_IDLE,
	PHASE_COUNT,
	PHASE_DELETE
} Phase;

/* For visits to the rows of a segment. */
typedef struct Visit
{
	TimestampTz now;
	TupleTableSlot *locked;
	int64		bytes;			/* of deleted rows */
} Visit;

static Phase phase = PHASE_IDLE;
static MemoryContext context = NULL;	/* of all that follows */
static HTAB *limits = NULL;		/* of CountLimit, by LimitKey */
static int32 last_queue = 0;	/* of this turn */
static bool more_queues = false;	/* there is another turn */
static int	segment = 0;
static BlockNumber next_block = 0;

static TimestampTz began = DT_NOBEGIN;
static int64 stopwatch;			/* when it began, by jobq_stopwatch() */
static TimestampTz due = DT_NOBEGIN;
static int64 counted_inserts = -1;
static uint64 counted_changes = 0;

/* Newest first. */
static int
compare_finished(const void *a, const void *b)
{
	const Finished *x = a;
	const Finished *y = b;

	if (x->at != y->at)
		return x->at > y->at ? -1 : 1;
	return x->id > y->id ? -1 : x->id < y->id;
}

void
jobq_retention_forget_counts(void)
{
	phase = PHASE_IDLE;
	due = DT_NOBEGIN;
	last_queue = 0;
	counted_inserts = -1;
}

/* A number that grows with the rows written to history. */
static int64
history_inserts(void)
{
	int64		result = 0;

	for (int i = 0; i < JOBQ_HISTORY_SEGMENTS; i++)
	{
		PgStat_StatTabEntry *entry =
		pgstat_fetch_stat_tabentry(jobq_relation_oid(JOBQ_REL_HISTORY_0 + i));

		if (entry != NULL)
			result += entry->tuples_inserted;
	}
	return result;
}

/*
 * Adds a limit, if there is one.  Returns the maximum number of jobs to
 * remember for it.
 */
static int
add_limit(int32 queue, bool completed, int count)
{
	LimitKey	key = {queue, completed};
	CountLimit *limit;

	if (count < 0)
		return 0;
	limit = hash_search(limits, &key, HASH_ENTER, NULL);
	limit->count = count;
	limit->stride = 1;
	if (count > MAX_KEPT)
	{
		limit->stride = (count - 1) / (MAX_KEPT - MAX_KEPT / MARGIN) + 1;
		limit->count = count / limit->stride;
		limit->count += limit->count / MARGIN;
	}
	limit->nnewest = 0;
	limit->max_newest = 0;
	limit->newest = NULL;
	limit->oldest.at = DT_NOBEGIN;
	limit->oldest.id = 0;
	return 2 * limit->count;
}

/*
 * Collects the limits of the queues of this turn; returns false if there are
 * none.
 */
static bool
collect_limits(void)
{
	HASHCTL		info = {0};
	int64		remembered = 0;
	int32		after = last_queue;
	int			n;
	const JobqQueueBrief *queues = jobq_queues_all(&n);

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext,
										"jobq numbers of finished jobs",
										ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	info.keysize = sizeof(LimitKey);
	info.entrysize = sizeof(CountLimit);
	info.hcxt = context;
	limits = hash_create("jobq limits", 64, &info,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	more_queues = false;
	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *queue = &queues[i];

		if (queue->id <= after ||
			(queue->keep_completed_count < 0 && queue->keep_dead_count < 0))
			continue;
		if (remembered >= MAX_REMEMBERED)
		{
			more_queues = true;
			break;
		}
		remembered += add_limit(queue->id, true, queue->keep_completed_count);
		remembered += add_limit(queue->id, false, queue->keep_dead_count);
		last_queue = queue->id;
	}
	return hash_get_num_entries(limits) > 0;
}

/* Forgets all remembered jobs except those that the limit keeps. */
static void
cut(CountLimit *limit)
{
	qsort(limit->newest, limit->nnewest, sizeof(Finished), compare_finished);
	if (limit->nnewest < limit->count || limit->count == 0)
		return;
	limit->nnewest = limit->count;
	limit->oldest = limit->newest[limit->count - 1];
}

static void
remember(CountLimit *limit, const Finished *finished)
{
	if (limit->nnewest == limit->max_newest)
	{
		if (limit->nnewest >= 2 * limit->count)
			cut(limit);
		else
		{
			limit->max_newest = Min(Max(2 * limit->max_newest, 16),
									2 * limit->count);
			limit->newest = limit->newest == NULL ?
				MemoryContextAlloc(context,
								   limit->max_newest * sizeof(Finished)) :
				repalloc(limit->newest,
						 limit->max_newest * sizeof(Finished));
		}
	}
	limit->newest[limit->nnewest++] = *finished;
}

/*
 * The limit that applies to a finished job, or NULL.  A job whose unique key is
 * still in force does not count.
 */
static CountLimit *
read_row(TupleTableSlot *row, TimestampTz now, Finished *finished)
{
	LimitKey	key;
	CountLimit *limit;

	slot_getsomeattrs(row, Anum_history_state);
	key.queue = DatumGetInt32(row->tts_values[Anum_history_queue - 1]);
	key.completed =
		DatumGetInt16(row->tts_values[Anum_history_state - 1]) ==
		JOBQ_STATE_COMPLETED;
	limit = hash_search(limits, &key, HASH_FIND, NULL);
	if (limit == NULL || jobq_history_key_counts(row, now))
		return NULL;
	finished->at =
		DatumGetTimestampTz(row->tts_values[Anum_history_finished_at - 1]);
	finished->id = DatumGetInt64(row->tts_values[Anum_history_id - 1]);
	return limit;
}

static bool
count_row(JobqTable *table, TupleTableSlot *row, Snapshot snapshot, void *arg)
{
	Visit	   *visit = arg;
	Finished	finished;
	CountLimit *limit = read_row(row, visit->now, &finished);

	if (limit == NULL || limit->count == 0 ||
		compare_finished(&finished, &limit->oldest) > 0)
		return true;
	if (limit->stride > 1 &&
		murmurhash32((uint32) finished.id) % limit->stride != 0)
		return true;
	remember(limit, &finished);
	return true;
}

/* Deletes a row that is too old; stops after many bytes. */
static bool
delete_row(JobqTable *table, TupleTableSlot *row, Snapshot snapshot, void *arg)
{
	Visit	   *visit = arg;
	Finished	finished;
	CountLimit *limit = read_row(row, visit->now, &finished);

	/* a locked row is deleted next time */
	if (limit != NULL &&
		(limit->count == 0 ||
		 compare_finished(&finished, &limit->oldest) > 0) &&
		jobq_table_lock(table, &row->tts_tid, snapshot,
						visit->locked) == JOBQ_FOUND)
	{
		jobq_table_delete(table, visit->locked);
		visit->bytes += jobq_row_bytes(row);
	}
	return visit->bytes < JOBQ_MOVE_BYTES;
}

/* Determines which jobs are too old, after all have been counted. */
static void
begin_to_delete(void)
{
	HASH_SEQ_STATUS status;
	CountLimit *limit;

	hash_seq_init(&status, limits);
	while ((limit = hash_seq_search(&status)) != NULL)
	{
		if (limit->newest == NULL)
			continue;
		cut(limit);
		pfree(limit->newest);
		limit->newest = NULL;
	}
}

/* For jobq_walk(). */
static BlockNumber
visit_rows(ItemPointer from, ItemPointer to, void *arg)
{
	Visit	   *visit = arg;
	JobqTable  *table = jobq_table_open(JOBQ_REL_HISTORY_0 + segment);
	BlockNumber stopped;

	visit->locked = jobq_table_slot(table);
	stopped = jobq_walk_rows(table, from, to,
							 phase == PHASE_COUNT ? count_row : delete_row,
							 visit);
	jobq_table_close(table);
	return stopped;
}

/*
 * Scans some blocks of history.  Returns false if they were the last ones.  No
 * job is counted twice: that would cause others to be deleted.
 */
static bool
visit_blocks(TimestampTz now, bool careful)
{
	Visit		visit = {.now = now};
	JobqWalk	walk = {.relation = JOBQ_REL_HISTORY_0 + segment,
		.visit = visit_rows,.arg = &visit,.careful = careful,
	.repeatable = phase != PHASE_COUNT};

	next_block = jobq_walk(&walk, next_block, JOBQ_WALK_BLOCKS);
	if (next_block != InvalidBlockNumber)
		return true;
	next_block = 0;
	segment = (segment + 1) % JOBQ_HISTORY_SEGMENTS;
	return segment != 0;
}

/* Begins a turn, or the next phase of one. */
static void
begin_phase(Phase next_phase)
{
	phase = next_phase;
	segment = 0;
	next_block = 0;
}

/* All queues have had their turn. */
static TimestampTz
end_turns(TimestampTz now)
{
	begin_phase(PHASE_IDLE);
	last_queue = 0;
	due = now + Max(EVERY, (jobq_stopwatch() - stopwatch) * SHARE);
	return due;
}

/*
 * Applies the limits by number if jobs have finished since the last time.
 * Returns when to call it again, or JOBQ_NEVER if there is no limit.
 */
TimestampTz
jobq_retention_limit_counts(TimestampTz now, bool careful)
{
	if (phase == PHASE_IDLE)
	{
		int64		inserts = history_inserts();
		uint64		changes =
		pg_atomic_read_u64(&jobq_database()->nchanges);

		/* the clock may have been set back */
		if (now < due && began <= now)
			return due;
		if (!collect_limits())
		{
			jobq_retention_forget_counts();
			return JOBQ_NEVER;
		}
		began = now;
		stopwatch = jobq_stopwatch();
		if (inserts == counted_inserts && changes == counted_changes)
			return end_turns(now);
		counted_inserts = inserts;
		counted_changes = changes;
		begin_phase(PHASE_COUNT);
	}
	if (visit_blocks(now, careful))
		return now;
	if (phase == PHASE_COUNT)
	{
		begin_to_delete();
		begin_phase(PHASE_DELETE);
	}
	else if (!more_queues || !collect_limits())
		return end_turns(now);
	else
		begin_phase(PHASE_COUNT);
	return now;
}
