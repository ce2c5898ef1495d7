/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  Privileges on queues, and errors about queues.
 *
 * IDENTIFICATION
 *	  src/queue/queue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_H
#define JOBQ_QUEUE_H

#include "queue/queue_row.h"

/* The names of queues of jobq.run() begin with this, no others do. */
#define JOBQ_RUN_PREFIX "run:"

extern bool jobq_queue_is_run_name(const char *name);
extern const JobqQueue *jobq_queue_by_name(const char *name);
extern void jobq_queue_report_missing(const char *name, int privilege);
extern const JobqQueue *jobq_queue_require(const char *name, int privilege);
extern int32 jobq_queue_new_id(void);
extern const JobqQueue *jobq_queue_run_of(Oid role);
extern bool jobq_queue_run_is_busy(Oid role, int *pid);
extern const char *jobq_queue_owner_problem(Oid role);
extern bool jobq_queue_allows(const JobqQueue *queue, Oid role,
							  int privilege);
extern void jobq_queue_check_privilege(const JobqQueue *queue, int privilege);
extern bool jobq_queue_may_name(const JobqQueue *queue, Oid role);
extern void jobq_queue_check_job_privilege(const JobqQueue *queue,
										   int privilege, int64 job_id);
extern void jobq_queue_check_home(const JobqQueue *queue);

#endif							/* JOBQ_QUEUE_H */
