/*-------------------------------------------------------------------------
 *
 * ready_new.h
 *	  Jobs that the current transaction makes claimable.
 *
 * IDENTIFICATION
 *	  src/queue/ready_new.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_READY_NEW_H
#define JOBQ_READY_NEW_H

#include "queue/queue_wake.h"
#include "shared/lane.h"

/*
 * A job of this queue, committed with the transaction, will be claimable from
 * its run_at on.  The place is that of its new row.
 */
extern void jobq_at_commit_ready(const JobqQueue *queue,
								 const JobqPlace *place);

/* The same for several jobs of one priority; the place is that of the first. */
extern void jobq_at_commit_ready_many(const JobqQueue *queue,
									  const JobqPlace *first, int njobs);

/*
 * Whether this transaction itself has made jobs of the queue and the group (NULL:
 * without one) claimable, and the place of the first one with the smallest
 * priority above `after`.
 */
extern bool jobq_ready_has_own_jobs(const JobqQueue *queue, const char *group);
extern bool jobq_ready_next_own_job(const JobqQueue *queue, const char *group,
									int after, JobqPlace *place);

/*
 * The next group after that (NULL: the first), by name, in which it has done so;
 * NULL: there is none.
 */
extern const char *jobq_ready_next_own_group(const JobqQueue *queue,
											 const char *after);

/*
 * For ready.c: before and after the notes of a subtransaction that commits are processed,
 * which may move them; and at the end of the transaction.
 */
extern void jobq_ready_new_before_notes(void);
extern void jobq_ready_new_after_notes(void);
extern void jobq_ready_new_end(void);

#endif							/* JOBQ_READY_NEW_H */
