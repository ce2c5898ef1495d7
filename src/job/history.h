/*-------------------------------------------------------------------------
 *
 * history.h
 *	  Writing and finding finished jobs.
 *
 * IDENTIFICATION
 *	  src/job/history.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HISTORY_H
#define JOBQ_HISTORY_H

#include "job/job.h"

/* What a job leaves behind. */
typedef struct JobqEnd
{
	Datum		result;			/* jsonb */
	bool		result_is_null;
	const char *error;			/* NULL: none */
	const char *sqlstate;		/* NULL: none */
} JobqEnd;

extern void jobq_history_add(JobqTable *jobs, const JobqJob *job,
							 const JobqEnd *end);

/*
 * Finds and locks a finished job.  If it is found, *table is opened, and the
 * caller closes it; otherwise it is NULL.
 */
extern TupleTableSlot *jobq_history_find(int64 id, JobqTable **table);

/* The same as the latest snapshot sees it, without a lock. */
extern TupleTableSlot *jobq_history_read(int64 id, JobqTable **table);

/* Sets the final state of a finished job; returns false if there is none. */
extern bool jobq_history_read_state(int64 id, JobqState *state);

/* The queue of a row of history, NULL if it is gone. */
extern const JobqQueue *jobq_history_queue(TupleTableSlot *row);

/*
 * Whether a finished job is on record: its queue still keeps it (the present setting
 * also counts for jobs that finished before), or it was completed with a unique_for
 * (NULL: none) that has not passed.
 */
extern bool jobq_history_is_kept(int32 queue, JobqState state,
								 TimestampTz finished_at,
								 const Interval *unique_for);

/* The same for a row of history. */
extern bool jobq_history_row_is_kept(TupleTableSlot *row);

/* Whether the job of a row of history still stands for its unique key. */
extern bool jobq_history_key_counts(TupleTableSlot *row, TimestampTz now);

/*
 * The latest job of a key that came to that state after *since and is on record, or
 * 0; *since becomes the time when it did.
 */
extern int64 jobq_history_find_key(int32 queue, const char *unique_key,
								   JobqState state, TimestampTz *since);

#endif							/* JOBQ_HISTORY_H */
