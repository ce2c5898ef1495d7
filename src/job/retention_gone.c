/*-------------------------------------------------------------------------
 *
 * retention_gone.c
 *	  Removing the finished jobs of dropped queues, and their attempts.
 *
 * No index of history begins with the queue, so that completions are cheap.
 * If drop_queue() removed the rows, it would read what all other queues have
 * left there.  Instead it adds the queue to gone_queue; the views do not show
 * rows without a queue.  One pass through all segments and the attempts, some
 * blocks per transaction, serves all queues that are listed when it begins,
 * and takes them off the list when it is through.  A queue stays on the list if one
 * of its rows was locked, for example by an open delete(), and so was passed over.
 *
 * IDENTIFICATION
 *	  src/job/retention_gone.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/retention_gone.h"

#include "base/extension.h"
#include "base/home.h"
#include "base/table_find.h"
#include "base/visit.h"
#include "base/walk.h"
#include "job/large_row.h"
#include "queue/queue_cache.h"
#include "shared/clock.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

/*
 * Least time between the beginnings of two passes, which may read all of history, and the
 * maximum share of the time that passes take.
 */
#define PASS_INTERVAL (10 * USECS_PER_MINUTE)
#define SHARE 50

/* Number of queues that a pass serves. */
#define MAX_QUEUES 10000

/* A table that rows of dropped queues may be in. */
typedef struct Place
{
	JobqRelation relation;
	AttrNumber	queue;			/* its column */
} Place;

/* For visits to the rows of a table. */
typedef struct Visit
{
	const Place *place;
	TupleTableSlot *locked;
	int64		bytes;			/* of deleted rows */
} Visit;

static int32 queues[MAX_QUEUES];	/* that the pass serves, ascending */
static bool has_more[MAX_QUEUES];	/* whether one has rows that were locked */
static int	nqueues = 0;		/* 0: there is no pass */
static int	place_no = 0;		/* of the table that it is in */
static BlockNumber next_block = 0;
static TimestampTz began = DT_NOBEGIN;
static int64 stopwatch = 0;		/* when it began, by jobq_stopwatch() */
static TimestampTz due = DT_NOBEGIN;	/* the next one */

void
jobq_retention_forget_gone(void)
{
	nqueues = 0;
	began = due = DT_NOBEGIN;
}

static Place
get_place(int n)
{
	Place		result = {JOBQ_REL_ATTEMPT, Anum_attempt_queue};

	if (n < JOBQ_HISTORY_SEGMENTS)
	{
		result.relation = JOBQ_REL_HISTORY_0 + n;
		result.queue = Anum_history_queue;
	}
	return result;
}

static int
compare_queues(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return x < y ? -1 : x > y;
}

/* See retention_gone.h. */
void
jobq_retention_add_gone(int32 queue)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_GONE_QUEUE);
	Datum		values[Natts_gone_queue];
	bool		nulls[Natts_gone_queue] = {0};

	values[Anum_gone_queue_id - 1] = Int32GetDatum(queue);
	values[Anum_gone_queue_system_identifier - 1] =
		Int64GetDatum(jobq_home_identifier());
	values[Anum_gone_queue_database - 1] = ObjectIdGetDatum(MyDatabaseId);
	jobq_table_insert(table, values, nulls);
	jobq_table_close(table);
}

/*
 * A JobqValuesVisitor for gone_queue.  A row that came with a dump waits for start(),
 * since history may not be restored yet.
 */
static void
visit_gone(void *arg, const Datum *values, const bool *nulls)
{
	int32		id = DatumGetInt32(values[Anum_gone_queue_id - 1]);

	/* a dump of tables alone may be restored beside another's queues */
	if (nqueues < MAX_QUEUES &&
		jobq_home_is(values[Anum_gone_queue_system_identifier - 1],
					 values[Anum_gone_queue_database - 1]) &&
		jobq_queue_by_id(id) == NULL)
		queues[nqueues++] = id;
}

/* A JobqRowVisitor: deletes a row of a dropped queue, unless it is locked. */
static bool
visit_row(JobqTable *table, TupleTableSlot *row, Snapshot snapshot, void *arg)
{
	Visit	   *visit = arg;
	bool		isnull;
	int32		id = DatumGetInt32(slot_getattr(row, visit->place->queue,
												&isnull));
	int32	   *queue = bsearch(&id, queues, nqueues, sizeof(int32),
								compare_queues);

	if (queue == NULL)
		return true;
	switch (jobq_table_lock(table, &row->tts_tid, snapshot, visit->locked))
	{
		case JOBQ_FOUND:
			jobq_table_delete(table, visit->locked);
			visit->bytes += jobq_row_bytes(row);
			break;
		case JOBQ_BUSY:
			has_more[queue - queues] = true;
			break;
		default:
			break;
	}
	return visit->bytes < JOBQ_MOVE_BYTES;
}

/* For jobq_walk(). */
static BlockNumber
visit_rows(ItemPointer from, ItemPointer to, void *arg)
{
	const Place *place = arg;
	JobqTable  *table = jobq_table_open(place->relation);
	Visit		visit = {.place = place,.locked = jobq_table_slot(table)};
	BlockNumber stopped = jobq_walk_rows(table, from, to, visit_row, &visit);

	jobq_table_close(table);
	return stopped;
}

/*
 * Takes the queues of which nothing is left off the list.  Returns when the next pass may
 * begin.
 */
static TimestampTz
end_pass(TimestampTz now)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_GONE_QUEUE);
	TupleTableSlot *slot = jobq_table_slot(table);

	for (int i = 0; i < nqueues; i++)
	{
		ScanKeyData key;

		if (has_more[i])
			continue;
		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(queues[i]));
		if (jobq_table_find(table, jobq_relation_oid(JOBQ_IDX_GONE_QUEUE),
							&key, 1, JOBQ_NO_WAIT, slot) == JOBQ_FOUND)
			jobq_table_delete(table, slot);
	}
	jobq_table_close(table);
	nqueues = 0;
	due = Max(began + PASS_INTERVAL,
			  now + (jobq_stopwatch() - stopwatch) * SHARE);
	return due;
}

/*
 * Begins a pass if there are queues for one.  Otherwise returns false, and when
 * to look again; a queue that is dropped has the work looked at, too.
 */
static bool
begin_pass(TimestampTz now, TimestampTz *again)
{
	*again = JOBQ_NEVER;
	/* the clock may have been set back */
	if (now >= began && now < due)
	{
		*again = due;
		return false;
	}
	jobq_visit_all_rows(JOBQ_REL_GONE_QUEUE, visit_gone, NULL);
	if (nqueues == 0)
		return false;
	qsort(queues, nqueues, sizeof(int32), compare_queues);
	memset(has_more, 0, nqueues * sizeof(bool));
	began = now;
	stopwatch = jobq_stopwatch();
	place_no = 0;
	next_block = 0;
	return true;
}

TimestampTz
jobq_retention_clean_gone(TimestampTz now, bool careful)
{
	TimestampTz again;
	Place		place;
	JobqWalk	walk = {.visit = visit_rows,.arg = &place,.careful = careful,
	.repeatable = true};

	if (nqueues == 0 && !begin_pass(now, &again))
		return again;
	place = get_place(place_no);
	walk.relation = place.relation;
	next_block = jobq_walk(&walk, next_block, JOBQ_WALK_BLOCKS);
	if (next_block != InvalidBlockNumber)
		return now;
	next_block = 0;
	if (++place_no <= JOBQ_HISTORY_SEGMENTS)
		return now;
	return end_pass(now);
}
