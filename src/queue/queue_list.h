/*-------------------------------------------------------------------------
 *
 * queue_list.h
 *	  Lists of queues: all of them, those of a role, and those on which a role
 *	  has privileges.
 *
 * IDENTIFICATION
 *	  src/queue/queue_list.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_LIST_H
#define JOBQ_QUEUE_LIST_H

#include "nodes/pg_list.h"

#include "queue/queue_row.h"

extern const JobqQueue *jobq_queue_find_run(Oid role);
extern List *jobq_queues_of_executor(Oid role);
extern uint64 jobq_queues_of_executor_number(void);

/*
 * The ids of the queues on which a role has any of the privileges (a mask), in order.
 * Others decide how many there are: anybody can grant privileges to any role.
 */
extern List *jobq_queues_allowed(Oid role, int privileges);

/*
 * The same for any privilege, but for queues of others only up to `max`, in bounded
 * time.  Sets *is_cut if there may be more.
 */
extern List *jobq_queues_known(Oid role, int max, bool *is_cut);

extern List *jobq_roles_of(Oid role);
extern const JobqQueueBrief *jobq_queues_all(int *n);
extern const JobqQueueBrief *jobq_queue_brief_in(const JobqQueueBrief *all,
												 int n, int32 id);
extern void jobq_queue_outline(JobqQueue *queue, const JobqQueueBrief *brief);
extern int	jobq_history_segment(void);

extern void jobq_queue_list_init(void);

#endif							/* JOBQ_QUEUE_LIST_H */
