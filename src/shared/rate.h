/*-------------------------------------------------------------------------
 *
 * rate.h
 *	  How many jobs start in a time: the gate of a rate.
 *
 * IDENTIFICATION
 *	  src/shared/rate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RATE_H
#define JOBQ_RATE_H

#include "shared/shmem.h"

/* Intervals from this one on are kept in a table (start_row.c), in microseconds. */
#define JOBQ_KEPT_INTERVAL USECS_PER_SEC

static inline bool
jobq_rate_is_kept(const JobqGcra *gcra)
{
	return gcra->interval.usec >= JOBQ_KEPT_INTERVAL;
}

/* A start that is reserved, and what becomes of it. */
typedef struct JobqRateStart
{
	JobqRate   *rate;
	const JobqGcra *gcra;
	JobqGcraTake *take;
} JobqRateStart;

extern TimestampTz jobq_rates_since(TimestampTz now);
extern void jobq_rate_reset(JobqRate *rate);
extern bool jobq_rate_is_known(JobqRate *rate);
extern uint32 jobq_rate_reserved(JobqRate *rate);
extern void jobq_rate_learn(JobqRate *rate, TimestampTz tat);

/* For claims. */
extern bool jobq_rate_reserve(JobqRate *rate, const JobqGcra *gcra);
extern bool jobq_rate_release(JobqRate *rate);
extern TimestampTz jobq_rate_start(const JobqRateStart *starts, int n);
extern bool jobq_rate_undo(JobqRate *rate, const JobqGcraTake *take);

/* For starts for which no job is looked for. */
extern int	jobq_rate_admit(JobqRate *rate, const JobqGcra *gcra, int nstarts,
							bool force, JobqGcraTake *take);

/* For looks and commits. */
extern bool jobq_rate_is_open(JobqRate *rate, const JobqGcra *gcra,
							  TimestampTz *wake_at);
extern bool jobq_rate_may_be_open(JobqRate *rate, TimestampTz *wake_at);

#endif							/* JOBQ_RATE_H */
