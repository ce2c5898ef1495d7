/*-------------------------------------------------------------------------
 *
 * schedule_row.h
 *	  Rows of jobq_store.schedule.
 *	  with schedule().
 *
 * A schedule is handled as the columns of its row in jobq_store.schedule
 * (values and nulls, by the numbers of schema.h).  All that is durable about
 * it is there; next_run is the nominal time of the run that comes next, and
 * JOBQ_NEVER for a schedule that is disabled or has had its last run.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEDULE_ROW_H
#define JOBQ_SCHEDULE_ROW_H

#include "base/table.h"

#include "datatype/timestamp.h"
#include "access/attnum.h"

/* A row of jobq_store.schedule. */
typedef struct JobqScheduleRow
{
	Datum		values[Natts_schedule];
	bool		nulls[Natts_schedule];
} JobqScheduleRow;

extern void jobq_schedule_set(JobqScheduleRow *row, AttrNumber attnum,
							  Datum value);
extern TimestampTz jobq_schedule_next_run(const JobqScheduleRow *row);
extern void jobq_schedule_peek(JobqTable *table, const char *name,
							   JobqScheduleRow *row);
extern bool jobq_schedule_find(JobqTable *table, TupleTableSlot *slot,
							   const char *name, JobqScheduleRow *row);
extern void jobq_schedule_check_owner(const JobqScheduleRow *row);
extern void jobq_schedule_require(JobqTable *table, TupleTableSlot *slot,
								  const char *name, JobqScheduleRow *row);
extern TimestampTz jobq_schedule_next_run_from_now(const JobqScheduleRow *row);
extern void jobq_schedule_note_next_run(const JobqScheduleRow *row);

#endif							/* JOBQ_SCHEDULE_ROW_H */
