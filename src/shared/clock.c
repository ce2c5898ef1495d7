/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The one place where time is read.
 *
 * Tests can set jobq's clock forward, for all processes at once, instead of
 * waiting until something is due.
 *
 * IDENTIFICATION
 *	  src/shared/clock.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/clock.h"

#include "shared/shmem.h"

#include "utils/timestamp.h"

TimestampTz
jobq_now(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (jobq_shared != NULL)
		now += (int64) pg_atomic_read_u64(&jobq_shared->clock_offset);
	return now;
}
