/*-------------------------------------------------------------------------
 *
 * gcra.h
 *	  How many starts a rate allows: the generic cell rate algorithm.
 *
 * IDENTIFICATION
 *	  src/common/gcra.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMON_GCRA_H
#define JOBQ_COMMON_GCRA_H

#include <stdbool.h>
#include <stdint.h>

/* The longest period: 1000 years, in microseconds. */
#define JOBQ_GCRA_PERIOD_MAX	(INT64_C(365250) * 86400 * 1000000)

/*
 * The longest time that a full burst takes to come back, and so the furthest
 * that a gate is shut ahead: 10,000 years, in microseconds.
 */
#define JOBQ_GCRA_SPAN_MAX		(10 * JOBQ_GCRA_PERIOD_MAX)

/* The default burst makes up for a timer that is late by this much. */
#define JOBQ_GCRA_LATENESS		20000

/* A time, from an epoch of the caller's choice, or a span. */
typedef struct JobqGcraTime
{
	int64_t		usec;
	uint32_t	frac;			/* 2^-32 microseconds */
} JobqGcraTime;

/*
 * A rate.  "interval" is T, the time that each start uses up; "tolerance" is
 * what the starts of a burst after its first use up; "ahead" is how far tat may
 * be ahead of now, both together unless starts can be forced.
 */
typedef struct JobqGcra
{
	JobqGcraTime interval;
	JobqGcraTime tolerance;
	JobqGcraTime ahead;
} JobqGcra;

/* What a start made of tat, for jobq_gcra_give_back(). */
typedef struct JobqGcraTake
{
	JobqGcraTime before;
	JobqGcraTime after;
} JobqGcraTake;

typedef enum JobqGcraResult
{
	JOBQ_GCRA_OK,
	JOBQ_GCRA_BAD_LIMIT,		/* less than 1 */
	JOBQ_GCRA_BAD_PERIOD,		/* less than 1, or above the maximum */
	JOBQ_GCRA_BAD_BURST,		/* less than 1, or above the limit */
	JOBQ_GCRA_TOO_FAST,			/* more than 2^26 starts per microsecond */
	JOBQ_GCRA_TOO_LONG			/* a burst would take more than
								 * JOBQ_GCRA_SPAN_MAX to come back */
} JobqGcraResult;

extern int32_t jobq_gcra_default_burst(int32_t limit, int64_t period);
extern JobqGcraResult jobq_gcra_make(JobqGcra *gcra, int32_t limit,
									 int64_t period, int32_t burst);
extern void jobq_gcra_allow_force(JobqGcra *gcra, int64_t period);

extern JobqGcraTime jobq_gcra_full(int64_t now);
extern JobqGcraTime jobq_gcra_empty(const JobqGcra *gcra, int64_t now);
extern int64_t jobq_gcra_opens_at(const JobqGcra *gcra, JobqGcraTime tat);
extern JobqGcraTake jobq_gcra_take(const JobqGcra *gcra, JobqGcraTime *tat,
								   int64_t now);
extern bool jobq_gcra_give_back(JobqGcraTime *tat, const JobqGcraTake *take);
extern bool jobq_gcra_is_same(JobqGcraTime a, JobqGcraTime b);
extern bool jobq_gcra_cut(const JobqGcra *gcra, JobqGcraTime *tat,
						  int64_t now);

#endif							/* JOBQ_COMMON_GCRA_H */
