/*-------------------------------------------------------------------------
 *
 * on_dead.h
 *	  Telling a queue's on_dead queue of a job that has died.
 *
 * IDENTIFICATION
 *	  src/on_dead.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ON_DEAD_H
#define JOBQ_ON_DEAD_H

#include "job.h"

extern bool jobq_on_dead_is_free(const JobqQueue *queue);
extern void jobq_on_dead(const JobqJob *job, const JobqQueue *queue,
						 const char *error, const char *sqlstate);

#endif							/* JOBQ_ON_DEAD_H */
