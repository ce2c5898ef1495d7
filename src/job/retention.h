/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  Removing finished jobs that need not be kept any longer.
 *
 * Each part does a bounded amount of work with the active snapshot, and returns
 * when to call it again.
 *
 * IDENTIFICATION
 *	  src/job/retention.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RETENTION_H
#define JOBQ_RETENTION_H

#include "datatype/timestamp.h"

/*
 * The segment that should have been emptied and become current already, or -1.
 * Needs an SPI connection.
 */
extern int	jobq_history_overdue_segment(TimestampTz now);

/* All parts: the ring of history, limits by number, old attempts. */
extern TimestampTz jobq_retention_run(void);

#endif							/* JOBQ_RETENTION_H */
