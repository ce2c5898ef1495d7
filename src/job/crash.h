/*-------------------------------------------------------------------------
 *
 * crash.h
 *	  Attempts that ended with their executor, or with the server.
 *
 * IDENTIFICATION
 *	  src/job/crash.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_H
#define JOBQ_CRASH_H

#include "shared/shmem.h"

/* For the coordinator, in a transaction. */
extern bool jobq_attempt_count(const JobqTermination *termination);

#endif							/* JOBQ_CRASH_H */
