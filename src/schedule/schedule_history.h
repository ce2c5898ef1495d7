/*-------------------------------------------------------------------------
 *
 * schedule_history.h
 *	  The history of schedules' latest runs.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_history.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEDULE_HISTORY_H
#define JOBQ_SCHEDULE_HISTORY_H

#include "base/table.h"

#include "datatype/timestamp.h"

/* A run enqueued more than this after its time is late. */
#define JOBQ_SCHEDULE_LATE_AFTER (60 * USECS_PER_SEC)

/* The words are in schedule_history.c. */
typedef enum JobqScheduleRunOutcome
{
	JOBQ_SCHEDULE_RUN_ENQUEUED,
	JOBQ_SCHEDULE_RUN_SKIPPED,
	JOBQ_SCHEDULE_RUN_MISSED,
	JOBQ_SCHEDULE_RUN_FAILED,
	JOBQ_NUM_SCHEDULE_RUN_OUTCOMES
} JobqScheduleRunOutcome;

/*
 * The outcome of a run of a schedule, or of several consecutive skipped runs,
 * for its history.
 */
typedef struct JobqScheduleEvent
{
	JobqScheduleRunOutcome outcome;
	const char *reason;			/* NULL: none */
	TimestampTz first;			/* nominal times of the first and the last */
	TimestampTz last;
	int64		runs;			/* their number */
	int64		job;			/* 0: none */
	bool		caught_up;
} JobqScheduleEvent;

/* jobq_store.schedule_run, open for writing. */
typedef struct JobqScheduleHistory
{
	JobqTable  *table;
	TupleTableSlot *slot;
} JobqScheduleHistory;

extern void jobq_schedule_history_init(void);

/*
 * values[] are those of the schedule's locked row.
 * jobq_schedule_history_add() counts the event there, and the caller then
 * writes the row.
 */
extern void jobq_schedule_history_open(JobqScheduleHistory *history);
extern void jobq_schedule_history_close(JobqScheduleHistory *history);
extern void jobq_schedule_history_add(JobqScheduleHistory *history,
									  Datum *values,
									  const JobqScheduleEvent *event);
extern void jobq_schedule_history_remove(const Datum *values);

#endif							/* JOBQ_SCHEDULE_HISTORY_H */
