/*-------------------------------------------------------------------------
 *
 * sweep.h
 *	  Finding jobs that are missing from shared memory.
 *
 * IDENTIFICATION
 *	  src/dispatch/sweep.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SWEEP_H
#define JOBQ_SWEEP_H

#include "datatype/timestamp.h"

/* Recovers jobs that are missing from shared memory */
extern TimestampTz jobq_sweep(void);

#endif							/* JOBQ_SWEEP_H */
