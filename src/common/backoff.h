/*-------------------------------------------------------------------------
 *
 * backoff.h
 *	  How long to wait before a failed job is tried again.
 *
 * IDENTIFICATION
 *	  src/common/backoff.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMON_BACKOFF_H
#define JOBQ_COMMON_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/*
 * No delay is longer than this (100 years, in microseconds), so that it can
 * be added to any reasonable timestamp without a check.
 */
#define JOBQ_BACKOFF_DELAY_MAX	(INT64_C(36525) * 86400 * 1000000)

typedef enum JobqBackoffKind
{
	JOBQ_BACKOFF_EXPONENTIAL,	/* base * factor ^ (attempt - 1) */
	JOBQ_BACKOFF_LINEAR,		/* base * attempt */
	JOBQ_BACKOFF_FIXED			/* base */
} JobqBackoffKind;

#define JOBQ_BACKOFF_KINDS		3

/* By kind, as queues are told. */
extern const char *const jobq_backoff_kind_names[JOBQ_BACKOFF_KINDS];

/*
 * A policy.  If nsteps is positive, the delay after attempt n is steps[n - 1]
 * (the last one repeats), and kind, base, factor and max do not matter.
 */
typedef struct JobqBackoff
{
	JobqBackoffKind kind;
	int			nsteps;
	const int64_t *steps;		/* microseconds, owned by the caller */
	int64_t		base_us;
	int64_t		max_us;			/* upper bound before jitter */
	double		factor;
	double		jitter;			/* 0 to 1 */
} JobqBackoff;

extern bool jobq_backoff_kind_lookup(const char *name, JobqBackoffKind *kind);
extern int64_t jobq_backoff_delay(const JobqBackoff *backoff, int attempt,
								  double random);

#endif							/* JOBQ_COMMON_BACKOFF_H */
