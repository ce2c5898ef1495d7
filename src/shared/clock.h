/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The one place where time is read.
 *
 * IDENTIFICATION
 *	  src/shared/clock.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLOCK_H
#define JOBQ_CLOCK_H

#include "datatype/timestamp.h"

extern TimestampTz jobq_now(void);
extern int64 jobq_stopwatch(void);

#endif							/* JOBQ_CLOCK_H */
