/*-------------------------------------------------------------------------
 *
 * cancel_pass.h
 *	  When the coordinator goes through the cancel requests.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/cancel_pass.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CANCEL_PASS_H
#define JOBQ_CANCEL_PASS_H

#include "datatype/timestamp.h"

/* There may be a new request. */
extern void jobq_cancel_pass_request(void);

/*
 * Goes through requests for a bounded time.  Returns when to go on; sets *more
 * if that should be at once.
 */
extern TimestampTz jobq_cancel_pass_run(bool *more);

/* An error has rolled that back. */
extern void jobq_cancel_pass_undo(void);

#endif							/* JOBQ_CANCEL_PASS_H */
