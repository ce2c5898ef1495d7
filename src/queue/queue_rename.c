/*-------------------------------------------------------------------------
 *
 * queue_rename.c
 *	  rename_queue(): renaming a queue.
 *
 * Jobs, history, grants, schedules, the option on_dead of other queues, lanes
 * and leases refer to a queue by its id, and do not change.  The NOTIFY
 * channel is named after the queue, so listeners have to LISTEN again.
 * Sessions that wait for jobs under the old name get an error that it is gone.
 *
 * IDENTIFICATION
 *	  src/queue/queue_rename.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "compat.h"
#include "queue/queue_cache.h"
#include "queue/queue_check.h"
#include "queue/queue_gone.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "shared/queue_change.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(jobq_rename_queue);

static void
report_duplicate(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("queue \"%s\" already exists", name)));
}

/*
 * Writes the row under the new name by deleting and inserting it: an update
 * could not wait for others that are about to use the name, and would report a
 * duplicate as an index violation.
 */
static void
write_name(JobqLockedQueue *locked, const char *new_name)
{
	ItemPointerData conflict;

	locked->values[Anum_queue_name - 1] = CStringGetTextDatum(new_name);
	jobq_table_delete(locked->table, locked->slot);
	if (!jobq_table_insert_unique(locked->table,
								  jobq_relation_oid(JOBQ_IDX_QUEUE_NAME),
								  locked->values, locked->nulls, &conflict))
	{
		jobq_queue_recheck_locked(locked, JOBQ_PRIV_OWNER);
		report_duplicate(new_name);
	}
}

/*
 * rename_queue(queue, new_name): raises 42704, 42710, 42501 unless the user
 * owns the queue, and 22023 for an invalid name or a queue of run().
 */
Datum
jobq_rename_queue(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	char	   *new_name = jobq_required_string(fcinfo, 1, "new_name");
	JobqLockedQueue locked;

	jobq_begin_write("jobq.rename_queue()");
	jobq_queue_lock(&locked, name, JOBQ_PRIV_OWNER);
	jobq_queue_refuse_run(locked.queue);
	jobq_queue_name_check(new_name);
	if (jobq_queue_find(new_name) != NULL)
		report_duplicate(new_name);
	write_name(&locked, new_name);
	jobq_queue_recheck_locked(&locked, JOBQ_PRIV_OWNER);
	jobq_table_close(locked.table);
	jobq_at_commit_queue_changed(locked.queue->id, locked.queue->owner);
	jobq_queue_gone_note_renamed(locked.queue->id);
	PG_RETURN_VOID();
}
