/*-------------------------------------------------------------------------
 *
 * fire_progress.c
 *	  How far the schedules that were due have been fired.
 *
 * A run that waits for the end of the previous one's job (overlap => 'queue')
 * leaves its schedule unchanged.  A transaction that ends a job of a schedule
 * wakes the coordinator after commit if schedules_wait is set (wake.c).  The
 * flag is set here before taking the snapshot that decides whether a run has
 * to wait: so either that snapshot sees the end of the job, or the transaction
 * that ends it sees the flag.
 *
 * The index on next_run has dead entries at its low end, one for each run,
 * which cannot be removed while some snapshot needs them.  They are skipped: a
 * scan begins where the previous one has left nothing to be fired ("proven").
 * This is exact since every transaction that writes a next_run lowers
 * schedules_low after its commit: it was either visible to the scan, or lowers
 * the beginning of the next one.  Events without callbacks (COMMIT PREPARED,
 * start(), ...) change the database's generation, which causes a full scan.
 * FULL_SCAN_INTERVAL does the same for rows that were not written by jobq's
 * functions.
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

/* Interval between full scans, if anything is done at all. */
#define FULL_SCAN_INTERVAL (60 * USECS_PER_SEC)

/*
 * The position up to which everything due has been fired, provided that the
 * transaction commits.
 */
typedef struct Progress
{
	TimestampTz proven;
	TimestampTz claimed;		/* proven when the transaction commits */
	bool		claims;			/* it has fired something */
	uint32		generation;
	TimestampTz full_scan;		/* time of the last full scan */
} Progress;

static Progress progress = {
	.proven = DT_NOBEGIN,.full_scan = DT_NOBEGIN
};

/*
 * Runs count as fired if the transaction commits.  Checking its XID later is
 * not possible, since pg_xact may have been truncated by then.
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
 * Determines where to begin, before the snapshot is taken, and makes
 * transactions that end jobs report that from now on.
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
