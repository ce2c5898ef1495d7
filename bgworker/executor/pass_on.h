/*-------------------------------------------------------------------------
 *
 * pass_on.h
 *	  Leaving work to other executors.
 *
 * IDENTIFICATION
 *	  bgworker/executor/pass_on.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_PASS_ON_H
#define JOBQ_PASS_ON_H

#include "shared/slot.h"

extern void jobq_pass_on_set_up(const JobqWorkerRef *worker, Oid role);

/*
 * Wakes another executor for a queue, unless one is already about to look.  If
 * there is no slot for one, and jobs are known to be there, an idle executor of
 * others has to leave, now or as soon as there is one.
 */
extern void jobq_pass_on_look(int32 queue, JobqQueueState *state,
							  bool has_jobs);

/*
 * Called when this process takes a job although it was woken for another
 * queue, where it does not look now.
 */
extern void jobq_pass_on_queue(int32 queue);

#endif							/* JOBQ_PASS_ON_H */
