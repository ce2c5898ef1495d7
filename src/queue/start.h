/*-------------------------------------------------------------------------
 *
 * start.h
 *	  Starts of jobs, where a queue or its limit has a rate, or it is throttled.
 *
 * IDENTIFICATION
 *	  src/queue/start.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_START_H
#define JOBQ_START_H

#include "queue/queue_row.h"
#include "shared/group_rate.h"

/* A start that was counted. */
typedef struct JobqStart
{
	JobqQueueState *state;		/* of the queue; NULL: that has not counted it */
	int32		queue;
	int32		shared_limit;
	JobqGcraTake take;
	JobqLimitState *limit;		/* that the queue shares; NULL: that has not
								 * counted it */
	JobqGcraTake limit_take;
} JobqStart;

/* The same of a job's group, of which it has a ticket. */
typedef struct JobqGroupStart
{
	JobqGroup  *group;			/* NULL: it has no rate */
	bool		is_kept;
	JobqGcraTake take;
} JobqGroupStart;

/*
 * Reserves a start, unless this process has one.  False if the queue's rate, or
 * throttle(), allows none now: then the coordinator is told when they do, and
 * *next_run_at is lowered to that time.  The reservation must be used or returned; a
 * rollback returns it, too.  May raise an error.
 */
extern bool jobq_start_reserve(const JobqQueue *queue,
							   TimestampTz *next_run_at);

/*
 * A job is found, with that ticket of its group (NULL: it has none): counts the start,
 * and returns its time.  Without a rate, returns `now`, and no start.
 */
extern TimestampTz jobq_start_use(JobqStart *start, const JobqQueue *queue,
								  JobqGroupStart *group_start,
								  JobqGroupTicket *ticket, TimestampTz now);

/* No job is found. */
extern void jobq_start_return(void);

/* The job that was found does not start now. */
extern void jobq_start_undo(JobqStart *start);
extern void jobq_start_undo_of_group(JobqGroupStart *start);

/*
 * Keeps the start, and those before it, for the time after a restart of the
 * server.  To be called when the job is claimed, in that transaction.
 */
extern void jobq_start_keep(const JobqStart *start, const JobqQueue *queue);
extern void jobq_start_keep_of_group(const JobqGroupStart *start,
									 const JobqQueue *queue);

/* The same for new jobs: what is lost with them in a crash may be lost. */
extern void jobq_start_keep_new(const JobqStart *start,
								const JobqQueue *queue);

/* The same for new jobs of a group, whose interval is one that is kept. */
extern void jobq_start_keep_in_group(int32 queue, const char *name,
									 const JobqGcraTake *take);

/* Whether a start could be reserved; if not, as above. */
extern bool jobq_start_is_allowed(const JobqQueue *queue,
								  TimestampTz *next_run_at);

/* Whether starts of the queue are kept, for its own rate or its limit's. */
extern bool jobq_start_is_kept(const JobqQueue *queue);

/*
 * For new jobs, where they are limited in place of starts: pins the queue's
 * entry, and makes its rate known; false if the queue is gone.  May raise an
 * error, without the pin then.
 */
extern bool jobq_start_pin(const JobqQueue *queue);

#endif							/* JOBQ_START_H */
