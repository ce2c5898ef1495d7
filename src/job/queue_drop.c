/*-------------------------------------------------------------------------
 *
 * queue_drop.c
 *	  drop_queue(): dropping a queue with its jobs, history and grants.
 *
 * It locks the queue, empties it (queue_empty.c), and deletes its row and what
 * belongs to it.  When the transaction commits, sessions that wait for jobs of the
 * queue are woken to find that it is gone, and its state in shared memory is removed.
 *
 * IDENTIFICATION
 *	  src/job/queue_drop.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "base/extension.h"
#include "base/rights.h"
#include "base/scan.h"
#include "base/table_find.h"
#include "compat.h"
#include "job/queue_empty.h"
#include "job/retention_gone.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_gone.h"
#include "queue/queue_id.h"
#include "queue/queue_lock.h"
#include "queue/queue_row.h"
#include "shared/queue_change.h"
#include "shared/wake.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(jobq_drop_queue);

/*
 * Runs a statement with the queue's id as $1, as the extension's owner, with
 * the latest snapshot regardless of the isolation level.
 */
static void
execute_for_queue(const char *sql, int32 queue)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(queue);
	JobqElevation elevation;
	SPIPlanPtr	plan;

	jobq_elevate(&elevation);
	SPI_connect();
	plan = SPI_prepare(sql, 1, &type);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, &value, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, false, true, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	SPI_finish();
	jobq_restore(&elevation);
}

/* Raises an error if something would be lost with the queue. */
static void
refuse_if_used(int32 queue, const char *name)
{
	int64		njobs = jobq_queue_empty_count(queue);
	StringInfoData names;
	ListCell   *lc;

	if (njobs > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop queue \"%s\" because it has unfinished jobs",
						name),
				 errdetail_plural("It has %lld job.", "It has %lld jobs.",
								  (unsigned long) njobs, (long long) njobs),
				 errhint("Use jobq.drop_queue(%s, force => true) to drop the jobs too.",
						 quote_literal_cstr(name))));
	initStringInfo(&names);
	foreach(lc, jobq_queue_read_on_dead(queue))
	{
		const JobqQueue *other = jobq_queue_by_id(lfirst_int(lc));

		if (other != NULL)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
							 other->name);
	}
	if (names.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop queue \"%s\" because other queues send their dead jobs to it",
						name),
				 errdetail("It is the on_dead queue of %s.", names.data),
				 errhint("Use jobq.drop_queue(%s, force => true) to drop it anyway.",
						 quote_literal_cstr(name))));
}

/* Clears the on_dead option of queues that name this one. */
static void
unset_on_dead(int32 queue)
{
	JobqTable  *table = jobq_table_open(JOBQ_REL_QUEUE);
	TupleTableSlot *slot = jobq_table_slot(table);
	ListCell   *lc;

	foreach(lc, jobq_queue_read_on_dead(queue))
	{
		Datum		values[Natts_queue];
		bool		nulls[Natts_queue];
		ScanKeyData key;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(lfirst_int(lc)));
		if (jobq_table_find(table, jobq_relation_oid(JOBQ_IDX_QUEUE), &key, 1,
							JOBQ_WAIT, slot) != JOBQ_FOUND)
			continue;
		slot_getallattrs(slot);
		memcpy(values, slot->tts_values, sizeof(values));
		memcpy(nulls, slot->tts_isnull, sizeof(nulls));

		/* it may have been changed while we waited */
		if (nulls[Anum_queue_on_dead - 1] ||
			DatumGetInt32(values[Anum_queue_on_dead - 1]) != queue)
			continue;
		nulls[Anum_queue_on_dead - 1] = true;
		jobq_table_update(table, slot, values, nulls);
		jobq_at_commit_queue_changed(lfirst_int(lc),
									 DatumGetObjectId(values[Anum_queue_owner - 1]));
	}
	jobq_table_close(table);
}

/*
 * Deletes what belongs to the queue, except its jobs and its own row.  What it has
 * in history and attempt is left to the coordinator (retention_gone.c).
 */
static void
remove_belongings(int32 queue)
{
	static const char *const statements[] = {
		"DELETE FROM jobq_store.rate_start"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.group_option"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.group_stop"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"DELETE FROM jobq_store.queue_grant"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
		"UPDATE jobq_store.schedule SET queue = 0, enabled = false, waits = false,"
		" next_run = 'infinity', disabled_reason = 'its queue was dropped'"
		" WHERE queue OPERATOR(pg_catalog.=) $1",
	};

	for (int i = 0; i < lengthof(statements); i++)
		execute_for_queue(statements[i], queue);
	jobq_retention_add_gone(queue);
	unset_on_dead(queue);
}

/*
 * Keeps others from adding jobs to the queue, and returns its current
 * definition.  Raises 42501 if the user is not, or no longer, its owner.  If
 * the queue is gone, raises 42704, or returns NULL with if_exists.
 */
static const JobqQueue *
lock_to_drop(const char *name, bool force, bool if_exists)
{
	const JobqQueue *queue = jobq_queue_find(name);

	if (queue == NULL && if_exists)
		return NULL;
	queue = jobq_queue_require(name, JOBQ_PRIV_OWNER);
	jobq_queue_gone_note_dropped(queue->id, force);
	jobq_queue_empty_lock(queue->id, force);
	queue = jobq_queue_read_now(queue->id);
	if (queue == NULL || strcmp(queue->name, name) != 0)
	{
		/* a renamed queue stays, with the jobs that were deleted here */
		if (if_exists && queue == NULL && jobq_queue_find(name) == NULL)
			return NULL;
		jobq_queue_report_missing(name, JOBQ_PRIV_OWNER);
	}
	jobq_queue_check_privilege(queue, JOBQ_PRIV_OWNER);
	return queue;
}

/*
 * Deletes the queue's row and what belongs to it.  The row is locked only now
 * that there are no jobs to wait for: a session that runs one of them may be
 * waiting for another drop_queue() that needs this row because of its on_dead.
 */
static void
remove_queue(int32 id, const char *name)
{
	JobqLockedQueue locked;

	/* another one may have the name by now */
	if (!jobq_queue_find_and_lock(&locked, name) || locked.queue->id != id)
		jobq_queue_report_missing(name, JOBQ_PRIV_OWNER);
	jobq_queue_check_privilege(locked.queue, JOBQ_PRIV_OWNER);
	remove_belongings(id);
	jobq_queue_recheck_locked(&locked, JOBQ_PRIV_OWNER);
	jobq_table_delete(locked.table, locked.slot);
	jobq_table_close(locked.table);
	jobq_at_commit_queue_changed(id, locked.queue->owner);
	jobq_at_commit_wake(JOBQ_WAKE_RETENTION);
}

/*
 * drop_queue(queue, force, if_exists): raises 55006 if the queue has jobs and
 * 2BP01 if other queues send their dead jobs to it, unless forced.
 */
Datum
jobq_drop_queue(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	bool		force = jobq_flag_argument(fcinfo, 1, false);
	bool		if_exists = jobq_flag_argument(fcinfo, 2, false);
	const JobqQueue *queue;

	jobq_begin_write("jobq.drop_queue()");
	queue = lock_to_drop(name, force, if_exists);
	if (queue == NULL)
	{
		ereport(NOTICE,
				(errmsg("queue \"%s\" does not exist, skipping", name)));
		PG_RETURN_VOID();
	}
	if (!force)
		refuse_if_used(queue->id, name);
	jobq_queue_empty(queue->id);
	remove_queue(queue->id, name);
	PG_RETURN_VOID();
}
