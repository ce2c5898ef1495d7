/*-------------------------------------------------------------------------
 *
 * fire_turn.c
 *	  Which of the schedules that are due have their turn in a batch.
 *
 * The index on next_run shows what has become due since the last batch, and
 * whose it is.  If that is more than a batch, it is not read any further, since
 * one owner may have any number of them: the index on owners then shows, with
 * two descents for each, which owners have due schedules.
 *
 * The schedules are taken from the index on owners: a batch is divided among
 * those owners, and what some do not need goes to the others.  Its order is one
 * schedule of each owner, then the second ones, and so on.  So if the batch
 * ends early because of long payloads or missed runs, nobody has come away
 * empty but those who come first in the next batch.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/fire_turn.h"

#include "base/extension.h"
#include "base/home.h"
#include "base/scan.h"
#include "compat.h"
#include "shared/shmem.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/*
 * Number of index entries that an owner's turns may pass over, for each place in
 * the batch: of dead rows, and of schedules that came with a copy.
 */
#define PASSED_PER_TURN 20

/* Columns of the index on owners. */
enum
{
	COL_OWNER = 1,
	COL_NEXT_RUN
};

/* A search for turns. */
typedef struct Search
{
	JobqFireTurns *turns;
	JobqTable  *schedules;
	Relation	index;			/* on owners */
	TupleTableSlot *slot;
} Search;

/*
 * Whether a schedule belongs to this database, not to one of which it is a
 * copy.
 */
static bool
is_at_home(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetInt64(slot_getattr(slot, Anum_schedule_system_identifier,
									  &isnull)) == jobq_home_identifier() &&
		DatumGetObjectId(slot_getattr(slot, Anum_schedule_database,
									  &isnull)) == MyDatabaseId;
}

static TimestampTz
next_run_of(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetTimestampTz(slot_getattr(slot, Anum_schedule_next_run,
											&isnull));
}

/*
 * Adds the owners of all schedules that have become due, in the order of time.
 * Returns false if there are too many.
 */
static bool
find_by_time(Search *search, TimestampTz first)
{
	Relation	index =
	index_open(jobq_relation_oid(JOBQ_IDX_SCHEDULE_NEXT_RUN), AccessShareLock);
	int			room = search->turns->limit;
	IndexScanDesc scan;
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(first));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(search->turns->now));
	scan = jobq_index_beginscan(search->schedules->rel, index,
								search->turns->snapshot, 2);
	index_rescan(scan, keys, 2, NULL, 0);
	while (room >= 0 &&
		   index_getnext_slot(scan, ForwardScanDirection, search->slot))
	{
		bool		isnull;
		Datum		owner = slot_getattr(search->slot, Anum_schedule_owner,
										 &isnull);

		CHECK_FOR_INTERRUPTS();
		room--;
		if (is_at_home(search->slot))
			jobq_fire_owner_add(DatumGetObjectId(owner),
								next_run_of(search->slot));
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
	return room >= 0;
}

/* Begins an index-only scan of the index on owners. */
static IndexScanDesc
begin_scan(const Search *search, ScanKey keys, int nkeys)
{
	IndexScanDesc scan =
	jobq_index_beginscan(search->schedules->rel, search->index,
						 search->turns->snapshot, nkeys);

	scan->xs_want_itup = true;
	index_rescan(scan, keys, nkeys, NULL, 0);
	return scan;
}

/* Reads the first index entry that matches the keys; false if there is none. */
static bool
read_first(const Search *search, ScanKey keys, int nkeys, Oid *owner,
		   JobqIndexPlace *place)
{
	IndexScanDesc scan = begin_scan(search, keys, nkeys);
	bool		found = index_getnext_tid(scan, ForwardScanDirection) != NULL;
	bool		isnull;

	if (found)
	{
		*owner = DatumGetObjectId(index_getattr(scan->xs_itup, COL_OWNER,
												scan->xs_itupdesc, &isnull));
		jobq_index_place_read(place, scan, COL_NEXT_RUN);
	}
	index_endscan(scan);
	return found;
}

/* Initializes the keys for an owner's schedules that are due, from a time on. */
static void
make_keys(ScanKey keys, Oid owner, TimestampTz first, TimestampTz now)
{
	ScanKeyInit(&keys[0], COL_OWNER, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(owner));
	ScanKeyInit(&keys[1], COL_NEXT_RUN, BTGreaterEqualStrategyNumber,
				F_TIMESTAMPTZ_GE, TimestampTzGetDatum(first));
	ScanKeyInit(&keys[2], COL_NEXT_RUN, BTLessEqualStrategyNumber,
				F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now));
}

/* Adds the owners of all schedules that have become due, owner by owner. */
static void
find_by_owner(const Search *search, TimestampTz first)
{
	JobqIndexPlace place;
	ScanKeyData next;
	Oid			owner;

	ScanKeyInit(&next, COL_OWNER, BTGreaterEqualStrategyNumber, F_OIDGE,
				ObjectIdGetDatum(InvalidOid));
	while (read_first(search, &next, 1, &owner, &place))
	{
		ScanKeyData keys[3];

		CHECK_FOR_INTERRUPTS();
		make_keys(keys, owner, first, search->turns->now);
		if (read_first(search, keys, 3, &owner, &place))
			jobq_fire_owner_add(owner, place.at);
		ScanKeyInit(&next, COL_OWNER, BTGreaterStrategyNumber, F_OIDGT,
					ObjectIdGetDatum(owner));
	}
}

static void
add_turn(Search *search, JobqFireOwner *owner)
{
	JobqFireTurn *turn = &search->turns->turns[search->turns->nturns];

	turn->owner = owner;
	turn->number = owner->nturns++;
	turn->place_in_batch = search->turns->nturns++;
	turn->place = owner->from;
	turn->tid = search->slot->tts_tid;
	turn->next_run = next_run_of(search->slot);
}

/*
 * Finds up to `share` schedules of an owner, and moves on past them.  Returns
 * whether there may be others that have not been passed over either.
 */
static bool
find_turns(Search *search, JobqFireOwner *owner, int share)
{
	int			passed = share * PASSED_PER_TURN;
	JobqIndexPlace place;
	IndexScanDesc scan;
	ScanKeyData keys[3];
	bool		finished = false;

	make_keys(keys, owner->owner, owner->from.at, search->turns->now);
	scan = begin_scan(search, keys, 3);
	while (share > 0 && passed > 0)
	{
		CHECK_FOR_INTERRUPTS();
		finished = index_getnext_tid(scan, ForwardScanDirection) == NULL;
		if (finished)
			break;
		jobq_index_place_read(&place, scan, COL_NEXT_RUN);
		if (jobq_index_place_compare(&place, &owner->from) <= 0)
			continue;
		owner->from = place;
		passed--;
		if (!index_fetch_heap(scan, search->slot) || !is_at_home(search->slot))
			continue;
		add_turn(search, owner);
		share--;
	}
	index_endscan(scan);
	if (finished)
		jobq_index_place_before(&owner->from, JOBQ_NEVER);
	return !finished && share == 0;
}

/* Divides the batch among the owners who have schedules that are due. */
static void
divide(Search *search)
{
	int			limit = search->turns->limit;
	JobqFireOwner **owners = palloc(limit * sizeof(JobqFireOwner *));
	int			nowners = jobq_fire_owners_due(owners, limit);

	while (nowners > 0 && search->turns->nturns < limit)
	{
		int			share = Max((limit - search->turns->nturns) / nowners, 1);
		int			nmore = 0;

		for (int i = 0; i < nowners && search->turns->nturns < limit; i++)
		{
			if (find_turns(search, owners[i], share))
				owners[nmore++] = owners[i];
		}
		nowners = nmore;
	}
	pfree(owners);
}

static int
compare_turns(const void *a, const void *b)
{
	const JobqFireTurn *first = a;
	const JobqFireTurn *second = b;

	if (first->number != second->number)
		return first->number - second->number;
	return first->place_in_batch - second->place_in_batch;
}

void
jobq_fire_turns_reset(JobqFireTurns *turns)
{
	for (int i = 0; i < turns->nturns; i++)
	{
		JobqFireTurn *turn = &turns->turns[i];

		turn->left = turn->next_run;
		turn->retry_at = DT_NOBEGIN;
		turn->reached = false;
		turn->waits = false;
	}
}

void
jobq_fire_turns_find(JobqFireTurns *turns, TimestampTz first)
{
	Search		search = {.turns = turns};

	turns->turns = palloc(turns->limit * sizeof(JobqFireTurn));
	turns->nturns = 0;
	search.schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	search.index = index_open(jobq_relation_oid(JOBQ_IDX_SCHEDULE_OWNER),
							  AccessShareLock);
	search.slot = jobq_table_slot(search.schedules);
	if (!find_by_time(&search, first))
		find_by_owner(&search, first);
	divide(&search);
	ExecClearTuple(search.slot);
	index_close(search.index, AccessShareLock);
	jobq_table_close(search.schedules);
	qsort(turns->turns, turns->nturns, sizeof(JobqFireTurn), compare_turns);
}

TimestampTz
jobq_fire_turns_ahead(TimestampTz now)
{
	JobqTable  *schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	TimestampTz result = JOBQ_NEVER;
	JobqScan	scan;
	ScanKeyData key;

	CommandCounterIncrement();
	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT,
				TimestampTzGetDatum(now));
	jobq_scan_begin(&scan, schedules,
					jobq_relation_oid(JOBQ_IDX_SCHEDULE_NEXT_RUN), &key, 1);
	while (jobq_scan_next(&scan))
	{
		if (!is_at_home(scan.slot))
			continue;
		result = next_run_of(scan.slot);
		break;
	}
	jobq_scan_end(&scan);
	jobq_table_close(schedules);
	return result;
}
