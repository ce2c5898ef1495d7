/*-------------------------------------------------------------------------
 *
 * schedule_fire.h
 *	  What the coordinator does when schedules are due: it adds their jobs
 *	  and moves next_run on.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_fire.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEDULE_FIRE_H
#define JOBQ_SCHEDULE_FIRE_H

#include "datatype/timestamp.h"

/* Enqueue what schedules are due */
extern TimestampTz jobq_schedule_fire_due(int limit, bool *more);

#endif							/* JOBQ_SCHEDULE_FIRE_H */
