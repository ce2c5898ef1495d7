/*-------------------------------------------------------------------------
 *
 * mark.h
 *	  What a prepared transaction leaves to the session that finishes it.
 *
 * A commit tells others what has changed (note.h).  COMMIT PREPARED runs in
 * any session, perhaps after a restart, and has no notes.  So a session that
 * prepares a transaction first makes marks of its notes.  The transaction keeps
 * them (service/prepared.c says how), and the session that finishes it finds
 * them.
 *
 * IDENTIFICATION
 *	  src/shared/mark.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_MARK_H
#define JOBQ_MARK_H

#include "datatype/timestamp.h"

/*
 * The order is that in which they are acted upon.  The numbers are in prepared
 * transactions, which outlive an update of the library.
 */
typedef enum JobqMarkKind
{
	JOBQ_MARK_ALL = 1,			/* look at everything again */
	JOBQ_MARK_CHANGED = 2,		/* value: a queue whose row or grants changed */
	JOBQ_MARK_OWNER = 3,		/* a role that is, or was, owner of such */
	JOBQ_MARK_MANY_CHANGED = 4, /* more queues than are kept apart */
	JOBQ_MARK_GONE = 5,			/* a queue that was dropped */
	JOBQ_MARK_RENAMED = 6,		/* a queue */
	JOBQ_MARK_JOBS = 7,			/* a queue with jobs that were added or locked */
	JOBQ_MARK_LOOK = 8,			/* a queue that may have ready jobs */
	JOBQ_MARK_LEASES = 9,		/* when the first of the leases ends */
	JOBQ_MARK_EXPIRY = 10,		/* the least expires_at */
	JOBQ_MARK_SCHEDULE = 11,	/* the least next_run */
	JOBQ_MARK_WAKES = 12,		/* JOBQ_WAKE_ bits */
	JOBQ_MARK_WAITING = 13,		/* whose schedules may have waited for a job
								 * that has ended, see ended_owner.c */
	JOBQ_MARK_CLAIMED = 14,		/* a queue with jobs that run without tickets */
	JOBQ_MARK_COUNT = 15,		/* a queue with more or fewer jobs */
	JOBQ_MARK_LIMIT = 16,		/* a limit that lets in more jobs, perhaps */
	JOBQ_MARK_LIMIT_GONE = 17,	/* a limit that was dropped */
	JOBQ_MARK_LIMIT_CLAIMED = 18	/* a limit with jobs that may run without
									 * slots */
} JobqMarkKind;

typedef struct JobqMark
{
	int16		kind;
	uint32		value;
} JobqMark;

/*
 * Makes a mark, of which there is one with that value.  For callbacks of
 * XACT_EVENT_PRE_PREPARE; may raise an error (out of memory).
 */
extern void jobq_mark(JobqMarkKind kind, uint32 value);

/* The same of a time, in seconds rounded down; the least of a kind counts. */
extern void jobq_mark_time(JobqMarkKind kind, TimestampTz when);
extern TimestampTz jobq_mark_to_time(uint32 value);

/* All marks of this transaction, and the end of them. */
extern const JobqMark *jobq_mark_all(int *n);
extern void jobq_mark_forget_all(void);

#endif							/* JOBQ_MARK_H */
