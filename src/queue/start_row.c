/*-------------------------------------------------------------------------
 *
 * start_row.c
 *	  What the table rate_start keeps of the rates of queues.
 *
 * Each start writes the tat that it has made (gcra.c), which stands for all
 * starts before it, too: the latest of a queue's rows is what counts.  A
 * transaction whose start is rolled back, or that is open when the server
 * crashes, leaves nothing here.
 *
 * There is one row for a queue, and one more for each transaction that has
 * found it busy, since a claim waits for nobody.  The next start removes those
 * that it does not need.
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
#include "base/visit.h"

#include "access/xact.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

/* Visits rows of a queue. */
static void
note_latest(void *arg, const Datum *values, const bool *nulls)
{
	TimestampTz *latest = arg;
	TimestampTz tat = DatumGetTimestampTz(values[Anum_rate_start_tat - 1]);

	*latest = Max(*latest, tat);
}

/* See start_row.h. */
TimestampTz
jobq_start_row_read(int32 queue)
{
	static const JobqLookup lookup = {
		JOBQ_REL_RATE_START, JOBQ_IDX_RATE_START,
		Anum_rate_start_queue, F_INT4EQ
	};
	TimestampTz latest = 0;

	jobq_visit_rows(&lookup, Int32GetDatum(queue), note_latest, &latest);
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

/* See start_row.h. */
void
jobq_start_row_write(int32 queue, TimestampTz tat)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_RATE_START);
	Datum		values[Natts_rate_start];
	bool		nulls[Natts_rate_start] = {false};
	bool		is_written = false;
	ScanKeyData key;
	JobqScan	scan;

	values[Anum_rate_start_queue - 1] = Int32GetDatum(queue);
	values[Anum_rate_start_tat - 1] = TimestampTzGetDatum(tat);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	CommandCounterIncrement();
	jobq_scan_begin(&scan, table, jobq_relation_oid(JOBQ_IDX_RATE_START),
					&key, 1);
	while (jobq_scan_next(&scan))
		is_written = write_over(table, scan.slot, values, nulls, is_written);
	jobq_scan_end(&scan);
	if (!is_written)
		jobq_table_insert(table, values, nulls);
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
