/*-------------------------------------------------------------------------
 *
 * queue_id.h
 *	  The ids of queues, by what their rows say.
 *
 * All read the tables by an index.
 *
 * IDENTIFICATION
 *	  src/queue/queue_id.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_ID_H
#define JOBQ_QUEUE_ID_H

#include "nodes/pg_list.h"

/* The queue with a name, JOBQ_NO_QUEUE if there is none. */
extern int32 jobq_queue_read_name(const char *name);

/* The queue of a role's run() commands, or JOBQ_NO_QUEUE. */
extern int32 jobq_queue_read_run(Oid owner);

/* The queues that belong to a role. */
extern List *jobq_queue_read_owned(Oid owner);

/* The queues whose dead jobs are reported to another queue, in order. */
extern List *jobq_queue_read_on_dead(int32 queue);

/* The queues that share a limit, in order. */
extern List *jobq_queue_read_sharing(int32 limit);

/*
 * The queues on which a role was granted any of the privileges, among the first *max
 * that have granted it some; subtracts their number from *max.
 */
extern List *jobq_queue_read_granted(Oid role, int privileges, int *max);

#endif							/* JOBQ_QUEUE_ID_H */
