/*-------------------------------------------------------------------------
 *
 * enqueue.h
 *	  Adding jobs, for the SQL functions, schedules and on_dead.
 *
 * IDENTIFICATION
 *	  src/job/enqueue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ENQUEUE_H
#define JOBQ_ENQUEUE_H

#include "base/table.h"
#include "queue/queue_row.h"

#include "datatype/timestamp.h"

typedef enum JobqOnConflict
{
	JOBQ_CONFLICT_KEEP,
	JOBQ_CONFLICT_REPLACE,
	JOBQ_CONFLICT_ERROR
} JobqOnConflict;

/* What all jobs of one call have in common; see jobq_enqueue_defaults(). */
typedef struct JobqEnqueueOptions
{
	const JobqQueue *queue;
	TimestampTz enqueued_at;	/* now */
	TimestampTz run_at;
	TimestampTz expires_at;		/* JOBQ_NEVER: none */
	int			priority;
	int			max_attempts;	/* 0: the queue's */
	JobqOnConflict on_conflict;
	const char *unique_key;		/* NULL: none */
	const Interval *unique_for; /* NULL: none */
	const char *group_key;		/* NULL: none */
	const Interval *timeout;	/* NULL: the queue's */
	Datum		tags;			/* text[], 0: none */
	Datum		headers;		/* jsonb, 0: none */
	const char *command;		/* run() only */
	bool		unchecked;		/* made by jobq: neither the payload_check nor
								 * limits can refuse it */
} JobqEnqueueOptions;

/* Raises 22023 unless the priority fits the column. */
extern void jobq_check_priority(int priority);

/* Fills options with the queue's settings: run now, no key. */
extern void jobq_enqueue_defaults(JobqEnqueueOptions *options,
								  const JobqQueue *queue);

/*
 * Adds one job and returns its id (with a unique key: the surviving job's; 0:
 * the queue's rate has left it out, which does not happen if it is unchecked).
 * Checks the payload (23514), which is 0 for SQL NULL, but no privilege.  The
 * caller has locked the queue (jobq_queue_lock_shared()), and checks the
 * privilege again if that, or this, may have waited.
 */
extern int64 jobq_enqueue_job(JobqTable *jobs,
							  const JobqEnqueueOptions *options,
							  Datum payload);

/* What differs between several jobs of one call. */
typedef struct JobqEnqueueBatch
{
	int			njobs;
	const Datum *payloads;
	const char *const *unique_keys; /* NULL: none; of each: NULL: none */
	const char *const *group_keys;	/* NULL: that of the options; of each: as
									 * above */
} JobqEnqueueBatch;

/* Adds several jobs without unique keys, and stores their ids in ids[]. */
extern void jobq_enqueue_jobs(JobqTable *jobs,
							  const JobqEnqueueOptions *options,
							  const JobqEnqueueBatch *batch, int64 *ids);

/*
 * The same for jobs with unique keys of their own, one after the other: the second of
 * two with the same key finds the first.
 */
extern void jobq_enqueue_keyed_jobs(JobqTable *jobs,
									const JobqEnqueueOptions *options,
									const JobqEnqueueBatch *batch,
									int64 *ids);

#endif							/* JOBQ_ENQUEUE_H */
