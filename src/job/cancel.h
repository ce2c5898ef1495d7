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
#include "storage/block.h"

/* A pass over the cancel requests, of which each part is a transaction. */
typedef struct JobqCancelPass
{
	TimestampTz since;			/* leave out those made before */
	bool		careful;		/* one has raised an error: each has a
								 * subtransaction */
	BlockNumber next;			/* where to go on; InvalidBlockNumber: it has
								 * ended */
	bool		any_left;		/* a request could not be carried out, or was
								 * left out */
} JobqCancelPass;

/*
 * Cancels a job as part of the current transaction.  If the row is locked
 * because the job is running, leaves a cancel_request that the coordinator
 * carries out.  Returns false if there is no such unfinished job, or if
 * another transaction is finishing it.  Checks no privilege.
 */
extern bool jobq_cancel_or_request(int64 job_id, const char *reason);

/*
 * Interrupts the executors whose jobs are to be cancelled.  Needs a transaction;
 * looks at no more requests than there are executors.
 */
extern void jobq_cancel_interrupt(void);

/*
 * Goes on with a pass, for about 10 ms: carries out requests whose jobs are
 * free, and interrupts the executors of the others.
 */
extern void jobq_cancel_requests_process(JobqCancelPass *pass);

#endif							/* JOBQ_CANCEL_H */
