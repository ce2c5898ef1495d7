/*-------------------------------------------------------------------------
 *
 * roster_limit.h
 *	  Which limit counts the groups of a queue.
 *
 * Takes the lock of the queue's stream; does not allocate or throw.
 *
 * IDENTIFICATION
 *	  src/shared/roster_limit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_LIMIT_H
#define JOBQ_ROSTER_LIMIT_H

#include "shared/limit_group.h"

typedef enum JobqLinkResult
{
	JOBQ_LINKED,
	JOBQ_LINK_OUTDATED,			/* others know better, or nobody must know yet */
	JOBQ_LINK_NO_ROOM
} JobqLinkResult;

/*
 * Has the queue's groups counted by the limit that the view has.  The caller has a pin
 * of that one (NULL: the view has none), and of the queue or a ticket.  If there is no
 * room, other queues of the role make some, as do groups of this one.
 */
extern JobqLinkResult jobq_limit_link(JobqQueueState *queue,
									  const JobqLimitState *limit,
									  const JobqLimitView *view);

#endif							/* JOBQ_ROSTER_LIMIT_H */
