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

/* Completes the jobs that the lease still holds; returns their number. */
extern int	jobq_finish_complete_jobs(JobqTable *jobs, const Datum *ids, int nids,
									  int64 lease);

#endif							/* JOBQ_FINISH_H */
