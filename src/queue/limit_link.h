/*-------------------------------------------------------------------------
 *
 * limit_link.h
 *	  Queues whose shared limit counts groups: linking them to it.
 *
 * IDENTIFICATION
 *	  src/queue/limit_link.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LIMIT_LINK_H
#define JOBQ_LIMIT_LINK_H

#include "queue/queue_row.h"
#include "shared/roster_limit.h"

/* What is known here of the limit that a queue shares. */
extern void jobq_limit_view_of(const JobqQueue *queue, JobqLimitView *view);

/*
 * Has the queue's groups counted by the limit that it shares.  The caller has a ticket
 * or a pin of the queue, which has an entry.  The view's position moves on.
 */
extern JobqLinkResult jobq_limit_link_queue(const JobqQueue *queue,
											JobqLimitView *view);

/*
 * For claims and looks: whether it is known how many jobs run with each group key under
 * the queue's limit; true if that does not matter.  The limit has an entry.
 */
extern bool jobq_limit_knows_groups(const JobqQueue *queue);

#endif							/* JOBQ_LIMIT_LINK_H */
