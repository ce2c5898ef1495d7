/*-------------------------------------------------------------------------
 *
 * service.h
 *	  Starting and stopping a database's workers.
 *
 * IDENTIFICATION
 *	  src/service.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SERVICE_H
#define JOBQ_SERVICE_H

/* Whether stop() is in force.  Needs a transaction. */
extern bool jobq_service_is_stopped(void);

#endif							/* JOBQ_SERVICE_H */
