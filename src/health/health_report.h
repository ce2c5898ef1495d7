/*-------------------------------------------------------------------------
 *
 * health_report.h
 *	  Queues whose dead jobs are no longer reported to their on_dead queue.
 *
 * IDENTIFICATION
 *	  src/health/health_report.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_REPORT_H
#define JOBQ_HEALTH_REPORT_H

#include "health/health_finding.h"
#include "queue/queue_row.h"

/* Whether jobs of the queue die without a report, since its owner may not add one. */
extern bool jobq_health_lacks_reports(const JobqQueueBrief *brief);

/* What to tell the reader then; false if it is not so any more. */
extern bool jobq_health_find_lacking(const JobqHealth *health,
									 const JobqQueue *queue,
									 JobqFinding *finding);

#endif							/* JOBQ_HEALTH_REPORT_H */
