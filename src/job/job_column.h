/*-------------------------------------------------------------------------
 *
 * job_column.h
 *	  The columns of a job, and where each of them goes.
 *
 * IDENTIFICATION
 *	  src/job/job_column.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_JOB_COLUMN_H
#define JOBQ_JOB_COLUMN_H

#include "base/schema.h"

#include "access/attnum.h"

/*
 * A column of jobq_store.job.  Where it is copied to, it is copied as it is;
 * 0 where it is not, or is computed.
 */
typedef struct JobqJobColumn
{
	AttrNumber	job;
	AttrNumber	history;		/* when the job ends */
	bool		revived;		/* and back again, by retry() */
	AttrNumber	row;			/* of type jobq.job, for the job's worker */
} JobqJobColumn;

extern const JobqJobColumn jobq_job_columns[Natts_job];

#endif							/* JOBQ_JOB_COLUMN_H */
