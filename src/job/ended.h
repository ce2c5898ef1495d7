/*-------------------------------------------------------------------------
 *
 * ended.h
 *	  What happens when a job ends.
 *
 * Jobs end in transition.c.  Modules that must be told register here.
 *
 * IDENTIFICATION
 *	  src/job/ended.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ENDED_H
#define JOBQ_ENDED_H

#include "job/history.h"

/*
 * Called when a job is in a terminal state and its row is being deleted.
 * Writes it to history if it is to be kept, and calls the followers.
 */
extern void jobq_job_ended(JobqTable *jobs, const JobqJob *job,
						   const JobqQueue *queue, const JobqEnd *end);

/* Called when a job is deleted without trace. */
extern void jobq_job_removed(const JobqJob *job);

/* Whether a job of the queue could become dead now without waiting. */
extern bool jobq_job_may_die(const JobqQueue *queue);

/*
 * Callbacks that report dead jobs, and that say whether they can be reported.
 */
extern void jobq_ended_follow_deaths(bool (*may_die) (const JobqQueue *queue),
									 void (*tell) (const JobqJob *job,
												   const JobqQueue *queue,
												   const JobqEnd *end));

/*
 * Callback for the end of a job that names a schedule.  If it is given the
 * job's queue, it says whether the job, which was completed, should leave no
 * trace.
 */
extern void jobq_ended_follow_schedules(bool (*follow) (const char *schedule,
														int64 job_id,
														const JobqQueue *queue));

#endif							/* JOBQ_ENDED_H */
