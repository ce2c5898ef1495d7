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

/* Whether the table says that jobq is stopped.  Needs a transaction. */
extern bool jobq_service_is_stopped(TimestampTz *since);

/*
 * Copies that into shared memory.  Returns whether no job may be started,
 * because of the table or a transaction that is still open.  For the
 * coordinator; does not wait.
 */
extern bool jobq_service_refresh(void);

/* Whether no job may be started, according to shared memory. */
extern bool jobq_service_holds(void);

/*
 * Whether there may be executors in this database: it is not stopped, and no
 * command needs it for itself.
 */
extern bool jobq_service_allows_executors(void);

/* The same for an entry under JOBQ_LOCK_DATABASES. */
static inline bool
jobq_service_is_held(const JobqDatabase *database)
{
	return database->stopped || database->stoppers > 0;
}

/*
 * Whether the database has a queue, a schedule, or what is left of one, that is its own
 * and did not come with a copy.  Needs a transaction.
 */
extern bool jobq_service_any_at_home(void);

#endif							/* JOBQ_SERVICE_H */
