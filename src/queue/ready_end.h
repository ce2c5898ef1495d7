/*-------------------------------------------------------------------------
 *
 * ready_end.h
 *	  What the end of a transaction does for the jobs that it has noted.
 *
 * IDENTIFICATION
 *	  src/queue/ready_end.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_READY_END_H
#define JOBQ_READY_END_H

#include "queue/queue_wake.h"
#include "shared/lane.h"
#include "shared/note.h"

/* Contents of a note of a job. */
typedef struct JobqReadyNote
{
	JobqQueueNote queue;
	int			njobs;
	int			settled;		/* level at which the locked job was changed,
								 * or 0 */
	int			tickets;		/* of the queue's gate */
	int			lent;			/* the same, lent by jobs that end */
	int			in_group;		/* tickets of the group */
	int			lent_in_group;
	JobqGroup  *group;
	JobqPlace	place;			/* of the first */
	TimestampTz last_run_at;	/* of the others, and of the first */
} JobqReadyNote;

/* Whether the locked job that a note is about has been changed. */
extern bool jobq_ready_end_is_settled(const JobqNote *note);

/* Lanes: jobs are claimable. */
extern void jobq_ready_end_lower(const JobqNote *note, TimestampTz now);
extern void jobq_ready_end_lower_locked(const JobqNote *note, TimestampTz now);

/* Tickets are given back. */
extern void jobq_ready_end_leave(const JobqNote *note, TimestampTz now);
extern void jobq_ready_end_leave_claimed(const JobqNote *note, TimestampTz now);
extern void jobq_ready_end_leave_prepared(const JobqNote *note);

/* Workers are woken. */
extern void jobq_ready_end_wake(const JobqNote *note, TimestampTz now);
extern void jobq_ready_end_wake_locked(const JobqNote *note, TimestampTz now);

/* PREPARE TRANSACTION. */
extern void jobq_ready_end_mark(const JobqNote *note);

/*
 * Called before a claim of a job of the queue is prepared; raises 0A000 if the
 * queue, or its groups, have a limit by now, or the claim has a slot of a shared one.
 */
extern void jobq_ready_end_refuse_limited(const JobqQueueNote *note, bool in_group);

#endif							/* JOBQ_READY_END_H */
