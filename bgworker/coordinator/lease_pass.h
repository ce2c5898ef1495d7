/*-------------------------------------------------------------------------
 *
 * lease_pass.h
 *	  When the coordinator lists running jobs from the table.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/lease_pass.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_PASS_H
#define JOBQ_LEASE_PASS_H

#include "datatype/timestamp.h"

/* A limit does not know all running jobs. */
extern void jobq_lease_pass_count(void);

/* A prepared transaction that has ended jobs is finished. */
extern void jobq_lease_pass_verify(void);

/* Nothing is known of what is running. */
extern void jobq_lease_pass_restart(void);

/* Whether jobs must be listed before anything else. */
extern bool jobq_lease_pass_is_wanted(void);

/*
 * Goes through the table for a bounded time, if that is wanted.  Returns when to
 * go on; sets *more if that should be at once.
 */
extern TimestampTz jobq_lease_pass_run(bool *more);

/* An error has rolled that back. */
extern void jobq_lease_pass_undo(void);

#endif							/* JOBQ_LEASE_PASS_H */
