/*-------------------------------------------------------------------------
 *
 * rest.h
 *	  When a coordinator leaves, since nothing in its database needs one.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/rest.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_REST_H
#define JOBQ_REST_H

#include "datatype/timestamp.h"

/*
 * Ends the process if it is not needed.  Returns when to look again, JOBQ_NEVER
 * if the database has something of its own.
 */
extern TimestampTz jobq_rest_run(void);

/* An error has rolled that back. */
extern void jobq_rest_undo(void);

/* Whether this process is exiting since it is not needed. */
extern bool jobq_rest_has_begun(void);

#endif							/* JOBQ_REST_H */
