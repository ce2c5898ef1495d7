/*-------------------------------------------------------------------------
 *
 * start_row.c
 *	  What the table rate_start keeps of the rates of queues and their groups.
 *
 * Each start writes the tat that it has made (gcra.c), which stands for all
 * starts before it, too: the latest of a queue's rows is what counts, those of
 * prepared transactions included.  A transaction whose start is rolled back, or that is
 * open when the server crashes, leaves nothing here.
 *
 * There is one row for a queue, or for a group of it, and one more for each
 * transaction that has found it busy, since a claim waits for nobody.  The next start
 * removes those that it does not need.  There may be very many groups that start
 * nothing any more: each start of a group looks at some rows of others as well, and
 * removes those that count no longer.  So there are not many more of these than of
 * those that count.
 *
 * IDENTIFICATION
 *	  src/queue/start_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/start_row.h"

#include "base/extension.h"
#include "base/scan.h"
#include "shared/clock.h"
#include "shared/shmem.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Rows of other groups that a start looks at. */
#define OTHERS 2

/* Where the next start of a group goes on with that. */
static int32 next_queue = JOBQ_NO_QUEUE;
static char next_group[JOBQ_GROUP_NAME_SIZE];

/* Begins to read the rows of a queue, or of a group of it; NULL: the latest snapshot. */
static void
begin_scan(JobqScan *scan, JobqTable *table, int32 queue, const char *group,
		   Snapshot snapshot)
{
	Oid			index = jobq_relation_oid(JOBQ_IDX_RATE_START);
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(group == NULL ? "" : group));
	if (snapshot != NULL)
		jobq_scan_begin_by(scan, table, index, keys, 2, snapshot);
	else
		jobq_scan_begin(scan, table, index, keys, 2);
}

static TimestampTz
tat_of(const JobqScan *scan)
{
	bool		isnull;

	return DatumGetTimestampTz(slot_getattr(scan->slot, Anum_rate_start_tat,
											&isnull));
}

/* The latest tat of these rows by a snapshot; 0 if there are none. */
static TimestampTz
read_latest(JobqTable *table, int32 queue, const char *group, Snapshot snapshot)
{
	TimestampTz latest = 0;
	JobqScan	scan;

	begin_scan(&scan, table, queue, group, snapshot);
	while (jobq_scan_next(&scan))
		latest = Max(latest, tat_of(&scan));
	jobq_scan_end(&scan);
	return latest;
}

/*
 * See start_row.h.  What is prepared has started, too, and no memory knows of it after a
 * restart.  A dirty snapshot sees it, but may miss a row that moves.
 */
TimestampTz
jobq_start_row_read(int32 queue, const char *group)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_RATE_START);
	TimestampTz latest = read_latest(table, queue, group, NULL);
	SnapshotData dirty;

	InitDirtySnapshot(dirty);
	if (max_prepared_xacts > 0)
		latest = Max(latest, read_latest(table, queue, group, &dirty));
	jobq_table_close(table);
	return latest;
}

/*
 * Makes a row that was read the queue's only one, if it has not changed.
 * Returns whether there is a row as late as this now.
 */
static bool
write_over(JobqTable *table, TupleTableSlot *slot, const Datum *values,
		   const bool *nulls, bool is_written)
{
	bool		isnull;
	TimestampTz tat =
	DatumGetTimestampTz(slot_getattr(slot, Anum_rate_start_tat, &isnull));

	if (tat >= DatumGetTimestampTz(values[Anum_rate_start_tat - 1]))
		return true;
	if (!is_written)
		return jobq_table_try_update(table, slot, values,
									 nulls) == JOBQ_FOUND;
	(void) jobq_table_try_delete(table, slot);
	return true;
}

/* Removes rows of groups that have made up for their last start. */
static void
remove_over(JobqTable *table, int32 queue, TimestampTz now)
{
	int			n = 0;
	ScanKeyData keys[2];
	JobqScan	scan;

	if (next_queue != queue)
		next_group[0] = '\0';
	next_queue = queue;
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_TEXT_GT,
				CStringGetTextDatum(next_group));
	jobq_scan_begin(&scan, table, jobq_relation_oid(JOBQ_IDX_RATE_START),
					keys, 2);
	next_group[0] = '\0';
	while (n < OTHERS && jobq_scan_next(&scan))
	{
		bool		isnull;
		Datum		name = slot_getattr(scan.slot, Anum_rate_start_group_key,
										&isnull);

		text_to_cstring_buffer(DatumGetTextPP(name), next_group,
							   sizeof(next_group));
		if (tat_of(&scan) < now)
			(void) jobq_table_try_delete(table, scan.slot);
		n++;
	}
	jobq_scan_end(&scan);
	/* the end was reached: the next one begins anew */
	if (n < OTHERS)
		next_group[0] = '\0';
}

/* See start_row.h. */
void
jobq_start_row_write(int32 queue, const char *group, TimestampTz tat)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_RATE_START);
	Datum		values[Natts_rate_start];
	bool		nulls[Natts_rate_start] = {false};
	bool		is_written = false;
	JobqScan	scan;

	values[Anum_rate_start_queue - 1] = Int32GetDatum(queue);
	values[Anum_rate_start_group_key - 1] =
		CStringGetTextDatum(group == NULL ? "" : group);
	values[Anum_rate_start_tat - 1] = TimestampTzGetDatum(tat);
	CommandCounterIncrement();
	begin_scan(&scan, table, queue, group, NULL);
	while (jobq_scan_next(&scan))
		is_written = write_over(table, scan.slot, values, nulls, is_written);
	jobq_scan_end(&scan);
	if (!is_written)
		jobq_table_insert(table, values, nulls);
	if (group != NULL)
		remove_over(table, queue, jobq_now());
	jobq_table_close(table);
}

/* See start_row.h. */
void
jobq_start_row_remove(int32 queue)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_RATE_START);
	ScanKeyData key;
	JobqScan	scan;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	CommandCounterIncrement();
	jobq_scan_begin(&scan, table, jobq_relation_oid(JOBQ_IDX_RATE_START),
					&key, 1);
	while (jobq_scan_next(&scan))
		(void) jobq_table_try_delete(table, scan.slot);
	jobq_scan_end(&scan);
	jobq_table_close(table);
}
