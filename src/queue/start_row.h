/*-------------------------------------------------------------------------
 *
 * start_row.h
 *	  What the table rate_start keeps of the rates of queues.
 *
 * IDENTIFICATION
 *	  src/queue/start_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_START_ROW_H
#define JOBQ_START_ROW_H

#include "datatype/timestamp.h"

/*
 * The latest tat that is committed or prepared of a group of the queue (NULL: of all
 * its jobs); 0 if there is none.  A limit has the number of its id with the sign changed.
 */
extern TimestampTz jobq_start_row_read(int32 queue, const char *group);

/*
 * Keeps a tat with the current (sub)transaction, and removes some of other groups that
 * are over.  Waits for nobody.
 */
extern void jobq_start_row_write(int32 queue, const char *group,
								 TimestampTz tat);

/* Removes what is kept, groups included, except what others are changing. */
extern void jobq_start_row_remove(int32 queue);

#endif							/* JOBQ_START_ROW_H */
