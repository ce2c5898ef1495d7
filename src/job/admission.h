/*-------------------------------------------------------------------------
 *
 * admission.h
 *	  Whether a queue takes new jobs.
 *
 * IDENTIFICATION
 *	  src/job/admission.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ADMISSION_H
#define JOBQ_ADMISSION_H

#include "base/table.h"
#include "queue/enqueue_group_rate.h"
#include "queue/queue_row.h"

/*
 * Raises JQ002 if the queue does not take njobs more, since it is
 * draining or full.  If its on_full says so, makes room by cancelling jobs; not
 * `spared`, whose row has been inserted already (0: none).
 *
 * Not called for jobs that jobq makes itself, and for those that have been in the
 * queue before.
 */
extern void jobq_admission_check(JobqTable *jobs, const JobqQueue *queue,
								 int njobs, int64 spared);

/* Callback that cancels up to `wanted` ready jobs; returns how many it has. */
extern void jobq_admission_follow(int64 (*make) (JobqTable *jobs,
												 const JobqQueue *queue,
												 int64 wanted, int64 spared));

/*
 * How many of njobs new jobs the queue's rate lets through; with `force` all, but
 * they count.  If it is fewer, and on_limit is 'error', raises JQ003.
 */
extern int	jobq_admission_by_rate(const JobqQueue *queue, int njobs,
								   bool force);

/*
 * The same of one job, which the rate of its group (NULL: it has none) lets through, too.
 * The caller must call jobq_enqueue_group_rate_keep() in the end.
 */
extern bool jobq_admission_by_rates(const JobqQueue *queue, const char *group,
									bool force,
									JobqGroupAdmissions *admissions);

#endif							/* JOBQ_ADMISSION_H */
