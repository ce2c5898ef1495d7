/*-------------------------------------------------------------------------
 *
 * test_clock.c
 *	  Setting jobq's clock forward, for tests.
 *
 * The install script does not declare this function: tests that need it do, as
 * superusers.
 *
 * IDENTIFICATION
 *	  src/service/test_clock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/interval.h"
#include "shared/wake.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(jobq_advance_clock);

/* jobq_advance_clock(by interval): sets jobq's clock forward; returns its time. */
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
