/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Writing and finding finished jobs.
 *
 * History is a ring of segments (extension/tables.sql); segment.c advances
 * from one to the next.  A job is in at most one of them.
 *
 * IDENTIFICATION
 *	  src/job/history.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/history.h"

#include "base/extension.h"
#include "base/table_find.h"
#include "compat.h"
#include "job/job_column.h"
#include "jobq.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "shared/clock.h"
#include "shared/interval.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Longer intervals are cut to this. */
#define KEEP_FOR_EVER (INT64CONST(1000) * 365 * USECS_PER_DAY)

static void
set_text(Datum *values, bool *nulls, int attnum, const char *string)
{
	int			len;

	if (string == NULL)
		return;
	len = strlen(string);
	if (len > JOBQ_MAX_ERROR_LENGTH)
		len = pg_mbcliplen(string, len, JOBQ_MAX_ERROR_LENGTH);
	values[attnum - 1] = PointerGetDatum(cstring_to_text_with_len(string, len));
	nulls[attnum - 1] = false;
}

/*
 * Writes a job that is in a terminal state, and still in its table, to
 * history.  The table of the current segment is opened once per opened table
 * of jobs.
 */
void
jobq_history_add(JobqTable *jobs, const JobqJob *job, const JobqEnd *end)
{
	int			segment = jobq_history_segment();
	Oid			relid = jobq_relation_oid(JOBQ_REL_HISTORY_0 + segment);
	Datum		values[Natts_history] = {0};
	bool		nulls[Natts_history];

	if (jobs->companion != NULL &&
		RelationGetRelid(jobs->companion->rel) != relid)
	{
		jobq_table_close(jobs->companion);
		jobs->companion = NULL;
	}
	if (jobs->companion == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(jobs->context);

		jobs->companion = jobq_table_open_oid(relid);
		MemoryContextSwitchTo(oldcontext);
	}

	memset(nulls, true, sizeof(nulls));
	for (int i = 0; i < Natts_job; i++)
	{
		const JobqJobColumn *column = &jobq_job_columns[i];

		if (column->history == 0)
			continue;
		values[column->history - 1] = job->values[column->job - 1];
		nulls[column->history - 1] = job->nulls[column->job - 1];
	}
	values[Anum_history_run_at - 1] =
		TimestampTzGetDatum(jobq_run_at_real(DatumGetTimestampTz(job->values[Anum_job_run_at - 1])));
	if (job->started_at != DT_NOBEGIN)
	{
		values[Anum_history_started_at - 1] =
			TimestampTzGetDatum(job->started_at);
		nulls[Anum_history_started_at - 1] = false;
	}
	values[Anum_history_finished_at - 1] = TimestampTzGetDatum(jobq_now());
	nulls[Anum_history_finished_at - 1] = false;
	values[Anum_history_attempt - 1] = Int32GetDatum(job->attempt);
	nulls[Anum_history_attempt - 1] = false;
	values[Anum_history_state - 1] = Int16GetDatum((int16) job->state);
	nulls[Anum_history_state - 1] = false;
	values[Anum_history_segment - 1] = Int16GetDatum(segment);
	nulls[Anum_history_segment - 1] = false;
	set_text(values, nulls, Anum_history_error, end->error);
	set_text(values, nulls, Anum_history_sqlstate, end->sqlstate);
	values[Anum_history_result - 1] = end->result;
	nulls[Anum_history_result - 1] = end->result_is_null;
	jobq_table_insert(jobs->companion, values, nulls);
}

/*
 * Finds a finished job, and locks it if requested.  Opens *table if it is
 * found; sets it to NULL otherwise.
 *
 * Segments are searched from the current one backwards.  The current one is
 * then searched again, since segment.c moves rows there.
 */
static TupleTableSlot *
find_job(int64 id, bool lock, JobqTable **table)
{
	int			current = jobq_history_segment();
	ScanKeyData key;

	ScanKeyInit(&key, Anum_history_id, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
	for (int i = 0; i <= JOBQ_HISTORY_SEGMENTS; i++)
	{
		int			segment = i < JOBQ_HISTORY_SEGMENTS ?
		(current + JOBQ_HISTORY_SEGMENTS - i) % JOBQ_HISTORY_SEGMENTS :
		jobq_history_segment();
		TupleTableSlot *slot;
		Oid			index;
		bool		found;

		*table = jobq_table_open(JOBQ_REL_HISTORY_0 + segment);
		slot = jobq_table_slot(*table);
		index = jobq_primary_key_index((*table)->rel);
		found = lock ?
			jobq_table_find(*table, index, &key, 1, JOBQ_WAIT,
							slot) == JOBQ_FOUND :
			jobq_table_read(*table, index, &key, 1, slot);
		if (found)
			return slot;
		jobq_table_close(*table);
	}
	*table = NULL;
	return NULL;
}

TupleTableSlot *
jobq_history_find(int64 id, JobqTable **table)
{
	TupleTableSlot *slot = find_job(id, true, table);

	if (slot != NULL)
		slot_getallattrs(slot);
	return slot;
}

TupleTableSlot *
jobq_history_read(int64 id, JobqTable **table)
{
	return find_job(id, false, table);
}

bool
jobq_history_read_state(int64 id, JobqState *state)
{
	JobqTable  *table;
	TupleTableSlot *slot = find_job(id, false, &table);
	bool		isnull;

	if (slot == NULL)
		return false;
	*state = (JobqState) DatumGetInt16(slot_getattr(slot, Anum_history_state,
													&isnull));
	jobq_table_close(table);
	return true;
}

const JobqQueue *
jobq_history_queue(TupleTableSlot *row)
{
	bool		isnull;

	return jobq_queue_by_id(DatumGetInt32(slot_getattr(row, Anum_history_queue,
													   &isnull)));
}

bool
jobq_history_is_kept(int32 queue_id, JobqState state, TimestampTz finished_at,
					 const Interval *unique_for)
{
	const JobqQueue *queue = jobq_queue_by_id(queue_id);
	int64		keep;

	if (queue == NULL)
		return false;
	keep = state == JOBQ_STATE_COMPLETED ?
		queue->keep_completed : queue->keep_dead;
	if (keep >= 0 && unique_for != NULL && state == JOBQ_STATE_COMPLETED)
		keep = Max(keep, jobq_interval_microseconds(unique_for));
	return keep < 0 || keep >= KEEP_FOR_EVER ||
		finished_at > jobq_now() - keep;
}

/* A row's unique_for, NULL if it has none. */
static const Interval *
unique_for(TupleTableSlot *row)
{
	bool		isnull;
	Datum		value = slot_getattr(row, Anum_history_unique_for, &isnull);

	return isnull ? NULL : DatumGetIntervalP(value);
}

bool
jobq_history_row_is_kept(TupleTableSlot *row)
{
	const Datum *values = row->tts_values;

	slot_getsomeattrs(row, Anum_history_state);
	return jobq_history_is_kept(DatumGetInt32(values[Anum_history_queue - 1]),
								(JobqState) DatumGetInt16(values[Anum_history_state - 1]),
								DatumGetTimestampTz(values[Anum_history_finished_at - 1]),
								unique_for(row));
}

bool
jobq_history_key_counts(TupleTableSlot *row, TimestampTz now)
{
	const Interval *period = unique_for(row);
	const Datum *values = row->tts_values;

	return period != NULL &&
		DatumGetInt16(values[Anum_history_state - 1]) ==
		JOBQ_STATE_COMPLETED &&
		jobq_interval_microseconds(period) >
		now - DatumGetTimestampTz(values[Anum_history_finished_at - 1]);
}

/*
 * Finds the newest job in a segment of history that meets the keys and is still on
 * record.  Returns its id, and when it finished in *finished_at; 0 if there is none.
 */
static int64
find_newest(int segment, ScanKey keys, int nkeys, Snapshot snapshot,
			TimestampTz *finished_at)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_HISTORY_0 + segment);
	TupleTableSlot *slot = jobq_table_slot(table);
	Relation	index =
	index_open(jobq_relation_oid(JOBQ_IDX_HISTORY_KEY_0 + segment),
			   AccessShareLock);
	IndexScanDesc scan = jobq_index_beginscan(table->rel, index, snapshot,
											  nkeys);
	int64		found = 0;

	index_rescan(scan, keys, nkeys, NULL, 0);
	while (found == 0 && index_getnext_slot(scan, BackwardScanDirection, slot))
	{
		bool		isnull;

		if (!jobq_history_row_is_kept(slot))
			continue;
		found = DatumGetInt64(slot_getattr(slot, Anum_history_id, &isnull));
		*finished_at = DatumGetTimestampTz(slot_getattr(slot,
														Anum_history_finished_at,
														&isnull));
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
	jobq_table_close(table);
	return found;
}

/*
 * The index has the jobs of a key by their state and end, so that one row is read,
 * however many jobs of the key have finished.
 */
int64
jobq_history_find_key(int32 queue, const char *unique_key, JobqState state,
					  TimestampTz *since)
{
	Snapshot	snapshot;
	ScanKeyData keys[4];
	int64		result = 0;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ,
						   CStringGetTextDatum(unique_key));
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(state));
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < JOBQ_HISTORY_SEGMENTS; i++)
	{
		int64		found;

		ScanKeyInit(&keys[3], 4, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT,
					TimestampTzGetDatum(*since));
		found = find_newest(i, keys, lengthof(keys), snapshot, since);
		if (found != 0)
			result = found;
	}
	UnregisterSnapshot(snapshot);
	return result;
}
