/*-------------------------------------------------------------------------
 *
 * look.h
 *	  Checking whether a queue has a ready job, without claiming it.
 *
 * IDENTIFICATION
 *	  src/dispatch/look.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LOOK_H
#define JOBQ_LOOK_H

#include "dispatch/turn.h"
#include "queue/queue_row.h"
#include "shared/ring.h"

#include "datatype/timestamp.h"

/*
 * A look at a queue: whether it has a free ready job, and when its next job is
 * due.  There may be very many jobs, and others may hold all that are ready, so a
 * look has a time limit, and is continued later.  It need not see jobs that become
 * ready meanwhile: their transactions wake somebody.
 */
typedef struct JobqLook
{
	int32		queue;			/* JOBQ_NO_QUEUE: no look is under way */
	int			after;			/* priorities up to this one are done */
	bool		begun;			/* this one is not: */
	int16		priority;
	JobqKey		from;			/* the next key */
	bool		ready;			/* there is a free job */
	TimestampTz next;			/* the earliest future run_at so far */
	JobqVisit	groups;			/* after all priorities */
} JobqLook;

extern void jobq_look_begin(JobqLook *look, int32 queue);

/*
 * Continues a look until it ends, or until that time of jobq_stopwatch(), but over
 * one priority, some rows or one group at least.  Returns whether it has ended.
 */
extern bool jobq_look_continue(JobqLook *look, const JobqQueue *queue,
							   int64 until);

/* Whether there is a free ready job. */
extern bool jobq_look_finds_free_job(const JobqQueue *queue);

#endif							/* JOBQ_LOOK_H */
