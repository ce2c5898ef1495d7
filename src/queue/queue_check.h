/*-------------------------------------------------------------------------
 *
 * queue_check.h
 *	  Checks of the new state of a queue: its name, its owner, and options that
 *	  depend on each other or on the owner.
 *
 * IDENTIFICATION
 *	  src/queue/queue_check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_CHECK_H
#define JOBQ_QUEUE_CHECK_H

#include "queue/queue_row.h"

extern void jobq_queue_name_check(const char *name);
extern void jobq_queue_refuse_run(const JobqQueue *queue);
extern void jobq_queue_owner_check(Oid owner);
extern void jobq_executor_role_check(Oid role);
extern void jobq_queue_check_batches(const Datum *values, const bool *nulls);
extern void jobq_queue_row_check(const Datum *values, const bool *nulls,
								 const JobqQueue *was);
extern void jobq_queue_rate_check(const Datum *values, const bool *nulls);

/* For limits and groups, too. */
extern void jobq_queue_rate_report(JobqGcraResult result, int limit, int burst,
								   const char *prefix);

#endif							/* JOBQ_QUEUE_CHECK_H */
