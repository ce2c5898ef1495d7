/*-------------------------------------------------------------------------
 *
 * interval.h
 *	  Intervals as numbers.
 *
 * IDENTIFICATION
 *	  src/shared/interval.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_INTERVAL_H
#define JOBQ_INTERVAL_H

#include "datatype/timestamp.h"

/* Months have 30 days, days 24 hours; values out of range become the limit. */
extern int64 jobq_interval_microseconds(const Interval *interval);

#endif							/* JOBQ_INTERVAL_H */
