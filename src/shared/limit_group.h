/*-------------------------------------------------------------------------
 *
 * limit_group.h
 *	  Groups of all queues that share a limit, counted together.
 *
 * All but jobq_limit_group_wake_called() are called with the lock of the queue's stream,
 * held exclusively.  Nothing allocates or throws, so all may be
 * called by commit and abort callbacks.
 *
 * IDENTIFICATION
 *	  src/shared/limit_group.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LIMIT_GROUP_H
#define JOBQ_LIMIT_GROUP_H

#include "shared/shmem.h"

/* What a claim knows of the limit that its queue shares. */
typedef struct JobqLimitView
{
	uint64		number;			/* JobqLimitState.number; 0: none, or it
								 * counts no groups */
	int			max_running;	/* per group key; JOBQ_UNLIMITED */
	uint64		position;		/* in the log of changes when this was so */
	bool		is_own;			/* this transaction has made it so */
} JobqLimitView;

/*
 * Whether the queue's groups are counted by the limit that the view has.  If so, only
 * views that are as new count from now on.
 */
extern bool jobq_limit_link_is(JobqQueueState *queue, const JobqLimitView *view);

/* The queue is gone, and has no groups any more. */
extern void jobq_limit_link_end(JobqQueueState *queue);

/* A group comes into memory (false: there is no room), or leaves it. */
extern bool jobq_limit_group_join(JobqGroup *group);
extern void jobq_limit_group_part(JobqGroup *group);

/*
 * Whether there is room for the group of that name in the same queue when the other one
 * has left memory, which has no tickets.
 */
extern bool jobq_limit_group_may_replace(const JobqGroup *group, const char *name);

/* Counts tickets that are drawn whatever the limit, or given back: below 0. */
extern void jobq_limit_group_count(JobqGroup *group, int tickets);

/* Counts a ticket; false if the limit lets in no more. */
extern bool jobq_limit_group_enter(JobqGroup *group, int max_running);

/*
 * Whether the limit lets in no more.  Then the group waits there, and the caller puts it
 * among those of its queue that wait.
 */
extern bool jobq_limit_group_turn_away(JobqGroup *group, int max_running);
extern void jobq_limit_group_stop_waiting(JobqGroup *group);

/* Whether more jobs run than the limit lets in. */
extern bool jobq_limit_group_is_over(const JobqGroup *group, int max_running);

/* One of the queue's groups that wait and need not any more; NULL: there is none. */
extern JobqGroup *jobq_limit_group_next_called(JobqRoster *roster);

/*
 * Has the coordinator look at queues whose groups need not wait.  Called after what
 * gives tickets back, without a lock.
 */
extern void jobq_limit_group_wake_called(void);

#endif							/* JOBQ_LIMIT_GROUP_H */
