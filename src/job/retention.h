/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  The parts of retention: each does a bounded amount of work, by the active
 *	  snapshot, and returns when it wants to be called again.
 *
 * IDENTIFICATION
 *	  src/job/retention.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RETENTION_H
#define JOBQ_RETENTION_H

#include "datatype/timestamp.h"

/* So many blocks of a table are gone through in one transaction. */
#define JOBQ_RETENTION_BLOCKS 256

/*
 * The segment that should have been emptied to take over by now,
 * -1 if there is none.  Needs SPI.
 */
extern int	jobq_history_overdue_segment(TimestampTz now);

/* History's ring, keep_*_count, old attempts */
extern TimestampTz jobq_retention_run(void);

#endif							/* JOBQ_RETENTION_H */
