/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  The parts of retention.  Each does a bounded amount of work with the
 *	  active snapshot, and returns when to call it again.
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
 * The segment that should have been emptied and become current by now, or -1.
 * Needs an SPI connection.
 */
extern int	jobq_history_overdue_segment(TimestampTz now);

/* History's ring, keep_*_count, old attempts */
extern TimestampTz jobq_retention_run(void);

#endif							/* JOBQ_RETENTION_H */
