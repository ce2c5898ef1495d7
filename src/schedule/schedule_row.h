/*-------------------------------------------------------------------------
 *
 * schedule_row.h
 *	  Rows of jobq_store.schedule.
 *
 * A schedule is represented by the columns of its row in jobq_store.schedule
 * (values and nulls, by the numbers of schema.h), which contains all its
 * durable state.  next_run is the nominal time of the next run, or JOBQ_NEVER
 * for a schedule that is disabled or has had its last run.
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

/* Options whose values are words: what becomes of runs that were missed. */
typedef enum JobqScheduleMissed
{
	JOBQ_MISSED_SKIP,
	JOBQ_MISSED_ONCE,
	JOBQ_MISSED_ALL,
	JOBQ_NUM_MISSED
} JobqScheduleMissed;

/* What becomes of a run while the previous one's job is not finished. */
typedef enum JobqScheduleOverlap
{
	JOBQ_OVERLAP_SKIP,
	JOBQ_OVERLAP_ALLOW,
	JOBQ_OVERLAP_QUEUE,
	JOBQ_OVERLAP_CANCEL,
	JOBQ_NUM_OVERLAPS
} JobqScheduleOverlap;

/* Which runs stay in schedule_run. */
typedef enum JobqScheduleKeepRuns
{
	JOBQ_KEEP_RUNS_ALL,
	JOBQ_KEEP_RUNS_ERRORS,
	JOBQ_NUM_KEEP_RUNS
} JobqScheduleKeepRuns;

/* The words, in the order of the enums; NULL ends them. */
extern const char *const jobq_schedule_missed_words[JOBQ_NUM_MISSED + 1];
extern const char *const jobq_schedule_overlap_words[JOBQ_NUM_OVERLAPS + 1];
extern const char *const jobq_schedule_keep_runs_words[JOBQ_NUM_KEEP_RUNS + 1];

/* A row of jobq_store.schedule. */
typedef struct JobqScheduleRow
{
	Datum		values[Natts_schedule];
	bool		nulls[Natts_schedule];
} JobqScheduleRow;

/*
 * The number of the word that a column of type text has, or `otherwise` if it
 * is none of them.
 */
extern int	jobq_schedule_word(Datum value, const char *const *words,
							   int otherwise);

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
extern void jobq_schedule_write(JobqTable *table, TupleTableSlot *slot,
								JobqScheduleRow *row);
extern void jobq_schedule_note_next_run(const JobqScheduleRow *row);

#endif							/* JOBQ_SCHEDULE_ROW_H */
