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

extern void jobq_rate_reset(JobqRate *rate);
extern bool jobq_rate_is_known(JobqRate *rate);
extern uint32 jobq_rate_reserved(JobqRate *rate);
extern void jobq_rate_learn(JobqRate *rate, TimestampTz tat);

/* For claims. */
extern bool jobq_rate_reserve(JobqRate *rate, const JobqGcra *gcra);
extern bool jobq_rate_release(JobqRate *rate);
extern TimestampTz jobq_rate_start(JobqRate *rate, const JobqGcra *gcra,
								   JobqGcraTake *take);
extern TimestampTz jobq_rate_start_both(JobqRate *first, const JobqGcra *gcra,
										JobqGcraTake *take, JobqRate *second,
										const JobqGcra *second_gcra,
										JobqGcraTake *second_take);
extern bool jobq_rate_undo(JobqRate *rate, const JobqGcraTake *take);

/* For starts for which no job is looked for. */
extern int	jobq_rate_admit(JobqRate *rate, const JobqGcra *gcra, int nstarts,
							bool force, JobqGcraTake *take);

/* For looks and commits. */
extern bool jobq_rate_is_open(JobqRate *rate, const JobqGcra *gcra,
							  TimestampTz *wake_at);
extern bool jobq_rate_may_be_open(JobqRate *rate, TimestampTz *wake_at);

#endif							/* JOBQ_RATE_H */
