/*-------------------------------------------------------------------------
 *
 * queue_row.h
 *	  Reading queues, and privileges on them, from the tables.
 *
 * The functions use indexes, so their cost depends only on the rows they
 * return.  They see everything committed and this transaction's own changes.
 * Results are allocated in the current memory context.
 *
 * IDENTIFICATION
 *	  src/queue/queue_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_ROW_H
#define JOBQ_QUEUE_ROW_H

#include "nodes/pg_list.h"

#include "common/backoff.h"
#include "shared/shmem.h"

/* What enqueue does if max_queued is reached; the option's other word. */
typedef enum JobqOnFull
{
	JOBQ_FULL_ERROR,
	JOBQ_FULL_DROP_OLDEST
} JobqOnFull;

#define JOBQ_DROP_OLDEST "drop_oldest"

/* What the others of a group do when a job is to be tried again, if it runs one. */
typedef enum JobqGroupFailure
{
	JOBQ_FAILED_WAIT,
	JOBQ_FAILED_SKIP,
	JOBQ_FAILED_STOP			/* wait; a job that dies pauses the group */
} JobqGroupFailure;

/* The values of option group_on_failure that are not its default. */
#define JOBQ_SKIP "skip"
#define JOBQ_STOP "stop"

/* Privileges on a queue: bits of queue_grant.privileges. */
#define JOBQ_PRIV_ENQUEUE	0x01
#define JOBQ_PRIV_CONSUME	0x02
#define JOBQ_PRIV_MANAGE	0x04
#define JOBQ_PRIV_READ		0x08
#define JOBQ_PRIV_OWNER		0x10	/* cannot be granted */

/* What a rate does: on_limit. */
typedef enum JobqOnLimit
{
	JOBQ_LIMIT_WAIT,			/* jobs start later */
	JOBQ_LIMIT_SKIP,			/* new jobs are left out */
	JOBQ_LIMIT_ERROR			/* or refused */
} JobqOnLimit;

#define JOBQ_ON_LIMIT_KINDS (JOBQ_LIMIT_ERROR + 1)

extern const char *const jobq_on_limit_names[JOBQ_ON_LIMIT_KINDS];

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
	bool		draining;
	bool		has_group_options;	/* or has had some */
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
	struct JobqForbidKeys *forbid_keys; /* NULL: none */
	int			payload_max_bytes;
	int64		keep_completed; /* 0: delete at once; -1: keep forever */
	int64		keep_dead;		/* the same */
	int			keep_completed_count;	/* -1: any number */
	int			keep_dead_count;
	int32		on_dead;		/* a queue; 0: nobody is told */
	bool		notify;
	bool		session_bound;
	bool		sync_completion;
	bool		share_commits;
	int			max_running;	/* JOBQ_UNLIMITED: any number */
	int			max_running_per_group;	/* the same */
	JobqGroupFailure group_on_failure;
	int			group_rate_limit;	/* starts of a group per period; 0: any
									 * number */
	int64		group_rate_period;
	int			group_rate_burst;	/* 0: the default */
	bool		has_group_rate; /* starts of each group are limited, */
	bool		admits_by_group_rate;	/* or new jobs are: */
	JobqGcra	group_rate;		/* these two, as the gate wants them */
	int			max_queued;
	JobqOnFull	on_full;
	bool		lifo;
	int			batch_size;		/* 1: no batches */
	int64		batch_wait;		/* 0: for nothing */
	bool		unique_when_dead;
	int			rate_limit;		/* starts per rate_period; 0: any number */
	int64		rate_period;
	int			rate_burst;		/* 0: the default */
	JobqOnLimit on_limit;
	bool		has_rate;		/* starts of jobs are limited, */
	bool		admits_by_rate; /* or new jobs are: */
	JobqGcra	rate;			/* these three, as the gate wants them */
	int32		shared_limit;	/* the limit that it shares; JOBQ_NO_LIMIT */
	int			limit_max_running;	/* of that one, as of max_running, */
	int			limit_max_running_per_group;	/* and of this */
	bool		limit_has_rate; /* these two as well */
	JobqGcra	limit_rate;
	Oid			limit_owner;	/* of it */
	JobqLimitState *limit;		/* NULL: none, or no room in shared memory */
	int			ngrants;
	JobqQueueGrant *grants;
	JobqQueueState *state;		/* NULL: no room in shared memory */
	uint64		position;		/* in the log of changes when this was read */
	bool		cached;			/* and is unchanged since: queue_cache.c */
} JobqQueue;

/* The data of each queue needed where all queues are scanned. */
typedef struct JobqQueueBrief
{
	int32		id;
	Oid			owner;
	bool		has_executors;
	bool		at_home;
	bool		paused;
	bool		has_group_options;	/* or has had some */
	bool		notify;
	uint64		handler;		/* jobq_handler_hash() of it; 0: none */
	int			max_running;	/* these as above */
	bool		has_rate;
	JobqGcra	rate;
	int32		shared_limit;
	int			limit_max_running;
	int			limit_max_running_per_group;
	bool		limit_has_rate;
	JobqGcra	limit_rate;
	Oid			limit_owner;
	JobqLimitState *limit;
	int			max_running_per_group;
	JobqGroupFailure group_on_failure;
	JobqOnLimit on_limit;
	bool		has_group_rate;
	JobqGcra	group_rate;
	int			keep_completed_count;
	int			keep_dead_count;
	int64		keep_completed;
	int32		on_dead;
	int			batch_size;
	int64		batch_wait;
	JobqQueueState *state;		/* NULL: no room in shared memory */
} JobqQueueBrief;

/* Not all of its jobs may run at the same time; of queues, briefs and notes. */
#define jobq_queue_is_limited(q) \
	((q)->max_running != JOBQ_UNLIMITED || (q)->shared_limit != JOBQ_NO_LIMIT)

/* The time of a start is that at which a rate has counted it. */
#define jobq_queue_counts_starts(q) \
	((q)->has_rate || (q)->limit_has_rate || jobq_queue_may_rate_groups(q))

/* Starts of groups may be limited: by the queue's rate for them, or one of their own. */
#define jobq_queue_may_rate_groups(q) \
	((q)->has_group_rate || (q)->has_group_options)

/* The same of new jobs. */
#define jobq_queue_may_admit_in_groups(q) \
	((q)->admits_by_group_rate || \
	 ((q)->has_group_options && (q)->on_limit != JOBQ_LIMIT_WAIT))

/* Jobs are run by jobq's own executors. */
#define jobq_queue_has_executors(q) ((q)->is_run || (q)->handler != NULL)

/* Whether a limit holds for all groups; of queues and briefs. */
#define jobq_queue_limits_all_groups(q) \
	((q)->max_running_per_group != JOBQ_UNLIMITED || \
	 (q)->limit_max_running_per_group != JOBQ_UNLIMITED)

/* Whether groups may be kept from starting jobs; the same. */
#define jobq_queue_limits_groups(q) \
	(jobq_queue_limits_all_groups(q) || (q)->has_group_options)

/* Whether a limit needs to know which jobs are running; the same. */
#define jobq_queue_keeps_leases(q) \
	(jobq_queue_is_limited(q) || jobq_queue_limits_groups(q))

/* Jobs are claimed together, and perhaps wait for each other. */
#define jobq_queue_has_batches(q) ((q)->batch_size > 1)
#define jobq_queue_gathers(q) ((q)->batch_wait > 0 && jobq_queue_has_batches(q))

extern bool jobq_queue_read(int32 id, JobqQueue *queue,
							MemoryContext context);

/* Finds, or makes, what shared memory has of a queue that was read. */
extern void jobq_queue_find_states(JobqQueue *queue);

extern List *jobq_queue_read_briefs(void);
extern bool jobq_queue_read_brief(int32 id, JobqQueueBrief *brief);
extern uint64 jobq_handler_hash(const char *handler, int length);

/* The rate of a row, if it has one that is possible; else why not. */
extern JobqGcraResult jobq_queue_rate_of_row(const Datum *values,
											 const bool *nulls,
											 JobqGcra *rate);

/* The same for each of its groups. */
extern JobqGcraResult jobq_queue_group_rate_of_row(const Datum *values,
												   const bool *nulls,
												   JobqGcra *rate);
extern bool jobq_on_limit_lookup(const char *word, JobqOnLimit *on_limit);

extern JobqQueue *jobq_queue_of_row(const Datum *values, const bool *nulls);

#endif							/* JOBQ_QUEUE_ROW_H */
