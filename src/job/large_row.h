/*-------------------------------------------------------------------------
 *
 * large_row.h
 *	  Moving large rows in the coordinator.
 *
 * IDENTIFICATION
 *	  src/job/large_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LARGE_ROW_H
#define JOBQ_LARGE_ROW_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"

/*
 * After a transaction has moved or deleted rows with this many bytes, other
 * tasks have their turn.
 */
#define JOBQ_MOVE_BYTES (2 * 1024 * 1024)

/* How many bytes the values of a row have as they are stored. */
extern Size jobq_row_bytes(TupleTableSlot *row);

/*
 * Whether a row of that size must not be moved yet by a transaction that began
 * its work at `now`; if so, sets *again to when it may be.
 */
extern bool jobq_large_row_waits(Size bytes, TimestampTz now,
								 TimestampTz *again);

/* Right before a row of that size is moved, and right after that. */
extern void jobq_large_row_begin(Size bytes);
extern void jobq_large_row_end(void);

#endif							/* JOBQ_LARGE_ROW_H */
