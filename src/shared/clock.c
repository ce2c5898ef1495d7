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

#include "portability/instr_time.h"
#include "utils/timestamp.h"

TimestampTz
jobq_now(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (jobq_shared != NULL)
		now += (int64) pg_atomic_read_u64(&jobq_shared->clock_offset);
	return now;
}

/*
 * Microseconds of a clock that nobody sets, to measure how long something takes:
 * a step of jobq's clock would look like work.
 */
int64
jobq_stopwatch(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}
