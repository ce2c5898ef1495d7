/*-------------------------------------------------------------------------
 *
 * first_row.h
 *	  A DestReceiver that keeps the first row of a command.
 *
 * IDENTIFICATION
 *	  bgworker/executor/first_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRST_ROW_H
#define JOBQ_FIRST_ROW_H

#include "tcop/dest.h"

/* Both are allocated in the context. */
extern DestReceiver *jobq_first_row_receiver(MemoryContext context);

/* The row as a jsonb object; false if there was none. */
extern bool jobq_first_row_as_jsonb(DestReceiver *receiver,
									MemoryContext context, Datum *result);

#endif							/* JOBQ_FIRST_ROW_H */
