/*-------------------------------------------------------------------------
 *
 * finish.h
 *	  Ending claims by lease.
 *
 * IDENTIFICATION
 *	  src/dispatch/finish.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FINISH_H
#define JOBQ_FINISH_H

#include "job/job.h"

/*
 * Locks a job that must be held by this lease, now; raises JQ001 if it is not
 * and 42501 if the user may not consume its queue.
 */
extern const JobqQueue *jobq_finish_lock_job(JobqTable *jobs, int64 id,
											 int64 lease, JobqJob *job);

/* Completes the jobs that the lease still holds; returns their number. */
extern int	jobq_finish_complete_jobs(JobqTable *jobs, const Datum *ids, int nids,
									  int64 lease);

#endif							/* JOBQ_FINISH_H */
