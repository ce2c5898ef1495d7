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

/*
 * Sweeps the database if it is time: looks at all queues for suspects, in parts,
 * and checks these some time later.  Returns when to call it again; sets *more if
 * that should be at once.
 */
extern TimestampTz jobq_sweep(bool *more);

#endif							/* JOBQ_SWEEP_H */
