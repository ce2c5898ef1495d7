/*-------------------------------------------------------------------------
 *
 * expire.h
 *	  Jobs whose time to live has passed before they were started.
 *
 * IDENTIFICATION
 *	  src/dispatch/expire.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_EXPIRE_H
#define JOBQ_EXPIRE_H

#include "datatype/timestamp.h"

/* Jobs whose ttl has passed before they were started */
extern TimestampTz jobq_expire_jobs(int limit, bool *more);

#endif							/* JOBQ_EXPIRE_H */
