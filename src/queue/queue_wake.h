/*-------------------------------------------------------------------------
 *
 * queue_wake.h
 *	  Waking the workers of a queue, and making the coordinator look at it.
 *
 * jobq_at_commit_...() do so when the current transaction commits, and may
 * raise an error (out of memory).  All others may be called by commit callbacks:
 * they neither throw nor allocate.
 *
 * IDENTIFICATION
 *	  src/queue/queue_wake.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_WAKE_H
#define JOBQ_QUEUE_WAKE_H

#include "queue/queue_row.h"

/* What a note knows of its queue: whom to wake, and whether. */
typedef struct JobqQueueNote
{
	JobqQueueState *state;
	int32		queue;
	Oid			owner;			/* of a queue with executors */
	bool		notify;
	bool		at_rest;		/* paused, or not at home */
	bool		has_rate;
	bool		limit_has_rate; /* of the limit that it shares */
	bool		limits_groups;	/* some may start no job although they have
								 * some */
	int			max_running;
	int			limit_max_running;	/* these three: of the limit that it
									 * shares */
	int32		shared_limit;
	JobqLimitState *limit;
	uint64		position;		/* position in the log of changes at which the
								 * data of the queue was valid */
} JobqQueueNote;

extern void jobq_queue_wake_init(void);

extern void jobq_queue_wake_describe(JobqQueueNote *note,
									 const JobqQueue *queue);

/* Whether both are about the same queue, with the same data. */
extern bool jobq_queue_wake_is_same(const JobqQueueNote *a,
									const JobqQueueNote *b);

/* The queue's entry in shared memory, or NULL. */
extern JobqQueueState *jobq_queue_wake_state(const JobqQueueNote *note);

/*
 * Announces njobs ready jobs of a queue at once.  `owner` is the owner of a
 * queue with executors, otherwise InvalidOid.
 */
extern void jobq_queue_wake_now(JobqQueueState *state, int32 queue, Oid owner,
								bool notify, int njobs);

/*
 * For the end of a transaction: the same, but after all notes, except for queues that
 * are at rest or have no room; or when a job becomes due.  `note` must live until the
 * transaction has ended.
 */
extern void jobq_queue_wake_later(const JobqQueueNote *note, int njobs);
extern void jobq_queue_wake_at(const JobqQueueNote *note, TimestampTz when);

/* The gates of the queue of a note, without a group. */
static inline JobqGates
jobq_queue_wake_gates(const JobqQueueNote *note)
{
	return (JobqGates)
	{
		note->state, note->limit, NULL
	};
}

/*
 * Gives back tickets, and wakes a worker of the queue for each if any was turned
 * away, as jobq_queue_wake_later() does.  The group's ticket goes first, since the
 * queue's ticket keeps the entry.
 */
extern void jobq_queue_wake_leave_gates(const JobqGates *gates, uint32 tickets,
										const JobqQueueNote *note);

/* The same for tickets of a group alone. */
extern void jobq_queue_wake_leave_group(JobqGroup *group, int tickets,
										const JobqQueueNote *note);

/*
 * Gives back a ticket that is in no note.  The first one returns whether the caller
 * must wake a worker of the queue.
 */
extern bool jobq_queue_wake_return(const JobqGates *gates);
extern void jobq_queue_wake_leave(const JobqGates *gates);

/*
 * The queue was turned away by the limit that it shares: its workers are woken when
 * slots are given back.  Returns whether there is room after all.
 */
extern bool jobq_queue_wake_turn_away(const JobqQueueNote *note);

/* Wakes workers of each queue that a limit has turned away, one for each job. */
extern void jobq_queue_wake_call(JobqLimitState *limit, int njobs);

/*
 * Makes the coordinator check at once whether a queue of this database has
 * ready jobs, and start executors even if it was told of work before.  NULL:
 * the queue has no room in shared memory.
 */
extern void jobq_queue_wake_look(JobqQueueState *state);

/* Makes waiters, executors and listeners of the queue look for a job. */
extern void jobq_at_commit_look(const JobqQueue *queue);

/*
 * Makes the coordinator check whether the queue, which may be new to it, has
 * ready jobs.
 */
extern void jobq_at_commit_look_again(int32 queue);

/* Invalidates all knowledge of where jobs are. */
extern void jobq_at_commit_reset_lanes(void);

#endif							/* JOBQ_QUEUE_WAKE_H */
