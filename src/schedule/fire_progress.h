/*-------------------------------------------------------------------------
 *
 * fire_progress.h
 *	  How far the schedules that were due have been fired.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_progress.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRE_PROGRESS_H
#define JOBQ_FIRE_PROGRESS_H

#include "datatype/timestamp.h"

/*
 * Before the snapshot is taken by which schedules are looked for: from which
 * next_run on.
 */
extern TimestampTz jobq_fire_progress_begin(TimestampTz now);

/*
 * All that was due before `until` is done if the transaction commits; waiting:
 * but for some that wait for the end of their previous job.
 */
extern void jobq_fire_progress_end(TimestampTz until, bool waiting);

#endif							/* JOBQ_FIRE_PROGRESS_H */
