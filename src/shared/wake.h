/*-------------------------------------------------------------------------
 *
 * wake.h
 *	  Waking the processes of jobq, and telling a coordinator when it has
 *	  something to do.
 *
 * jobq_at_commit_...() do so when the current transaction commits.  All others
 * act at once and may be called by commit callbacks: they neither throw nor
 * allocate.
 *
 * IDENTIFICATION
 *	  src/shared/wake.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_WAKE_H
#define JOBQ_WAKE_H

#include "shared/shmem.h"

#include "datatype/timestamp.h"

extern void jobq_wake_process(int procno);
extern void jobq_wake_coordinator(JobqDatabase *database, uint32 reason);
extern void jobq_wake_launcher(void);

extern bool jobq_wake_lower_time(pg_atomic_uint64 *time, TimestampTz when);

/* The coordinator of a database has something to do at that time. */
extern void jobq_wake_at(JobqDatabase *database, TimestampTz when);

/*
 * At that time it must look for ready jobs of a queue of this database.
 * NULL: the queue has no room in shared memory.
 */
extern void jobq_wake_for_queue_at(JobqQueueState *state, TimestampTz when);

/* A job's expires_at was written: the coordinator has to look at it then. */
extern void jobq_at_commit_expiry(TimestampTz when);
extern void jobq_wake_for_expiry(TimestampTz when);

/* A schedule's next_run was written. */
extern void jobq_at_commit_schedule(TimestampTz next_run);
extern void jobq_wake_for_schedule(TimestampTz next_run);

/* The coordinator is woken for these reasons (JOBQ_WAKE_). */
extern void jobq_at_commit_wake(uint32 reasons);

#endif							/* JOBQ_WAKE_H */
