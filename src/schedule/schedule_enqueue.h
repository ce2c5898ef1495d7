/*-------------------------------------------------------------------------
 *
 * schedule_enqueue.h
 *	  The jobs that runs of schedules are made of.
 *
 * IDENTIFICATION
 *	  src/schedule/schedule_enqueue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEDULE_ENQUEUE_H
#define JOBQ_SCHEDULE_ENQUEUE_H

#include "base/table.h"
#include "queue/queue_row.h"

#include "datatype/timestamp.h"

/*
 * Where the schedule's jobs go.  NULL, and in *problem why (palloc'd), if its
 * owner cannot put any there.
 */
extern const JobqQueue *jobq_schedule_queue(const Datum *values,
											const bool *nulls,
											char **problem);

/* Adds the job of the run of a given nominal time; returns its id. */
extern int64 jobq_schedule_enqueue(JobqTable *jobs, const JobqQueue *queue,
								   const Datum *values, const bool *nulls,
								   TimestampTz slot, bool caught_up);

/*
 * Whether a job is not finished, as the active snapshot sees it; and if so, in
 * *caught_up unless that is NULL, whether it is that of a run made up for.
 */
extern bool jobq_schedule_job_is_live(JobqTable *jobs, int64 id,
									  bool *caught_up);

#endif							/* JOBQ_SCHEDULE_ENQUEUE_H */
