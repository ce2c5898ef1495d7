/*-------------------------------------------------------------------------
 *
 * rest.c
 *	  When a coordinator leaves, since nothing in its database needs one.
 *
 * A database can have the extension and nothing at home: it is a copy before
 * start(), or has no queue yet.  Any number of such databases can be made by a role
 * that may create databases, so they must not take worker slots that others need.  A
 * coordinator stays there for a moment, and leaves.  It stays for its life once it
 * has seen a row of this database's own.
 *
 * No wake-up is lost by that.  A transaction that makes the first such row wakes
 * the coordinator after its commit (wake.c): it sets a bit, and requests a
 * coordinator if it finds none.  If it has set the bit before sign_off() reads it,
 * the launcher starts another coordinator.  If the bit was read by the loop before
 * this task, the row is visible to the task's snapshot.  A commit that finds next_due
 * at an earlier time wakes nobody; so that is set to "never" before the snapshot
 * is taken, and not touched again by this process.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/rest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/rest.h"

#include "service/service.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/slot.h"
#include "shared/wake.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

/*
 * How long a coordinator stays at least, in microseconds; and if others find no
 * worker slot.  So commits that make nothing of the database's own, one after the
 * other, do not have processes started all the time.
 */
#define STAY (10 * USECS_PER_SEC)
#define STAY_IF_SLOTS_LACK (USECS_PER_SEC)

static bool begun = false;

/* What next_due was before it was set to JOBQ_NEVER; that if it was not. */
static uint64 due = (uint64) JOBQ_NEVER;

/* Whether a process of jobq has found no worker slot in the server. */
static bool
slots_lack(void)
{
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	result = jobq_shared->no_slots || jobq_shared->starving > 0;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	return result;
}

/* Puts next_due back, unless a commit has lowered it further. */
static void
stay(void)
{
	(void) jobq_wake_lower_time(&jobq_database()->next_due,
								(TimestampTz) due);
	due = (uint64) JOBQ_NEVER;
}

/* Whether to stay even if nothing is at home. */
static bool
is_too_early(void)
{
	static int64 began = 0;
	int64		now = jobq_stopwatch();

	if (began == 0)
		began = now;
	return now - began < STAY_IF_SLOTS_LACK ||
		(now - began < STAY && !slots_lack());
}

TimestampTz
jobq_rest_run(void)
{
	static bool looked = false;
	bool		early = is_too_early();
	TimestampTz again = jobq_now() + STAY_IF_SLOTS_LACK;

	if (early && looked)
		return again;
	looked = true;
	due = pg_atomic_exchange_u64(&jobq_database()->next_due,
								 (uint64) JOBQ_NEVER);
	if (jobq_service_any_at_home())
		again = JOBQ_NEVER;
	else if (!early && jobq_slots_of_database(MyDatabaseId, false) == 0)
	{
		begun = true;
		proc_exit(0);
	}
	else if (!early)
		again = jobq_now() + STAY;	/* the executors leave first */
	stay();
	return again;
}

void
jobq_rest_undo(void)
{
	stay();
}

bool
jobq_rest_has_begun(void)
{
	return begun;
}
