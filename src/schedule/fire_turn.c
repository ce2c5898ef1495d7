/*-------------------------------------------------------------------------
 *
 * fire_turn.c
 *	  Which of the schedules that are due have their turn in a batch.
 *
 * The index on next_run shows which schedules have become due since the last batch,
 * and whose they are.  It is read for one batch at most, since one owner may have any
 * number of them.  Beyond that the index on owners shows which owners have due
 * schedules, with two descents for each.
 *
 * The schedules are taken from the index on owners: a batch is divided among
 * those owners, and what some do not need goes to the others.  Half of an owner's
 * share is for schedules that wait for a job, and may be ready now.  The order is one
 * schedule of each owner, then the second ones, and so on.  If the batch ends early
 * because of long payloads or missed runs, the owners that got nothing come first in
 * the next one.
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
	return jobq_row_is_at_home(slot, Anum_schedule_system_identifier,
							   Anum_schedule_database);
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
		   JobqFirePlace *place)
{
	IndexScanDesc scan = begin_scan(search, keys, nkeys);
	bool		found = index_getnext_tid(scan, ForwardScanDirection) != NULL;
	bool		isnull;

	if (found)
	{
		*owner = DatumGetObjectId(index_getattr(scan->xs_itup,
												JOBQ_FIRE_COL_OWNER,
												scan->xs_itupdesc, &isnull));
		jobq_fire_place_read(place, scan);
	}
	index_endscan(scan);
	return found;
}

/* Initializes the keys for a part of an owner's schedules. */
static void
make_keys(ScanKey keys, Oid owner, JobqFirePart part)
{
	ScanKeyInit(&keys[0], JOBQ_FIRE_COL_OWNER, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(owner));
	ScanKeyInit(&keys[1], JOBQ_FIRE_COL_WAITS, BTEqualStrategyNumber,
				F_BOOLEQ, BoolGetDatum(part == JOBQ_FIRE_WAITING));
}

/* Those that are due, from a time on. */
static void
make_due_keys(ScanKey keys, Oid owner, TimestampTz first, TimestampTz now)
{
	make_keys(keys, owner, JOBQ_FIRE_DUE);
	ScanKeyInit(&keys[2], JOBQ_FIRE_COL_NEXT_RUN, BTGreaterEqualStrategyNumber,
				F_TIMESTAMPTZ_GE, TimestampTzGetDatum(first));
	ScanKeyInit(&keys[3], JOBQ_FIRE_COL_NEXT_RUN, BTLessEqualStrategyNumber,
				F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now));
}

/* Adds an owner's schedules that have become due, or wait. */
static void
find_owner(const Search *search, Oid owner, JobqFirePart part,
		   TimestampTz first)
{
	ScanKeyData keys[4];
	JobqFirePlace place;
	bool		waits = part == JOBQ_FIRE_WAITING;

	if (waits)
		make_keys(keys, owner, part);
	else
		make_due_keys(keys, owner, first, search->turns->now);
	if (!read_first(search, keys, waits ? 2 : 4, &owner, &place))
		return;
	if (waits)
		jobq_fire_owner_waits(owner);
	else
		jobq_fire_owner_add(owner, place.next_run);
}

/*
 * Adds the owners of all schedules that have become due, or of all that wait,
 * owner by owner.
 */
static void
find_by_owner(const Search *search, JobqFirePart part, TimestampTz first)
{
	JobqFirePlace place;
	ScanKeyData next;
	Oid			owner;

	ScanKeyInit(&next, JOBQ_FIRE_COL_OWNER, BTGreaterEqualStrategyNumber,
				F_OIDGE, ObjectIdGetDatum(InvalidOid));
	while (read_first(search, &next, 1, &owner, &place))
	{
		CHECK_FOR_INTERRUPTS();
		find_owner(search, owner, part, first);
		ScanKeyInit(&next, JOBQ_FIRE_COL_OWNER, BTGreaterStrategyNumber,
					F_OIDGT, ObjectIdGetDatum(owner));
	}
}

static void
add_turn(Search *search, JobqFireOwner *owner, JobqFirePart part)
{
	JobqFireTurn *turn = &search->turns->turns[search->turns->nturns];

	turn->owner = owner;
	turn->part = part;
	turn->number = owner->nturns++;
	turn->place_in_batch = search->turns->nturns++;
	turn->place = owner->from[part];
	turn->tid = search->slot->tts_tid;
	turn->next_run = next_run_of(search->slot);
}

/* How many schedules of a part may be found, and index entries passed over. */
typedef struct Bounds
{
	int			share;
	int			passed;
} Bounds;

/*
 * Finds schedules of an owner that match the keys and come after the owner's
 * place, and moves that on.  Returns whether these were all.
 */
static bool
find_matching(Search *search, JobqFireOwner *owner, JobqFirePart part,
			  ScanKey keys, Bounds *bounds)
{
	JobqFirePlace *from = &owner->from[part];
	IndexScanDesc scan = begin_scan(search, keys, 4);
	bool		finished = false;

	while (bounds->share > 0 && bounds->passed > 0)
	{
		JobqFirePlace place;

		CHECK_FOR_INTERRUPTS();
		finished = index_getnext_tid(scan, ForwardScanDirection) == NULL;
		if (finished)
			break;
		jobq_fire_place_read(&place, scan);
		if (jobq_fire_place_compare(&place, from) <= 0)
			continue;
		*from = place;
		bounds->passed--;
		if (!index_fetch_heap(scan, search->slot) || !is_at_home(search->slot))
			continue;
		add_turn(search, owner, part);
		bounds->share--;
	}
	index_endscan(scan);
	return finished;
}

/*
 * Finds up to `share` schedules of a part, and moves on past them: first those
 * of the time of the owner's place, then the later ones.  Those that wait are
 * due, unless the clock was set back.
 */
static void
find_turns(Search *search, JobqFireOwner *owner, JobqFirePart part, int share)
{
	TimestampTz last = part == JOBQ_FIRE_DUE ? search->turns->now : JOBQ_NEVER;
	Bounds		bounds = {share, share * PASSED_PER_TURN};
	const JobqFirePlace *from = &owner->from[part];
	ScanKeyData keys[4];
	bool		finished;

	make_keys(keys, owner->owner, part);
	ScanKeyInit(&keys[2], JOBQ_FIRE_COL_NEXT_RUN, BTEqualStrategyNumber,
				F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(from->next_run));
	ScanKeyInit(&keys[3], JOBQ_FIRE_COL_ID, BTGreaterEqualStrategyNumber,
				F_INT8GE, Int64GetDatum(from->id));
	finished = find_matching(search, owner, part, keys, &bounds);
	if (finished)
	{
		ScanKeyInit(&keys[2], JOBQ_FIRE_COL_NEXT_RUN,
					BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT,
					TimestampTzGetDatum(from->next_run));
		ScanKeyInit(&keys[3], JOBQ_FIRE_COL_NEXT_RUN,
					BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
					TimestampTzGetDatum(last));
		finished = find_matching(search, owner, part, keys, &bounds);
	}
	if (finished)
		jobq_fire_place_before(&owner->from[part], JOBQ_NEVER);
}

/*
 * Finds up to `share` schedules of an owner.  Returns whether there may be
 * others that were not passed over either.
 */
static bool
take_turns(Search *search, JobqFireOwner *owner, int share)
{
	JobqFireTurns *turns = search->turns;
	bool		both = jobq_fire_owner_has_more(owner, JOBQ_FIRE_DUE) &&
	jobq_fire_owner_has_more(owner, JOBQ_FIRE_WAITING);
	bool		more = false;

	share = Max(both ? share / 2 : share, 1);
	for (int part = 0; part < JOBQ_FIRE_PARTS; part++)
	{
		int			n = turns->nturns;

		share = Min(share, turns->limit - n);
		if (share == 0 || !jobq_fire_owner_has_more(owner, part))
			continue;
		find_turns(search, owner, part, share);
		more = more || (turns->nturns - n == share &&
						jobq_fire_owner_has_more(owner, part));
	}
	return more;
}

/* Divides the batch among the owners who have schedules to be looked at. */
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
			if (take_turns(search, owners[i], share))
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
jobq_fire_turns_find(JobqFireTurns *turns, TimestampTz first, bool full)
{
	Search		search = {.turns = turns};

	turns->turns = palloc(turns->limit * sizeof(JobqFireTurn));
	turns->nturns = 0;
	search.schedules = jobq_table_open(JOBQ_REL_SCHEDULE);
	search.index = index_open(jobq_relation_oid(JOBQ_IDX_SCHEDULE_OWNER),
							  AccessShareLock);
	search.slot = jobq_table_slot(search.schedules);
	if (!find_by_time(&search, first))
		find_by_owner(&search, JOBQ_FIRE_DUE, first);
	if (full)
		find_by_owner(&search, JOBQ_FIRE_WAITING, DT_NOBEGIN);
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
