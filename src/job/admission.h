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

#include "queue/queue_row.h"

/*
 * Raises JQ002 if the queue is draining.  Not for the jobs that jobq makes
 * itself, nor for those that have been in the queue before.
 */
extern void jobq_admission_check(const JobqQueue *queue);

#endif							/* JOBQ_ADMISSION_H */
