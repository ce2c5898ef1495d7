/*-------------------------------------------------------------------------
 *
 * sweep.h
 *	  Looking for jobs that shared memory has lost sight of.
 *
 * IDENTIFICATION
 *	  src/dispatch/sweep.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SWEEP_H
#define JOBQ_SWEEP_H

#include "datatype/timestamp.h"

/* Ready jobs that dispatch has lost sight of */
extern TimestampTz jobq_sweep(void);

#endif							/* JOBQ_SWEEP_H */
