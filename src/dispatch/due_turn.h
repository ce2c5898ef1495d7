/*-------------------------------------------------------------------------
 *
 * due_turn.h
 *	  Whose queue the coordinator looks at next.
 *
 * A call of the task that looks at queues takes a bounded time, and looks at
 * one queue of each owner in turn.  So an owner's single queue waits for one
 * look per other owner at most, however many queues these have.
 *
 * Looks at some queues are slow: each such queue is looked at in rounds of its
 * owner, which take a bounded share of the time.
 *
 * IDENTIFICATION
 *	  src/dispatch/due_turn.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_DUE_TURN_H
#define JOBQ_DUE_TURN_H

#include "dispatch/look.h"

#include "nodes/pg_list.h"

/* A round of looks at an owner's slow queues. */
typedef struct JobqDueRound
{
	bool		running;
	bool		again;			/* another round was requested meanwhile */
	int32		after;			/* the queue looked at last */
	int64		cost;			/* of this round so far, in microseconds */
	TimestampTz earliest;		/* when a job is due, of those looked at */
	TimestampTz wanted;			/* the next round */
	TimestampTz allowed;		/* earliest start of the next round */
} JobqDueRound;

/* An owner's queues to look at in this call, in this order. */
typedef enum JobqDueKind
{
	JOBQ_DUE_BEGUN,				/* the look has been begun */
	JOBQ_DUE_NEXT,				/* after the one looked at last, by id */
	JOBQ_DUE_REST,
	JOBQ_DUE_SLOW,
	JOBQ_DUE_KINDS
} JobqDueKind;

typedef struct JobqDueQueue
{
	const JobqQueueBrief *brief;
	struct JobqDueQueue *next;
} JobqDueQueue;

typedef struct JobqDueList
{
	JobqDueQueue *first;
	JobqDueQueue *last;
} JobqDueList;

typedef struct JobqDueOwner
{
	Oid			role;			/* hash key */
	int32		last;			/* the queue looked at last that is not slow */
	JobqLook	look;			/* that has been begun, and has not ended */
	JobqDueRound round;
	/* the rest is of the call at hand */
	bool		has_slow;
	JobqDueList lists[JOBQ_DUE_KINDS];
} JobqDueOwner;

/* Begins a call: no owner has a queue to look at. */
extern void jobq_due_begin(void);

/* The owner, which is made if necessary; valid until the end of the call. */
extern JobqDueOwner *jobq_due_owner(Oid role);

/* Adds a queue to look at in this call. */
extern void jobq_due_add(JobqDueOwner *owner, JobqDueKind kind,
						 const JobqQueueBrief *brief);

/*
 * Requests a look at a slow queue of the owner, in the round under way or else
 * in another one.
 */
extern void jobq_due_request(JobqDueOwner *owner, int32 queue);

/* Begins the rounds that may begin; whether any is running. */
extern bool jobq_due_begin_rounds(TimestampTz now);

/* All owners (JobqDueOwner), beginning after the one whose turn was last. */
extern List *jobq_due_owners(void);

/*
 * The owner's next queue to look at, which is taken out of its list, or NULL.
 */
extern const JobqQueueBrief *jobq_due_next(JobqDueOwner *owner);
extern bool jobq_due_has_queue(const JobqDueOwner *owner);

/* It is this owner's turn: in the next call others come first. */
extern void jobq_due_took_turn(const JobqDueOwner *owner);

/*
 * Ends a call: ends rounds, and forgets owners about whom nothing is known.
 * Returns when to go on, DT_NOBEGIN: at once.
 */
extern TimestampTz jobq_due_end(void);

#endif							/* JOBQ_DUE_TURN_H */
