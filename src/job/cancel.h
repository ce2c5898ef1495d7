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
 * Cancels a job as part of the current transaction, or, where its row is
 * locked by whoever runs it, leaves a cancel_request that the coordinator
 * carries out.  False if there is no such unfinished job, or if another
 * transaction is finishing it.  Checks no privilege.
 */
extern bool jobq_cancel_or_request(int64 job_id, const char *reason);

/*
 * Carry out cancel_requests, of those made since then, whose job is
 * free now, and have the executors of the others interrupted.  Returns whether
 * any is left, of whatever time.  Carefully: each in a subtransaction, since one
 * has raised an error.
 */
extern bool jobq_cancel_requests_process(TimestampTz since, bool careful);

#endif							/* JOBQ_CANCEL_H */
