/*-------------------------------------------------------------------------
 *
 * group_stop.c
 *	  Groups that are paused because one of their jobs died: group_on_failure "stop".
 *
 * Each death adds a row to jobq_store.group_stop; resume() deletes the rows of the
 * group.  The rows of group_option are unique and written under a lock, and the end
 * of a job must not wait for a session that changes options.
 *
 * IDENTIFICATION
 *	  src/queue/group_stop.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/group_stop.h"

#include "base/extension.h"
#include "base/scan.h"
#include "base/table_find.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

/* The keys of a group in the index. */
static void
make_keys(ScanKeyData keys[2], int32 queue, const char *name)
{
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(queue));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(name));
}

/* See group_stop.h. */
void
jobq_group_stop(int32 queue, const char *name, int64 job_id)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_GROUP_STOP);
	Datum		values[Natts_group_stop];
	bool		nulls[Natts_group_stop] = {false};

	values[Anum_group_stop_queue - 1] = Int32GetDatum(queue);
	values[Anum_group_stop_group_key - 1] = CStringGetTextDatum(name);
	values[Anum_group_stop_job_id - 1] = Int64GetDatum(job_id);
	jobq_table_insert(table, values, nulls);
	jobq_table_close(table);
}

/* See group_stop.h. */
bool
jobq_group_is_stopped(int32 queue, const char *name)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_GROUP_STOP);
	ScanKeyData keys[2];
	bool		result;

	make_keys(keys, queue, name);
	result = jobq_table_read(table, jobq_relation_oid(JOBQ_IDX_GROUP_STOP),
							 keys, 2, jobq_table_slot(table));
	jobq_table_close(table);
	return result;
}

/* See group_stop.h. */
void
jobq_group_stop_end(int32 queue, const char *name)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_GROUP_STOP);
	ScanKeyData keys[2];
	JobqScan	scan;

	make_keys(keys, queue, name);
	CommandCounterIncrement();
	jobq_scan_begin(&scan, table, jobq_relation_oid(JOBQ_IDX_GROUP_STOP),
					keys, 2);
	while (jobq_scan_next(&scan))
		jobq_table_delete(table, scan.slot);
	jobq_scan_end(&scan);
	jobq_table_close(table);
}
