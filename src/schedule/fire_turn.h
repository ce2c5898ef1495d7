/*-------------------------------------------------------------------------
 *
 * fire_turn.h
 *	  Which of the schedules that are due have their turn in a batch.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_turn.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRE_TURN_H
#define JOBQ_FIRE_TURN_H

#include "base/table.h"
#include "schedule/fire_owner.h"

#include "utils/snapshot.h"

/* The turns of a batch, in order. */
typedef struct JobqFireTurns
{
	TimestampTz now;
	Snapshot	snapshot;
	JobqFireTurn *turns;
	int			nturns;
	int			limit;
} JobqFireTurns;

/*
 * Finds, by the snapshot, up to `limit` schedules that are due now.  Owners
 * with due schedules take turns.  No owner has been looked at from `first` on;
 * if `full`, owners with schedules that wait may not be known either.
 * The result is in the current memory context.
 */
extern void jobq_fire_turns_find(JobqFireTurns *turns, TimestampTz first,
								 bool full);

/* Forgets what came of the turns, before the first of them or for a retry. */
extern void jobq_fire_turns_reset(JobqFireTurns *turns);

/*
 * The earliest next_run after the given time, as this transaction leaves it;
 * JOBQ_NEVER if there is none.
 */
extern TimestampTz jobq_fire_turns_ahead(TimestampTz now);

#endif							/* JOBQ_FIRE_TURN_H */
