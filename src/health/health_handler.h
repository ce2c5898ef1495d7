/*-------------------------------------------------------------------------
 *
 * health_handler.h
 *	  Whether the handlers of queues can be called.
 *
 * IDENTIFICATION
 *	  src/health/health_handler.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_HANDLER_H
#define JOBQ_HEALTH_HANDLER_H

#include "queue/queue_row.h"

#include "utils/hsearch.h"

/* What was found out about handlers, each of which is looked up once. */
typedef struct JobqHandlerChecks
{
	HTAB	   *handlers;
	MemoryContext context;		/* as long as the checks */
} JobqHandlerChecks;

extern void jobq_health_handlers_begin(JobqHandlerChecks *checks);
extern void jobq_health_handlers_end(JobqHandlerChecks *checks);

/*
 * What is wrong with a queue's handler, or NULL.  Looks each handler up once
 * for each owner, as executors do.
 */
extern const char *jobq_health_handler_problem(const JobqHandlerChecks *checks,
											   const JobqQueueBrief *brief,
											   const JobqQueue *queue);

/* Whether the handler was looked up, and nothing is wrong with it. */
extern bool jobq_health_handler_is_good(const JobqHandlerChecks *checks,
										const JobqQueueBrief *brief);

#endif							/* JOBQ_HEALTH_HANDLER_H */
