/*-------------------------------------------------------------------------
 *
 * ended.h
 *	  The end of a job: what follows from it.
 *
 * transition.c is where jobs end.  Those who want to know register here.
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
 * A job is in a terminal state, and its row is being deleted: it is written to
 * history, if it is to be kept, and the followers are told.
 */
extern void jobq_job_ended(JobqTable *jobs, const JobqJob *job,
						   const JobqQueue *queue, const JobqEnd *end);

/* A job that is not running is being deleted without trace. */
extern void jobq_job_removed(const JobqJob *job);

/* Whether a job of the queue could die now without waiting for anybody. */
extern bool jobq_job_may_die(const JobqQueue *queue);

/* Who is told of dead jobs, and who says whether they can be told. */
extern void jobq_ended_follow_deaths(bool (*may_die) (const JobqQueue *queue),
									 void (*tell) (const JobqJob *job,
												   const JobqQueue *queue,
												   const JobqEnd *end));

/*
 * Who says whether a job that has succeeded, and names a schedule, is to leave
 * no trace.
 */
extern void jobq_ended_follow_schedules(bool (*leaves_no_trace) (const char *schedule,
																 const JobqQueue *queue,
																 int64 job_id));

#endif							/* JOBQ_ENDED_H */
