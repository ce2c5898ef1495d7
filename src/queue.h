/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  Queues as a backend knows them, with the built-in defaults filled in,
 *	  and privileges on queues.
 *
 * A JobqQueue that was looked up is valid, and stays as it is, until the
 * memory context is reset or deleted that was current at the look-up.
 *
 * IDENTIFICATION
 *	  src/queue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_H
#define JOBQ_QUEUE_H

#include "common/backoff.h"
#include "shmem.h"

#include "nodes/pg_list.h"

/* Privileges on a queue: bits of queue_grant.privileges. */
#define JOBQ_PRIV_ENQUEUE	0x01
#define JOBQ_PRIV_CONSUME	0x02
#define JOBQ_PRIV_MANAGE	0x04
#define JOBQ_PRIV_READ		0x08
#define JOBQ_PRIV_OWNER		0x10	/* cannot be granted */

typedef struct JobqQueueGrant
{
	Oid			role;
	int			privileges;
} JobqQueueGrant;

/* Intervals are in microseconds; 0 means none unless said otherwise. */
typedef struct JobqQueue
{
	int32		id;
	char	   *name;
	bool		is_run;			/* holds a role's run() commands */
	bool		at_home;		/* not a copy from another database */
	bool		paused;
	Oid			owner;
	char	   *handler;		/* NULL: external workers */
	int			max_attempts;
	JobqBackoff backoff;
	char	   *backoff_function;
	int64		lease;
	int64		timeout;
	int			priority;
	int64		ttl;
	char	   *payload_check;
	Datum		payload_path;	/* jsonpath, 0: none */
	int			payload_max_bytes;
	int64		keep_completed; /* 0: delete at once; -1: for ever */
	int64		keep_dead;		/* the same */
	int			keep_completed_count;	/* -1: any number */
	int			keep_dead_count;
	int32		on_dead;		/* a queue; 0: nobody is told */
	bool		notify;
	bool		session_bound;
	bool		sync_completion;
	bool		share_commits;
	int			ngrants;
	JobqQueueGrant *grants;
	JobqQueueState *state;		/* NULL: no room in shared memory */
	uint64		position;		/* in the log of changes when this was read */
} JobqQueue;

/* What there is to know of each queue where all are looked through. */
typedef struct JobqQueueBrief
{
	int32		id;
	Oid			owner;
	bool		has_executors;
	bool		at_home;
	bool		paused;
	bool		notify;
	uint64		handler;		/* jobq_handler_hash() of it; 0: none */
	int			keep_completed_count;	/* these three as above */
	int			keep_dead_count;
	int64		keep_completed;
	JobqQueueState *state;		/* NULL: no room in shared memory */
} JobqQueueBrief;

/* Jobs are run by jobq's own executors. */
#define jobq_queue_has_executors(q) ((q)->is_run || (q)->handler != NULL)

extern const JobqQueue *jobq_queue_by_name(const char *name);
extern const JobqQueue *jobq_queue_find(const char *name);
extern void jobq_queue_report_missing(const char *name, int privilege);
extern const JobqQueue *jobq_queue_by_id(int32 id);
extern const JobqQueue *jobq_queue_require(const char *name, int privilege);
extern int32 jobq_queue_new_id(void);
extern const JobqQueue *jobq_queue_run_of(Oid role);
extern const JobqQueue *jobq_queue_find_run(Oid role);
extern JobqQueue *jobq_queue_of_row(const Datum *values, const bool *nulls);
extern bool jobq_queue_run_is_busy(Oid role, int *pid);
extern List *jobq_queues_of_executor(Oid role);
extern uint64 jobq_queues_of_executor_number(void);
extern List *jobq_queues_allowed(Oid role, int privileges);
extern List *jobq_roles_of(Oid role);
extern const JobqQueueBrief *jobq_queues_all(int *n);
extern void jobq_queue_outline(JobqQueue *queue, const JobqQueueBrief *brief);
extern const char *jobq_queue_owner_problem(Oid role);
extern bool jobq_queue_allows(const JobqQueue *queue, Oid role,
							  int privilege);
extern void jobq_queue_check_privilege(const JobqQueue *queue, int privilege);
extern bool jobq_queue_may_name(const JobqQueue *queue, Oid role);
extern void jobq_queue_check_job_privilege(const JobqQueue *queue,
										   int privilege, int64 job_id);
extern void jobq_queue_check_home(const JobqQueue *queue);
extern const JobqQueue *jobq_queue_lock_shared(const JobqQueue *queue);
extern const JobqQueue *jobq_queue_try_lock_shared(const JobqQueue *queue);
extern int	jobq_history_segment(void);
extern int64 jobq_interval_microseconds(const Interval *interval);

#endif							/* JOBQ_QUEUE_H */
