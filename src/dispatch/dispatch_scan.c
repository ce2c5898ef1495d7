/*-------------------------------------------------------------------------
 *
 * dispatch_scan.c
 *	  Reading the index of a stream from a given position.
 *
 * The first columns of such an index name the stream; then come priority,
 * run_at and id.  The jobs of a queue are in job_dispatch, those of its groups in
 * job_group.
 *
 * Scans use the latest snapshot regardless of the isolation level: what counts
 * is the row version that is finally locked or changed.
 *
 * IDENTIFICATION
 *	  src/dispatch/dispatch_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/dispatch_scan.h"

#include "base/extension.h"
#include "compat.h"

#include "access/nbtree.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Columns of an index, counted from the last of those that name the stream. */
#define KEY_PRIORITY 1
#define KEY_RUN_AT 2
#define KEY_ID 3

/* The most columns that name a stream, and the most keys of a scan. */
#define MAX_PREFIX 2
#define MAX_KEYS (MAX_PREFIX + 2)

/*
 * A walk over groups passes over this many entries of one group before it descends in the
 * index for the next one: a descent has to read all of a page.
 */
#define MAX_PASSED 64

struct JobqStreamIndex
{
	JobqStreamKind kind;
	JobqRelation relation;

	/*
	 * Makes the keys that select the scan's stream; returns how many columns
	 * they are of.
	 */
	int			(*make_prefix) (const JobqDispatchScan *scan, ScanKey keys);

	/* Whether a row is the stream's. */
	bool		(*has_row) (const JobqDispatchScan *scan, const JobqHead *head);
};

/* job_dispatch (queue, priority, run_at, id) */
static int
make_queue_prefix(const JobqDispatchScan *scan, ScanKey keys)
{
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(scan->queue->id));
	return 1;
}

static bool
is_of_queue(const JobqDispatchScan *scan, const JobqHead *head)
{
	return head->queue == scan->queue->id;
}

static const JobqStreamIndex queue_index = {
	JOBQ_STREAM_QUEUE, JOBQ_IDX_JOB_DISPATCH, make_queue_prefix, is_of_queue
};

/* The group of the row read last; name has JOBQ_GROUP_NAME_SIZE bytes. */
static void
read_group(const JobqDispatchScan *scan, char *name)
{
	bool		isnull;
	Datum		value = slot_getattr(scan->slot, Anum_job_group_key, &isnull);

	name[0] = '\0';
	if (!isnull)
		text_to_cstring_buffer(DatumGetTextPP(value), name,
							   JOBQ_GROUP_NAME_SIZE);
}

static void
make_group_key(const JobqDispatchScan *scan, ScanKey key, StrategyNumber strategy,
			   RegProcedure procedure)
{
	ScanKeyEntryInitialize(key, 0, 2, strategy, InvalidOid, C_COLLATION_OID,
						   procedure, PointerGetDatum(scan->group_text));
}

/* job_group (queue, group_key, priority, run_at, id) */
static int
make_group_prefix(const JobqDispatchScan *scan, ScanKey keys)
{
	(void) make_queue_prefix(scan, keys);
	make_group_key(scan, &keys[1], BTEqualStrategyNumber, F_TEXTEQ);
	return 2;
}

static bool
is_of_group(const JobqDispatchScan *scan, const JobqHead *head)
{
	char		name[JOBQ_GROUP_NAME_SIZE];

	if (!is_of_queue(scan, head))
		return false;
	read_group(scan, name);
	return strcmp(name, scan->group) == 0;
}

static const JobqStreamIndex group_index = {
	JOBQ_STREAM_GROUP, JOBQ_IDX_JOB_GROUP, make_group_prefix, is_of_group
};

/* Takes a snapshot unless the scan already has one. */
void
jobq_dispatch_begin(JobqDispatchScan *scan, JobqTable *jobs,
					const JobqQueue *queue)
{
	memset(scan, 0, sizeof(*scan));
	scan->jobs = jobs;
	scan->queue = queue;
	scan->stream = queue->state == NULL ? NULL : &queue->state->stream;
	scan->by = &queue_index;
	scan->slot = jobq_table_slot(jobs);
}

/* See dispatch_scan.h. */
void
jobq_dispatch_stop(JobqDispatchScan *scan)
{
	if (scan->scan != NULL)
		index_endscan(scan->scan);
	scan->scan = NULL;
}

void
jobq_dispatch_end(JobqDispatchScan *scan)
{
	jobq_dispatch_stop(scan);
	for (int i = 0; i < JOBQ_STREAM_KINDS; i++)
	{
		if (scan->indexes[i] != NULL)
			index_close(scan->indexes[i], AccessShareLock);
	}
	if (scan->snapshot != NULL)
		UnregisterSnapshot(scan->snapshot);
}

/* Continues with a new snapshot.  Ends the current index scan, if any. */
void
jobq_dispatch_refresh(JobqDispatchScan *scan)
{
	jobq_dispatch_stop(scan);
	ExecClearTuple(scan->slot);
	if (scan->snapshot != NULL)
		UnregisterSnapshot(scan->snapshot);
	scan->snapshot = NULL;
	scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
}

static void
set_group(JobqDispatchScan *scan, const char *name)
{
	Size		length = strlen(name);

	Assert(length < JOBQ_GROUP_NAME_SIZE);
	SET_VARSIZE(scan->group_text, VARHDRSZ + length);
	scan->group = memmove(VARDATA(scan->group_text), name, length + 1);
}

/* See dispatch_scan.h.  Ends the current index scan. */
void
jobq_dispatch_turn_to(JobqDispatchScan *scan, JobqStream *stream,
					  const char *group)
{
	jobq_dispatch_stop(scan);
	scan->stream = stream;
	scan->group = NULL;
	scan->by = group == NULL ? &queue_index : &group_index;
	if (group != NULL)
		set_group(scan, group);
}

static void
begin_scan_by(JobqDispatchScan *scan, ScanKey keys, int nkeys, bool by_entry)
{
	Relation   *index = &scan->indexes[scan->by->kind];

	jobq_dispatch_stop(scan);
	if (scan->snapshot == NULL)
		jobq_dispatch_refresh(scan);
	if (*index == NULL)
		*index = index_open(jobq_relation_oid(scan->by->relation),
							AccessShareLock);
	scan->scan = jobq_index_beginscan(scan->jobs->rel, *index, scan->snapshot,
									  nkeys);
	scan->scan->xs_want_itup = by_entry;
	index_rescan(scan->scan, keys, nkeys, NULL, 0);
}

static void
begin_scan(JobqDispatchScan *scan, ScanKey keys, int nkeys)
{
	begin_scan_by(scan, keys, nkeys, scan->by_entry);
}

/* Makes the keys that select a lane, and returns how many they are. */
static int
make_lane_keys(const JobqDispatchScan *scan, ScanKey keys, int16 priority)
{
	int			n = scan->by->make_prefix(scan, keys);

	ScanKeyInit(&keys[n], n + KEY_PRIORITY, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(priority));
	return n + 1;
}

/* (Re)starts at the first job of a priority >= the given one. */
void
jobq_dispatch_seek(JobqDispatchScan *scan, int16 priority)
{
	ScanKeyData keys[MAX_KEYS];
	int			n = scan->by->make_prefix(scan, keys);

	ScanKeyInit(&keys[n], n + KEY_PRIORITY, BTGreaterEqualStrategyNumber,
				F_INT2GE, Int16GetDatum(priority));
	begin_scan(scan, keys, n + 1);
}

/*
 * (Re)starts at a key of a lane: with ROW(run_at, id) >= ROW(key), to be read
 * forward, or <=, to be read backward.
 */
static void
seek_key(JobqDispatchScan *scan, int16 priority, const JobqKey *key,
		 StrategyNumber strategy)
{
	ScanKeyData keys[MAX_KEYS];
	ScanKey		members = scan->members;
	int			n = make_lane_keys(scan, keys, priority);
	int			prefix = n - 1;

	ScanKeyInit(&members[0], prefix + KEY_RUN_AT, strategy,
				F_TIMESTAMPTZ_CMP, TimestampTzGetDatum(key->run_at));
	members[0].sk_flags = SK_ROW_MEMBER;
	ScanKeyInit(&members[1], prefix + KEY_ID, strategy, F_BTINT8CMP,
				Int64GetDatum(key->id));
	members[1].sk_flags = SK_ROW_MEMBER | SK_ROW_END;
	memset(&keys[n], 0, sizeof(ScanKeyData));
	keys[n].sk_flags = SK_ROW_HEADER;
	keys[n].sk_attno = prefix + KEY_RUN_AT;
	keys[n].sk_strategy = strategy;
	keys[n].sk_argument = PointerGetDatum(members);
	begin_scan(scan, keys, n + 1);
}

/*
 * (Re)starts at the first job of a lane with ROW(run_at, id) >= ROW(from).
 * The scan ends at the end of the lane.
 */
void
jobq_dispatch_seek_lane(JobqDispatchScan *scan, int16 priority,
						const JobqKey *from)
{
	seek_key(scan, priority, from, BTGreaterEqualStrategyNumber);
}

/* See dispatch_scan.h. */
void
jobq_dispatch_seek_back(JobqDispatchScan *scan, int16 priority,
						const JobqKey *from)
{
	seek_key(scan, priority, from, BTLessEqualStrategyNumber);
}

/* (Re)starts at the first job of a lane with a run_at after that. */
void
jobq_dispatch_seek_later(JobqDispatchScan *scan, int16 priority,
						 TimestampTz run_at)
{
	ScanKeyData keys[MAX_KEYS];
	int			n = make_lane_keys(scan, keys, priority);

	ScanKeyInit(&keys[n], n - 1 + KEY_RUN_AT, BTGreaterStrategyNumber,
				F_TIMESTAMPTZ_GT, TimestampTzGetDatum(run_at));
	begin_scan(scan, keys, n + 1);
}

/* (Re)starts at the first job of all groups after that one. */
static void
seek_after_group(JobqDispatchScan *scan, const char *name, bool by_entry)
{
	ScanKeyData keys[MAX_KEYS];

	jobq_dispatch_turn_to(scan, NULL, name);
	(void) make_queue_prefix(scan, keys);
	make_group_key(scan, &keys[1], BTGreaterStrategyNumber, F_TEXT_GT);
	begin_scan_by(scan, keys, 2, by_entry);
}

/* See dispatch_scan.h.  Leaves the scan turned to no stream. */
bool
jobq_dispatch_next_group(JobqDispatchScan *scan, char *name)
{
	seek_after_group(scan, name, scan->by_entry);
	CHECK_FOR_INTERRUPTS();
	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return false;
	read_group(scan, name);
	return true;
}

static void
read_head(const JobqDispatchScan *scan, JobqHead *head)
{
	TupleTableSlot *slot = scan->slot;

	slot_getsomeattrs(slot, Anum_job_state);
	head->place.key.run_at =
		DatumGetTimestampTz(slot->tts_values[Anum_job_run_at - 1]);
	head->place.key.id = DatumGetInt64(slot->tts_values[Anum_job_id - 1]);
	head->place.priority =
		DatumGetInt16(slot->tts_values[Anum_job_priority - 1]);
	head->place.tid = slot->tts_tid;
	head->place.group = scan->group;
	head->queue = DatumGetInt32(slot->tts_values[Anum_job_queue - 1]);
	head->state =
		(JobqState) DatumGetInt16(slot->tts_values[Anum_job_state - 1]);
}

/* Reads the next row of the scan, in that direction, into its slot. */
static bool
read_next(JobqDispatchScan *scan, ScanDirection direction, JobqHead *head)
{
	CHECK_FOR_INTERRUPTS();
	if (!index_getnext_slot(scan->scan, direction, scan->slot))
		return false;
	read_head(scan, head);
	return true;
}

bool
jobq_dispatch_next(JobqDispatchScan *scan, JobqHead *head)
{
	return read_next(scan, ForwardScanDirection, head);
}

bool
jobq_dispatch_previous(JobqDispatchScan *scan, JobqHead *head)
{
	return read_next(scan, BackwardScanDirection, head);
}

/* Starts behind a lane of a group. */
static void
seek_next_lane(JobqDispatchScan *scan, int16 priority)
{
	ScanKeyData keys[MAX_KEYS];
	ScanKey		members = scan->members;
	int			n = make_queue_prefix(scan, keys);

	make_group_key(scan, &members[0], BTGreaterStrategyNumber, F_BTTEXTCMP);
	members[0].sk_flags = SK_ROW_MEMBER;
	ScanKeyInit(&members[1], MAX_PREFIX + KEY_PRIORITY,
				BTGreaterStrategyNumber, F_BTINT2CMP, Int16GetDatum(priority));
	members[1].sk_flags = SK_ROW_MEMBER | SK_ROW_END;
	memset(&keys[n], 0, sizeof(ScanKeyData));
	keys[n].sk_flags = SK_ROW_HEADER;
	keys[n].sk_attno = MAX_PREFIX;
	keys[n].sk_strategy = BTGreaterStrategyNumber;
	keys[n].sk_argument = PointerGetDatum(members);
	begin_scan(scan, keys, n + 1);
}

/* See dispatch_scan.h.  Leaves the scan turned to no stream. */
bool
jobq_dispatch_next_lane(JobqDispatchScan *scan, char *name, int16 priority,
						JobqHead *head)
{
	jobq_dispatch_turn_to(scan, NULL, name);
	seek_next_lane(scan, priority);
	if (!jobq_dispatch_next(scan, head))
		return false;
	read_group(scan, name);
	head->place.group = name;
	return true;
}

/* The place that the current entry of the index names. */
static void
read_entry(const JobqDispatchScan *scan, JobqPlace *place)
{
	IndexTuple	entry = scan->scan->xs_itup;
	TupleDesc	desc = scan->scan->xs_itupdesc;
	Relation	index = scan->indexes[scan->by->kind];
	int			prefix = IndexRelationGetNumberOfKeyAttributes(index) - KEY_ID;
	bool		isnull;

	place->priority = DatumGetInt16(index_getattr(entry,
												  prefix + KEY_PRIORITY,
												  desc, &isnull));
	place->key.run_at = DatumGetTimestampTz(index_getattr(entry,
														  prefix + KEY_RUN_AT,
														  desc, &isnull));
	place->key.id = DatumGetInt64(index_getattr(entry, prefix + KEY_ID, desc,
												&isnull));
	place->tid = scan->scan->xs_heaptid;
	place->group = scan->group;
}

/* The group's name in the current entry of the index job_group. */
static const text *
read_entry_group(const JobqDispatchScan *scan)
{
	bool		isnull;

	return DatumGetTextPP(index_getattr(scan->scan->xs_itup, MAX_PREFIX,
										scan->scan->xs_itupdesc, &isnull));
}

/* Whether it is the name of the group that a walk has come to. */
static bool
is_of_same_group(const JobqDispatchScan *scan, const text *name)
{
	size_t		length = VARSIZE_ANY_EXHDR(name);

	return length == strlen(scan->group) &&
		memcmp(VARDATA_ANY(name), scan->group, length) == 0;
}

/* See dispatch_scan.h.  Leaves the scan turned to no stream. */
void
jobq_dispatch_seek_groups(JobqDispatchScan *scan, const char *name)
{
	seek_after_group(scan, name, true);
}

/* See dispatch_scan.h. */
bool
jobq_dispatch_walk_groups(JobqDispatchScan *scan, char *name, int16 *priority)
{
	int			npassed = 0;

	for (;;)
	{
		const text *group;
		JobqPlace	place;

		CHECK_FOR_INTERRUPTS();
		if (index_getnext_tid(scan->scan, ForwardScanDirection) == NULL)
			return false;
		group = read_entry_group(scan);
		if (is_of_same_group(scan, group))
		{
			if (++npassed == MAX_PASSED)
				seek_after_group(scan, scan->group, true);
		}
		else if (index_fetch_heap(scan->scan, scan->slot))
		{
			text_to_cstring_buffer(group, name, JOBQ_GROUP_NAME_SIZE);
			set_group(scan, name);
			read_entry(scan, &place);
			*priority = place.priority;
			return true;
		}
	}
}

/*
 * Reads the next entry of the index, and its row into the slot unless the
 * snapshot does not see it; *visible says that, and head has only the place
 * then.  So the caller can stop however many such entries there are.  The scan
 * is by_entry.
 */
bool
jobq_dispatch_step(JobqDispatchScan *scan, JobqHead *head, bool *visible)
{
	Assert(scan->by_entry);
	CHECK_FOR_INTERRUPTS();
	if (index_getnext_tid(scan->scan, ForwardScanDirection) == NULL)
		return false;
	read_entry(scan, &head->place);
	*visible = index_fetch_heap(scan->scan, scan->slot);
	if (*visible)
		read_head(scan, head);
	return true;
}

/*
 * Whether the table is long enough to contain the TID.  VACUUM may have
 * truncated the table, but not since the caller locked it.
 */
static bool
is_in_table(JobqDispatchScan *scan, const ItemPointerData *tid)
{
	BlockNumber block = ItemPointerGetBlockNumber(tid);

	if (block >= scan->nblocks)
		scan->nblocks = RelationGetNumberOfBlocks(scan->jobs->rel);
	return block < scan->nblocks;
}

/*
 * Reads the row version of a candidate into the slot.  Returns false if that
 * version of the job no longer exists.  The candidate may be newer than the
 * snapshot, so only a new snapshot can tell that.  The same is true of what
 * this transaction has done since the snapshot was taken: another backend that
 * lowers the cursor late may name a job that this transaction has already
 * claimed.
 */
bool
jobq_dispatch_fetch(JobqDispatchScan *scan, const JobqPlace *place,
					JobqHead *head)
{
	ItemPointerData tid = place->tid;

	if (!is_in_table(scan, &tid))
		return false;
	if (scan->snapshot == NULL ||
		scan->snapshot->curcid != GetCurrentCommandId(false))
		jobq_dispatch_refresh(scan);
	else if (!table_tuple_fetch_row_version(scan->jobs->rel, &tid,
											scan->snapshot, scan->slot))
		jobq_dispatch_refresh(scan);
	if (TTS_EMPTY(scan->slot) &&
		!table_tuple_fetch_row_version(scan->jobs->rel, &tid, scan->snapshot,
									   scan->slot))
		return false;
	read_head(scan, head);
	return scan->by->has_row(scan, head) &&
		head->place.priority == place->priority &&
		jobq_key_compare(&head->place.key, &place->key) == 0;
}
