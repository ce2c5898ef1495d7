/*-------------------------------------------------------------------------
 *
 * record.h
 *	  Recording the outcomes of jobs whose code has been run.
 *
 * IDENTIFICATION
 *	  bgworker/executor/record.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_RECORD_H
#define JOBQ_RECORD_H

#include "base/table.h"
#include "bgworker/executor/execute.h"

/* Starts a transaction of jobq's own, regardless of the role's settings. */
extern void jobq_record_begin(void);

/*
 * Finishes a job that was run, in the current transaction, which is that of
 * its code or (`afresh`) another one.  Prepares what is logged about it.
 */
extern void jobq_record(JobqRun *run, JobqTable *jobs, bool afresh,
						bool may_run_functions);

/*
 * Records a job in a transaction of its own, and removes the temporary objects
 * that it has committed.
 */
extern void jobq_record_afresh(JobqRun *run, const JobqWorkerRef *worker,
							   bool may_run_functions);

#endif							/* JOBQ_RECORD_H */
