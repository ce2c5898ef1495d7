/*-------------------------------------------------------------------------
 *
 * schedule_fire.h
 *	  Firing due schedules, by the coordinator: adding their jobs and advancing
 *	  next_run.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_fire.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEDULE_FIRE_H
#define JOBQ_SCHEDULE_FIRE_H

#include "datatype/timestamp.h"

/* Enqueues the runs of due schedules */
extern TimestampTz jobq_schedule_fire_due(int limit, bool *more);

#endif							/* JOBQ_SCHEDULE_FIRE_H */
