/*-------------------------------------------------------------------------
 *
 * expire.h
 *	  Expiring jobs whose time to live passes before they start.
 *
 * IDENTIFICATION
 *	  src/dispatch/expire.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_EXPIRE_H
#define JOBQ_EXPIRE_H

#include "datatype/timestamp.h"

/* Expires jobs whose time to live has passed before they started */
extern TimestampTz jobq_expire_jobs(int limit, bool *more);

#endif							/* JOBQ_EXPIRE_H */
