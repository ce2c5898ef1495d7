/*-------------------------------------------------------------------------
 *
 * attempt_count.h
 *	  Counting the attempts that ended with an executor, or with the server, by
 *	  the coordinator.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/attempt_count.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ATTEMPT_COUNT_H
#define JOBQ_ATTEMPT_COUNT_H

#include "datatype/timestamp.h"

/* Attempts that ended early; needs a transaction */
extern TimestampTz jobq_attempt_count_run(bool *more);

/* That transaction was rolled back. */
extern void jobq_attempt_count_undo(void);

#endif							/* JOBQ_ATTEMPT_COUNT_H */
