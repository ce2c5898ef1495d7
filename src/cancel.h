/*-------------------------------------------------------------------------
 *
 * cancel.h
 *	  Cancelling a job by its id, for the SQL function and for schedules.
 *
 * IDENTIFICATION
 *	  src/cancel.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CANCEL_H
#define JOBQ_CANCEL_H

#include "jobq.h"

/*
 * Cancels a job as part of the current transaction, or, where its row is
 * locked by whoever runs it, leaves a cancel_request that the coordinator
 * carries out.  False if there is no such unfinished job, or if another
 * transaction is finishing it.  Checks no privilege.
 */
extern bool jobq_cancel_job(int64 job_id, const char *reason);

/*
 * Whether that might have to wait for another transaction that is asking for
 * the same; *pid is whose it is, 0 if that is not known.
 */
extern bool jobq_cancel_is_busy(int64 job_id, int *pid);

/* Whether there is a cancel_request for the job. */
extern bool jobq_cancel_is_requested(int64 job_id);

/* The reason that such a request gives, palloc'd; NULL if it gives none. */
extern char *jobq_cancel_reason(int64 job_id);

/*
 * Withdraws such a request: the job that it was for has ended.  Waits for who
 * is making or carrying out one.
 */
extern void jobq_cancel_forget(int64 job_id);

#endif							/* JOBQ_CANCEL_H */
