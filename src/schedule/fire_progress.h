/*-------------------------------------------------------------------------
 *
 * fire_progress.h
 *	  Which due schedules the coordinator knows of.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_progress.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRE_PROGRESS_H
#define JOBQ_FIRE_PROGRESS_H

#include "shared/ended_owner.h"

#include "datatype/timestamp.h"

/* Where a batch begins. */
typedef struct JobqFireStart
{
	TimestampTz first;			/* it knows of all that are due before */
	bool		forget;			/* of none: the last batch was rolled back */
	bool		full;			/* look for owners whose schedules wait, too */
	JobqEndedOwners ended;		/* of whose schedules a job has ended */
} JobqFireStart;

/*
 * Begins a batch: decides where to begin, before the snapshot is taken, and has
 * transactions that end jobs report that from now on.
 */
extern void jobq_fire_progress_begin(TimestampTz now, JobqFireStart *start);

/*
 * Ends it: if the transaction commits, all that is due before the given time is
 * known, and none of these is waiting for a job unless `waiting`.
 */
extern void jobq_fire_progress_end(TimestampTz until, bool waiting);

#endif							/* JOBQ_FIRE_PROGRESS_H */
