/*-------------------------------------------------------------------------
 *
 * queue_lock.h
 *	  The current rows of queues, for functions that change a queue or have
 *	  waited.
 *
 * IDENTIFICATION
 *	  src/queue/queue_lock.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_LOCK_H
#define JOBQ_QUEUE_LOCK_H

#include "base/table.h"
#include "queue/queue_row.h"

/* A queue whose row this transaction has locked. */
typedef struct JobqLockedQueue
{
	JobqTable  *table;			/* jobq_store.queue; to be closed */
	TupleTableSlot *slot;		/* the row */
	Datum		values[Natts_queue];	/* its columns, to be changed */
	bool		nulls[Natts_queue];
	const JobqQueue *queue;		/* the same as it was read, with its grants */
} JobqLockedQueue;

extern const JobqQueue *jobq_queue_read_now(int32 id);
extern void jobq_queue_recheck(int32 id, int privilege);
extern void jobq_queue_recheck_job(int32 id, int privilege, int64 job_id);
extern bool jobq_queue_may_have_changed(const JobqQueue *queue, uint64 waits);
extern void jobq_queue_recheck_job_after(uint64 waits, const JobqQueue *queue,
										 int privilege, int64 job_id);
extern bool jobq_queue_find_and_lock(JobqLockedQueue *locked,
									 const char *name);
extern void jobq_queue_lock(JobqLockedQueue *locked, const char *name,
							int privilege);
extern void jobq_queue_recheck_locked(const JobqLockedQueue *locked,
									  int privilege);

extern const JobqQueue *jobq_queue_lock_shared(const JobqQueue *queue);
extern const JobqQueue *jobq_queue_try_lock_shared(const JobqQueue *queue);
extern const JobqQueue *jobq_queue_require_shared(const char *name,
												  int privilege);

#endif							/* JOBQ_QUEUE_LOCK_H */
