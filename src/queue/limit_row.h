/*-------------------------------------------------------------------------
 *
 * limit_row.h
 *	  Reading the limits that queues share from the table.
 *
 * As in queue_row.h, the functions use indexes, see everything committed and this
 * transaction's own changes, and allocate in the current memory context.
 *
 * IDENTIFICATION
 *	  src/queue/limit_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LIMIT_ROW_H
#define JOBQ_LIMIT_ROW_H

#include "base/schema.h"
#include "common/gcra.h"
#include "nodes/pg_list.h"

/* A row of jobq_store.limit_def. */
typedef struct JobqLimit
{
	int32		id;
	char	   *name;
	Oid			owner;
	int			max_running;	/* JOBQ_UNLIMITED: any number */
	int			max_running_per_group;	/* the same */
	bool		has_rate;		/* starts of jobs are limited, */
	JobqGcra	rate;			/* as the gate wants it */
} JobqLimit;

extern void jobq_limit_of_row(JobqLimit *limit, const Datum *values,
							  const bool *nulls);

/* The rate of a row, if it has one that is possible; else why not. */
extern JobqGcraResult jobq_limit_rate_of_row(const Datum *values,
											 const bool *nulls,
											 JobqGcra *rate);

/* These return false if there is none. */
extern bool jobq_limit_read(int32 id, JobqLimit *limit);
extern bool jobq_limit_read_name(const char *name, JobqLimit *limit);

/* All limits of a role, as JobqLimit. */
extern List *jobq_limit_read_owned(Oid owner);

/* Those who own limits; a role may occur more than once. */
extern List *jobq_limit_read_owners(void);

#endif							/* JOBQ_LIMIT_ROW_H */
