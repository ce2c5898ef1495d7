/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The one place where time is read.
 *
 * Tests can set jobq's clock forward, for all processes at once, instead of
 * waiting for what is due.
 *
 * IDENTIFICATION
 *	  src/clock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_advance_clock);

TimestampTz
jobq_now(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (jobq_shared != NULL)
		now += (int64) pg_atomic_read_u64(&jobq_shared->clock_offset);
	return now;
}

/* advance_clock(by interval): sets jobq's clock forward; returns its time. */
Datum
jobq_advance_clock(PG_FUNCTION_ARGS)
{
	int64		by = jobq_interval_microseconds(PG_GETARG_INTERVAL_P(0));

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to set jobq's clock")));
	jobq_require_shmem();
	pg_atomic_fetch_add_u64(&jobq_shared->clock_offset, by);
	for (int i = 0; i < JOBQ_MAX_DATABASES; i++)
	{
		JobqDatabase *database = &jobq_shared->databases[i];

		if (OidIsValid(database->dboid))
			jobq_wake_coordinator(database, JOBQ_WAKE_TIME);
	}
	PG_RETURN_TIMESTAMPTZ(jobq_now());
}
