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
#include "schedule/fire_turn.h"
#include "schedule/schedule_history.h"
#include "schedule/schedule_row.h"
#include "schedule/timetable.h"

/*
 * All owners together have up to this many long bytes copied into jobs before
 * other tasks have their turn.
 */
#define JOBQ_FIRE_MAX_BYTES (4 * 1024 * 1024)

/* One call of jobq_schedule_fire_due(). */
typedef struct JobqFireBatch
{
	MemoryContext context;		/* lives as long as the batch */
	MemoryContext row_context;	/* reset after each schedule */
	JobqFireTurns turns;		/* whose turn it is, and what came of it */
	JobqFireTurn *turn;			/* now */
	int			limit;
	bool		one_by_one;		/* a subtransaction for each schedule */

	/* results */
	List	   *disabled;		/* of JobqDisabledSchedule */
	int			done;			/* what counts towards the limit: jobs */
	int64		bytes;			/* long ones that were copied, */
	List	   *owners;			/* of whom: of OwnerBytes */
} JobqFireBatch;

/* A schedule that was disabled, to be reported after the batch. */
typedef struct JobqDisabledSchedule
{
	char	   *name;
	char	   *problem;
} JobqDisabledSchedule;

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

/*
 * The schedule that has its turn stays due from next_run on: it has its next
 * turn soon, or after a delay (microseconds), since the process `pid` (0: not
 * known) is in the way.
 */
extern void jobq_firing_leave(JobqFireBatch *batch, TimestampTz next_run);
extern void jobq_firing_try_later(JobqFireBatch *batch, TimestampTz next_run,
								  int64 delay);
extern void jobq_firing_put_off(JobqFireBatch *batch, TimestampTz next_run,
								int pid);

/* Whether an owner's long payloads have taken their share of the batch. */
extern bool jobq_firing_has_had_its_share(const JobqFireBatch *batch,
										  Oid owner);

#endif							/* JOBQ_FIRING_H */
