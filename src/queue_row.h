/*-------------------------------------------------------------------------
 *
 * queue_row.h
 *	  Reading queues, and privileges on them, from the tables.
 *
 * What the functions cost is up to the rows they return: they use indexes.
 * They see all that has been committed and what this transaction has done.
 * Results are allocated in the current memory context.
 *
 * IDENTIFICATION
 *	  src/queue_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_ROW_H
#define JOBQ_QUEUE_ROW_H

#include "queue.h"

extern bool jobq_queue_read(int32 id, JobqQueue *queue,
							MemoryContext context);
extern int32 jobq_queue_read_name(const char *name);
extern int32 jobq_queue_read_run(Oid owner);
extern List *jobq_queue_read_owned(Oid owner);
extern List *jobq_queue_read_on_dead(int32 queue);
extern List *jobq_queue_read_granted(Oid role, int privileges);
extern List *jobq_queue_read_briefs(void);
extern bool jobq_queue_read_brief(int32 id, JobqQueueBrief *brief);
extern uint64 jobq_handler_hash(const char *handler, int length);
extern int	jobq_queue_read_history_segment(void);
extern List *jobq_read_schedule_owners(void);

#endif							/* JOBQ_QUEUE_ROW_H */
