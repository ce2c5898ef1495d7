/*-------------------------------------------------------------------------
 *
 * help.h
 *	  Having other executors look for jobs that this one leaves.
 *
 * IDENTIFICATION
 *	  bgworker/executor/help.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HELP_H
#define JOBQ_HELP_H

#include "shared/shmem.h"
#include "shared/slot.h"

extern void jobq_help_set_up(const JobqWorkerRef *own, Oid role);
extern void jobq_help_ask(int32 queue, JobqQueueState *state, bool has_jobs);
extern void jobq_help_pass_on(int32 queue);

#endif							/* JOBQ_HELP_H */
