/*-------------------------------------------------------------------------
 *
 * cancel_request.h
 *	  Requests to cancel a job whose row is locked while it runs.
 *
 * IDENTIFICATION
 *	  src/job/cancel_request.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CANCEL_REQUEST_H
#define JOBQ_CANCEL_REQUEST_H

/* Leaves a request, unless there is one. */
extern void jobq_cancel_request(int64 job_id, const char *reason);

/*
 * Whether that might have to wait for another transaction that requests the
 * same; *pid is that session's PID, or 0 if unknown.
 */
extern bool jobq_cancel_is_busy(int64 job_id, int *pid);

/* Whether there is a cancel_request for the job. */
extern bool jobq_cancel_is_requested(int64 job_id);

/* The reason that such a request gives, palloc'd; NULL if it gives none. */
extern char *jobq_cancel_reason(int64 job_id);

/*
 * Withdraws such a request, since its job has ended.  Waits for a transaction
 * that is making one or carrying it out.
 */
extern void jobq_cancel_forget(int64 job_id);

#endif							/* JOBQ_CANCEL_REQUEST_H */
