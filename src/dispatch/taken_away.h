/*-------------------------------------------------------------------------
 *
 * taken_away.h
 *	  Interrupting executors whose job was ended by others.
 *
 * IDENTIFICATION
 *	  src/dispatch/taken_away.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TAKEN_AWAY_H
#define JOBQ_TAKEN_AWAY_H

#include "datatype/timestamp.h"

/*
 * Interrupts each executor of this database whose lease no longer holds its
 * job.  Needs a transaction; waits for nothing.  Returns when to do it again,
 * because a claim was not committed yet, or JOBQ_NEVER.
 */
extern TimestampTz jobq_taken_away_interrupt(void);

#endif							/* JOBQ_TAKEN_AWAY_H */
