/*-------------------------------------------------------------------------
 *
 * fire_progress.c
 *	  How far the schedules that were due have been fired.
 *
 * A run that waits for the end of the previous one's job (overlap => 'queue')
 * leaves its schedule as it is.  Whoever ends a job that belongs to a schedule
 * wakes the coordinator after commit if schedules_wait is set (wake.c).  It is
 * set here before the snapshot is taken by which is decided that a run has
 * to wait: so either that snapshot sees the job's end, or the one who ends it
 * sees the flag.
 *
 * The index on next_run has dead entries at its low end, one for each run,
 * which cannot be removed while some snapshot needs them.  So they are passed
 * over: a scan begins where the one before has left nothing behind that is to
 * be fired ("proven").  That is exact since every transaction that writes a
 * next_run lowers schedules_low after its commit: it was either visible to
 * the scan, or lowers the beginning of the next one.  What callbacks do not
 * tell (COMMIT PREPARED, start(), ...) changes the database's generation, and
 * has everything looked at; and so does FULL_SCAN_INTERVAL, for rows that came
 * by another way than jobq's functions.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/fire_progress.h"

#include "shared/database.h"
#include "shared/xact_end.h"

/* Everything is looked at that often, if anything is done at all. */
#define FULL_SCAN_INTERVAL (60 * USECS_PER_SEC)

/*
 * How far all that was due has been fired.  If the transaction that has done
 * so is rolled back, it has not been.
 */
typedef struct Progress
{
	TimestampTz proven;
	TimestampTz claimed;		/* proven when the transaction commits */
	bool		claims;			/* it has fired something */
	uint32		generation;
	TimestampTz full_scan;		/* when everything was looked at last */
} Progress;

static Progress progress = {
	.proven = DT_NOBEGIN,.full_scan = DT_NOBEGIN
};

/*
 * What was fired has been fired if the transaction commits.  No XID is kept to
 * ask by: it would mean nothing any more when pg_xact has been truncated.
 */
static void
at_transaction_end(XactEvent event)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (progress.claims && event == XACT_EVENT_COMMIT)
		progress.proven = progress.claimed;
	progress.claims = false;
}

/*
 * Finds out where to begin, before the snapshot is taken; and has those who
 * end jobs say so from now on.
 */
TimestampTz
jobq_fire_progress_begin(TimestampTz now)
{
	JobqDatabase *database = jobq_database();
	uint32		generation = pg_atomic_read_u32(&database->generation);
	uint64		low;

	jobq_xact_end_follow(JOBQ_XACT_SCHEDULES, at_transaction_end, NULL);
	progress.claims = false;

	pg_atomic_write_u32(&database->schedules_wait, 1);
	low = pg_atomic_exchange_u64(&database->schedules_low,
								 (uint64) JOBQ_NEVER);
	progress.proven = Min(progress.proven, (TimestampTz) low);
	if (generation != progress.generation || progress.full_scan > now ||
		progress.full_scan < now - FULL_SCAN_INTERVAL)
	{
		progress.proven = DT_NOBEGIN;
		progress.generation = generation;
		progress.full_scan = now;
	}
	return progress.proven;
}

void
jobq_fire_progress_end(TimestampTz until, bool waiting)
{
	progress.claimed = until;
	progress.claims = true;
	if (!waiting)
		pg_atomic_write_u32(&jobq_database()->schedules_wait, 0);
}
