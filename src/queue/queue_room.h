/*-------------------------------------------------------------------------
 *
 * queue_room.h
 *	  Queues with limits for which shared memory has no room.
 *
 * IDENTIFICATION
 *	  src/queue/queue_room.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_ROOM_H
#define JOBQ_QUEUE_ROOM_H

#include "queue/queue_row.h"

/*
 * Whether there was no room for the queue, which has a limit, or for the limit that
 * it shares, when it was read; of queues and briefs.  No job starts then to which
 * the limit applies.
 */
#define jobq_queue_lacks_room(q) \
	(((q)->state == NULL && \
	  (jobq_queue_keeps_leases(q) || (q)->has_rate || (q)->has_group_rate)) || \
	 ((q)->limit == NULL && (q)->shared_limit != JOBQ_NO_LIMIT))

/*
 * Looks for room for such a queue.  If there is room by now, all processes read the
 * queue again; the caller goes on without.
 */
extern void jobq_queue_seek_room(const JobqQueue *queue);

/* Raises 53200 if there is still no room for such a queue. */
extern void jobq_queue_require_room(const JobqQueue *queue);

#endif							/* JOBQ_QUEUE_ROOM_H */
