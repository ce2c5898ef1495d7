/*-------------------------------------------------------------------------
 *
 * cancel.h
 *	  Cancelling a job by its id, for the SQL function and for schedules.
 *
 * IDENTIFICATION
 *	  src/job/cancel.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CANCEL_H
#define JOBQ_CANCEL_H

#include "datatype/timestamp.h"

/*
 * Cancels a job as part of the current transaction.  If the row is locked
 * because the job is running, leaves a cancel_request that the coordinator
 * carries out.  Returns false if there is no such unfinished job, or if
 * another transaction is finishing it.  Checks no privilege.
 */
extern bool jobq_cancel_or_request(int64 job_id, const char *reason);

/*
 * Carries out cancel_requests made since then whose jobs are free, and
 * interrupts the executors of the others.  Returns whether any request is
 * left, regardless of its time.  Carefully: each in a subtransaction, since
 * one has raised an error.
 */
extern bool jobq_cancel_requests_process(TimestampTz since, bool careful);

#endif							/* JOBQ_CANCEL_H */
