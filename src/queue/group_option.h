/*-------------------------------------------------------------------------
 *
 * group_option.h
 *	  What is said of single groups: rows of jobq_store.group_option.
 *
 * IDENTIFICATION
 *	  src/queue/group_option.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GROUP_OPTION_H
#define JOBQ_GROUP_OPTION_H

#include "base/table.h"
#include "queue/queue_row.h"

/* Turns per job: a group without options, and the most that one may have. */
#define JOBQ_DEFAULT_WEIGHT 1
#define JOBQ_MAX_WEIGHT 1000

/* A row that exists, or does not yet. */
typedef struct JobqGroupOptionRow
{
	JobqTable  *table;			/* to be closed */
	TupleTableSlot *slot;
	bool		exists;
	Datum		values[Natts_group_option];
	bool		nulls[Natts_group_option];
} JobqGroupOptionRow;

/*
 * Reads the options of a group, which is also paused if a job that died has stopped
 * it; a group without a row has the defaults.  By a snapshot taken now.
 */
extern void jobq_group_options_read(int32 queue, const char *name,
									JobqGroupOptions *options);

/*
 * What limits a group that is not known in memory.  If this transaction has changed its
 * options, none of its jobs starts here: what is not committed limits nobody yet.
 */
typedef struct JobqGroupLimits
{
	int			max_running;	/* 0: no job may start; or JOBQ_UNLIMITED */
	bool		has_rate;
	JobqGcra	rate;
} JobqGroupLimits;

extern void jobq_group_limits_read(const JobqQueue *queue, const char *name,
								   JobqGroupLimits *limits);

/* The rate of new jobs of a group. */
typedef struct JobqNewJobRate
{
	int			limit;
	int64		period;
	JobqGcra	gcra;
} JobqNewJobRate;

/* False: new jobs of the group are not limited. */
extern bool jobq_group_new_job_rate(const JobqQueue *queue, const char *name,
									JobqNewJobRate *rate);

/* The rate of a row, if it has one that is possible; else why not. */
extern JobqGcraResult jobq_group_rate_of_row(const JobqGroupOptionRow *row,
											 JobqGcra *rate);

/* What is kept of the starts of a group with these options; JOBQ_NEVER: not needed. */
extern TimestampTz jobq_group_kept_start(const JobqQueue *queue,
										 const char *name,
										 const JobqGroupOptions *options);

/* At commit, all who claim learn that the group's options have changed. */
extern void jobq_at_commit_group_changed(int32 queue, const char *name);

/* Whether this transaction has changed the options of the group. */
extern bool jobq_group_options_are_own(int32 queue, const char *group);

/*
 * How many jobs of the group may run if it is not paused, or JOBQ_UNLIMITED.  Reads
 * its options only if the queue's groups may have some.
 */
extern int	jobq_group_max_running(const JobqQueue *queue, const char *name,
								   bool *paused);

/*
 * Reads the row of a group, to change it.  The caller has locked the queue's row,
 * as all do who change such rows.
 */
extern void jobq_group_option_open(JobqGroupOptionRow *row, int32 queue,
								   const char *name);

/*
 * Writes the changed row, or deletes one that says nothing.  At commit all who claim
 * learn of that.
 */
extern void jobq_group_option_write(JobqGroupOptionRow *row);

#endif							/* JOBQ_GROUP_OPTION_H */
