/*-------------------------------------------------------------------------
 *
 * jobq.h
 *	  Names that every file of the extension may use.
 *
 * IDENTIFICATION
 *	  src/jobq.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_H
#define JOBQ_H

#include "datatype/timestamp.h"

#define JOBQ_EXTENSION "jobq"
#define JOBQ_SCHEMA "jobq"
#define JOBQ_STORE_SCHEMA "jobq_store"

/* Limits on what users hand in; see docs/reference.md. */
#define JOBQ_MAX_NAME_LENGTH 63
#define JOBQ_MAX_KEY_LENGTH 1000
#define JOBQ_MAX_TAGS 100
#define JOBQ_MAX_TAG_LENGTH 255
#define JOBQ_MAX_HEADERS_LENGTH (1024 * 1024)
#define JOBQ_MAX_CLAIM 10000
#define JOBQ_MAX_BATCH 500
#define JOBQ_MAX_ERROR_LENGTH 16384
#define JOBQ_MAX_WORKER_LENGTH 200
#define JOBQ_MAX_COMMAND_LENGTH (1024 * 1024)

/* SQLSTATEs of jobq's own. */
#define ERRCODE_JOBQ_LEASE_LOST MAKE_SQLSTATE('J', 'Q', '0', '0', '1')
#define ERRCODE_JOBQ_QUEUE_FULL MAKE_SQLSTATE('J', 'Q', '0', '0', '2')
#define ERRCODE_JOBQ_RATE_LIMIT MAKE_SQLSTATE('J', 'Q', '0', '0', '3')
#define ERRCODE_JOBQ_RETRY_IN MAKE_SQLSTATE('J', 'Q', '1', '0', '1')
#define ERRCODE_JOBQ_DISCARD MAKE_SQLSTATE('J', 'Q', '1', '0', '2')
#define ERRCODE_JOBQ_SNOOZE MAKE_SQLSTATE('J', 'Q', '1', '0', '3')

/* JQ1xx: by these a job says what is to be done with it. */
#define jobq_is_job_control(sqlstate) \
	(((sqlstate) & ((1 << 18) - 1)) == MAKE_SQLSTATE('J', 'Q', '1', '0', '0'))

#endif							/* JOBQ_H */
