/*-------------------------------------------------------------------------
 *
 * maintenance.h
 *	  What a coordinator does when its timer says so.
 *
 * Each function is called in a transaction of its own, without a snapshot,
 * in a database where the extension is installed, and does a bounded amount of
 * work.  Those that return a time say when they want to be called next
 * (JOBQ_NEVER: when something is noted by jobq_at_commit_...()); *more means at
 * once, in another transaction.
 *
 * IDENTIFICATION
 *	  src/maintenance.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_MAINTENANCE_H
#define JOBQ_MAINTENANCE_H

#include "jobq.h"

/* expire.c: jobs whose ttl has passed before they were started */
extern TimestampTz jobq_jobs_expire(int limit, bool *more);

/*
 * due.c: wake executors, waiters and the notifier for each queue that has a
 * ready job, of all or of those whose time has come; without_room: and of those
 * without room in shared memory, for which it calls the notifier; when to look
 * again
 */
extern TimestampTz jobq_queues_wake_due(bool all, bool without_room,
										void (*notifier) (int32 queue));

/*
 * cancel.c: carry out cancel_requests, of those made since then, whose job is
 * free now, and have the executors of the others interrupted.  Returns whether
 * any is left, of whatever time.
 */
extern bool jobq_cancel_requests_process(TimestampTz since);

/* sweep.c: ready jobs that dispatch has lost sight of */
extern TimestampTz jobq_sweep(void);

/* lease.c: see lease.h */

/* retention.c: history's ring, keep_*_count, old attempts */
extern TimestampTz jobq_retention_run(void);

/* schedule_fire.c: enqueue what schedules are due */
extern TimestampTz jobq_schedules_fire(int limit, bool *more);

/* crash.c: see crash.h */

#endif							/* JOBQ_MAINTENANCE_H */
