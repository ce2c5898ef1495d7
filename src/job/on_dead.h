/*-------------------------------------------------------------------------
 *
 * on_dead.h
 *	  Reporting a dead job to its queue's on_dead queue.
 *
 * IDENTIFICATION
 *	  src/job/on_dead.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ON_DEAD_H
#define JOBQ_ON_DEAD_H

/* The header that marks a report; users cannot give it to a job. */
#define JOBQ_REPORT_HEADER "jobq_dead_job"

extern void jobq_on_dead_init(void);

#endif							/* JOBQ_ON_DEAD_H */
