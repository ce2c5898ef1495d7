/*-------------------------------------------------------------------------
 *
 * limit.h
 *	  The limits that queues share: who may use them, locks, and what follows
 *	  from a change.
 *
 * IDENTIFICATION
 *	  src/queue/limit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LIMIT_H
#define JOBQ_LIMIT_H

#include "queue/limit_row.h"

/* By name; raises 42704, with a HINT. */
extern void jobq_limit_require(const char *name, JobqLimit *limit);
extern void jobq_limit_report_missing(const char *name);

/*
 * Whether a role may change the limit, and own queues that share it: as its owner,
 * as a member of that role, or as an administrator.
 */
extern bool jobq_limit_allows(const JobqLimit *limit, Oid role);

/* Raises 42501 unless the current user may change the limit. */
extern void jobq_limit_check_owner(const JobqLimit *limit);

/*
 * Raises 42501 unless the current user, who may change the limit, may give it to
 * that role, and 42704 if there is no such role.  The user must be able to SET ROLE
 * to it, and the role must be allowed to create limits.
 */
extern void jobq_limit_check_new_owner(const JobqLimit *limit, Oid owner);

/*
 * Raises 42501 unless a role may own a queue that shares the limit, and 42704 if
 * that is gone.  `keeps`: the queue shares it already, and gets another owner.
 */
extern void jobq_limit_check_sharing(int32 limit, Oid owner, const char *queue,
									 bool keeps);

/*
 * Locks the limit until the end of the transaction: so that it is not dropped, or,
 * to drop it, so that no queue begins to share it.  To be taken before the lock and
 * the row of a queue.
 */
extern void jobq_limit_lock_shared(int32 limit);
extern void jobq_limit_lock_to_drop(int32 limit);

/* What the end of the transaction does when a limit is made, changed or dropped. */
extern void jobq_at_commit_limit_made(int32 limit, Oid owner,
									  bool counts_groups);
extern void jobq_at_commit_limit_changed(int32 limit, Oid owner);
extern void jobq_at_commit_limit_dropped(int32 limit);

/* For callbacks: more jobs may start, perhaps; wakes workers of its queues. */
extern void jobq_limit_look_now(int32 limit);

#endif							/* JOBQ_LIMIT_H */
