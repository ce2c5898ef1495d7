/*-------------------------------------------------------------------------
 *
 * service.h
 *	  Starting and stopping a database's workers.
 *
 * IDENTIFICATION
 *	  src/service/service.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SERVICE_H
#define JOBQ_SERVICE_H

#include "shared/shmem.h"

#include "datatype/timestamp.h"

/* Whether the table has it that stop() is in force.  Needs a transaction. */
extern bool jobq_service_is_stopped(TimestampTz *since);

/*
 * Reads that into shared memory, for all who go by it there.  Returns whether
 * no job may be started, by the table or a transaction that is still open.
 * For the coordinator; waits for nobody.
 */
extern bool jobq_service_refresh(void);

/* Whether no job may be started, as shared memory has it. */
extern bool jobq_service_holds(void);

/* The same for an entry under JOBQ_LOCK_DATABASES. */
static inline bool
jobq_service_is_held(const JobqDatabase *database)
{
	return database->stopped || database->stoppers > 0;
}

#endif							/* JOBQ_SERVICE_H */
