/*-------------------------------------------------------------------------
 *
 * firing.h
 *	  Firing one schedule that is due.
 *
 * IDENTIFICATION
 *	  src/schedule/firing.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRING_H
#define JOBQ_FIRING_H

#include "queue/queue_row.h"
#include "schedule/fire_batch.h"
#include "schedule/schedule_history.h"
#include "schedule/schedule_row.h"
#include "schedule/timetable.h"

/* A schedule that is due, its row locked. */
typedef struct JobqFiring
{
	JobqFireBatch *batch;
	JobqTable  *schedules;
	JobqTable  *jobs;
	JobqScheduleHistory history;
	TupleTableSlot *slot;
	Datum		values[Natts_schedule];
	bool		nulls[Natts_schedule];
	JobqTimetable timetable;
	const JobqQueue *queue;
	JobqScheduleMissed missed;
	JobqScheduleOverlap overlap;
	int64		added;			/* id of the last job added now, 0: none */
	bool		added_caught_up;	/* it belongs to a missed run */
} JobqFiring;

/*
 * Fires the schedule in firing->slot, which is locked, for the runs that are
 * due.  For jobq_subtransaction().
 */
extern void jobq_firing_fire(void *arg);

/* Reads that row into values[] and nulls[]. */
extern void jobq_firing_read_row(JobqFiring *firing);
extern TimestampTz jobq_firing_next_run(const JobqFiring *firing);
extern JobqScheduleOverlap jobq_firing_overlap(Datum value);

/* It cannot run as it is; in the row, which the caller does not use again. */
extern void jobq_firing_disable(JobqFiring *firing, const char *problem);

#endif							/* JOBQ_FIRING_H */
