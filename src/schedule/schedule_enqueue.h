/*-------------------------------------------------------------------------
 *
 * schedule_enqueue.h
 *	  Adding the jobs of schedules' runs.
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
 * The queue of the schedule's jobs.  Returns NULL, and the reason in *problem
 * (palloc'd), if its owner cannot enqueue into it.
 */
extern const JobqQueue *jobq_schedule_queue(const Datum *values,
											const bool *nulls,
											char **problem);

/*
 * Locks the queue against being dropped, and returns its current definition.
 * Raises 42501 if the schedule's owner may no longer enqueue into it.
 */
extern const JobqQueue *jobq_schedule_lock_queue(const JobqQueue *queue,
												 Oid owner);

/*
 * Adds the job of the run with the given nominal time to the queue, which is
 * locked; returns its id.
 */
extern int64 jobq_schedule_enqueue(JobqTable *jobs, const JobqQueue *queue,
								   const Datum *values, const bool *nulls,
								   TimestampTz slot, bool caught_up);

/*
 * Whether a job is unfinished according to the active snapshot.  If so, sets
 * *caught_up, unless NULL, to whether it belongs to a missed run that was
 * started late.
 */
extern bool jobq_schedule_job_is_live(JobqTable *jobs, int64 id,
									  bool *caught_up);

#endif							/* JOBQ_SCHEDULE_ENQUEUE_H */
