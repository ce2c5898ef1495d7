/*-------------------------------------------------------------------------
 *
 * fire_batch.c
 *	  A batch of schedules that are fired: how much is left of it, and what
 *	  came of each turn.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/fire_batch.h"

#include "shared/late.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/*
 * The time to copy a long payload into a job depends on its length.  A batch
 * adds jobs with up to OWNER_BYTES of these for each owner, and MAX_BYTES for
 * all owners together, before other tasks have their turn.
 */
#define LONG_BYTES 8192
#define OWNER_BYTES (1024 * 1024)
#define MAX_BYTES (4 * 1024 * 1024)

/* How many bytes were copied for an owner. */
typedef struct OwnerBytes
{
	Oid			owner;
	int64		bytes;
} OwnerBytes;

/* A schedule that was disabled, to be reported after the batch. */
typedef struct DisabledSchedule
{
	char	   *name;
	char	   *problem;
} DisabledSchedule;

/* Forgets what came of the batch, before it begins or is repeated. */
void
jobq_fire_batch_reset(JobqFireBatch *batch)
{
	batch->disabled = NIL;
	batch->done = 0;
	batch->bytes = 0;
	batch->owners = NIL;
	jobq_fire_turns_reset(&batch->turns);
	MemoryContextReset(batch->row_context);
}

/* Notes that the schedule still has a due run, for its next turn. */
void
jobq_fire_batch_leave(JobqFireBatch *batch, TimestampTz next_run)
{
	batch->turn->left = next_run;
	batch->turn->retry_at = DT_NOBEGIN;
}

/* Leaves the schedule unchanged, to be looked at again after the delay. */
void
jobq_fire_batch_try_later(JobqFireBatch *batch, TimestampTz next_run, int64 delay)
{
	batch->turn->left = next_run;
	batch->turn->retry_at = batch->turns.now + delay;
}

/*
 * Postpones a run that would have to wait for another session, whose PID may
 * be known.
 */
void
jobq_fire_batch_put_off(JobqFireBatch *batch, TimestampTz next_run, int pid)
{
	TimestampTz now = batch->turns.now;
	TimestampTz until = jobq_late_retry(batch->turn->owner->owner, next_run,
										now);

	jobq_fire_batch_try_later(batch, next_run, until - now);
	jobq_late_note(next_run, until, pid);
}

static OwnerBytes *
find_owner(const JobqFireBatch *batch, Oid owner)
{
	ListCell   *lc;

	foreach(lc, batch->owners)
	{
		if (((OwnerBytes *) lfirst(lc))->owner == owner)
			return lfirst(lc);
	}
	return NULL;
}

/* See fire_batch.h.  Only long payloads count. */
void
jobq_fire_batch_count_bytes(JobqFireBatch *batch, Oid owner, Size bytes)
{
	OwnerBytes *entry;

	if (bytes <= LONG_BYTES)
		return;
	batch->bytes += bytes;
	entry = find_owner(batch, owner);
	if (entry == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);

		entry = palloc0(sizeof(OwnerBytes));
		entry->owner = owner;
		batch->owners = lappend(batch->owners, entry);
		MemoryContextSwitchTo(oldcontext);
	}
	entry->bytes += bytes;
}

/* Whether it is the turn of other tasks. */
bool
jobq_fire_batch_is_full(const JobqFireBatch *batch)
{
	return batch->done >= batch->limit || batch->bytes >= MAX_BYTES;
}

/* Whether it is the turn of other owners, or other tasks. */
bool
jobq_fire_batch_has_served(const JobqFireBatch *batch, Oid owner)
{
	const OwnerBytes *entry;

	if (batch->bytes == 0)
		return false;
	entry = find_owner(batch, owner);
	return batch->bytes >= MAX_BYTES ||
		(entry != NULL && entry->bytes >= OWNER_BYTES);
}

/* See fire_batch.h. */
void
jobq_fire_batch_note_disabled(JobqFireBatch *batch, Datum name,
							  const char *problem)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);
	DisabledSchedule *disabled = palloc(sizeof(DisabledSchedule));

	disabled->name = TextDatumGetCString(name);
	disabled->problem = pstrdup(problem);
	batch->disabled = lappend(batch->disabled, disabled);
	MemoryContextSwitchTo(oldcontext);
}

/* Logs which schedules were disabled. */
void
jobq_fire_batch_report_disabled(const JobqFireBatch *batch)
{
	ListCell   *lc;

	foreach(lc, batch->disabled)
	{
		const DisabledSchedule *disabled = lfirst(lc);

		ereport(WARNING,
				(errmsg("schedule \"%s\" was disabled", disabled->name),
				 errdetail("In database \"%s\": %s",
						   get_database_name(MyDatabaseId),
						   disabled->problem),
				 errhint("After fixing the cause, use jobq.enable_schedule().")));
	}
}
