/*-------------------------------------------------------------------------
 *
 * own_jobs.h
 *	  Claimable jobs that the current transaction has added, in order: only it can
 *	  see them.
 *
 * ready_new.c has the notes of these jobs, and puts them here when a claim asks for them.
 *
 * IDENTIFICATION
 *	  src/queue/own_jobs.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_OWN_JOBS_H
#define JOBQ_OWN_JOBS_H

#include "shared/lane.h"

/*
 * Adds a job.  The name of its group must stay until the end of the transaction.  May
 * raise an error (out of memory).
 */
extern void jobq_own_jobs_add(int32 queue, const JobqPlace *place);

/* Forgets all of them; at the end of the transaction, their memory, too. */
extern void jobq_own_jobs_forget(void);
extern void jobq_own_jobs_end(void);

/*
 * The first one of a group (NULL: without a group) of a queue, among those with a
 * priority above that one; NULL if there is none.
 */
extern const JobqPlace *jobq_own_jobs_first(int32 queue, const char *group,
											int after);

/* The name of the first group of the queue after that one (NULL: of all), or NULL. */
extern const char *jobq_own_jobs_next_group(int32 queue, const char *after);

#endif							/* JOBQ_OWN_JOBS_H */
