/*-------------------------------------------------------------------------
 *
 * fire_progress.c
 *	  Which due schedules the coordinator knows of.
 *
 * A schedule whose run waits for the end of the previous one's job (overlap =>
 * 'queue') is not in the index on next_run.  A transaction that ends the last
 * job of a schedule notes its owner in ended_owner[] after commit, and wakes
 * the coordinator, if schedules_wait is set (ended_owner.c).  The flag is set, and the
 * owners are read, before the snapshot is taken that decides whether a run has
 * to wait: so either that snapshot sees the end of the job, or the next batch
 * looks at the owner's waiting schedules.  Which owners have any is in the
 * coordinator's memory (fire_owner.c); a full scan finds those it does not know.
 *
 * The index on next_run has dead entries at its low end, one for each run,
 * which cannot be removed while some snapshot needs them.  They are skipped: a
 * scan begins where the previous one has ended ("known"): of what is due before
 * that and was not fired, the owners are remembered (fire_owner.c).  This is
 * exact since every transaction that writes a next_run lowers
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

typedef struct Progress
{
	TimestampTz known;			/* all that are due before are */
	bool		open;			/* a batch has begun and not committed */
	uint32		generation;
	TimestampTz full_scan;		/* time of the last full scan */
} Progress;

static Progress progress = {
	.known = DT_NOBEGIN,.open = true,.full_scan = DT_NOBEGIN
};

/*
 * What a batch has done counts if its transaction commits.  Checking its XID
 * later is not possible, since pg_xact may have been truncated by then.
 */
static void
at_transaction_end(XactEvent event)
{
	if (event == XACT_EVENT_COMMIT)
		progress.open = false;
}

void
jobq_fire_progress_begin(TimestampTz now, JobqFireStart *start)
{
	JobqDatabase *database = jobq_database();
	uint32		generation = pg_atomic_read_u32(&database->generation);
	uint64		low;

	jobq_xact_end_follow(JOBQ_XACT_SCHEDULES,
						 JOBQ_XACT_AT(XACT_EVENT_COMMIT),
						 at_transaction_end, NULL);
	start->forget = progress.open;
	start->full = false;
	progress.open = true;

	pg_atomic_write_u32(&database->schedules_wait, 1);
	jobq_ended_owners_take(&start->ended);
	start->ended.all = generation != progress.generation;
	low = pg_atomic_exchange_u64(&database->schedules_low,
								 (uint64) JOBQ_NEVER);
	progress.known = Min(progress.known, (TimestampTz) low);
	if (start->forget || generation != progress.generation ||
		progress.full_scan > now ||
		progress.full_scan < now - FULL_SCAN_INTERVAL)
	{
		progress.known = DT_NOBEGIN;
		progress.generation = generation;
		progress.full_scan = now;
		start->full = true;
	}
	start->first = progress.known;
}

void
jobq_fire_progress_end(TimestampTz until, bool waiting)
{
	progress.known = until;
	if (!waiting)
		pg_atomic_write_u32(&jobq_database()->schedules_wait, 0);
}
